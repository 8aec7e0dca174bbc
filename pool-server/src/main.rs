//! `pool-server`: arguments, configuration, pool, doors, drain.

mod checkup;
mod cli;
mod upkeep;
mod welcome;

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pool_server::auth::Tokens;
use pool_server::config::{self, Config, Quota, Settings};
use pool_server::control::Door;
use pool_server::pool::Pool;
use pool_server::rejected::Error as Fault;
use pool_server::serve::{Ended, Signals};
use pool_server::{http, log, serve};
use tokio::runtime::Runtime;

use cli::{Command, TokenCommand};

/// For so long it is tried to open the pool anew. Then the process ends, with the reason, for whoever
/// manages it to start it again.
const ANEW_PATIENCE: Duration = Duration::from_secs(60);
const ANEW_RETRY: Duration = Duration::from_millis(250);

fn main() -> ExitCode {
    let (settings, command) = match cli::parse() {
        Ok(parsed) => parsed,
        Err(error) => return failed(&error),
    };
    match run(&settings, command) {
        Ok(code) => code,
        Err(error) => failed(&*error),
    }
}

fn run(settings: &Settings, command: Command) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Serve => {
            let config = settings.config()?;
            log::start(&config);
            serve::raise_file_limit(&config);
            Runtime::new()?.block_on(run_pool(&config))?;
        }
        Command::CheckConfig => {
            serve::check_tls(&settings.config()?)?;
            say(&settings.to_string())?;
        }
        Command::ConfigKeys => say(&config::manual())?,
        Command::Token(command) => token(&settings.config()?, command)?,
        Command::Upkeep(command) => upkeep::run(&settings.config()?, command)?,
        Command::Fsck(arguments) => return Ok(checkup::run(&settings.config()?, &arguments)),
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_pool(config: &Config) -> Result<(), Fault> {
    let mut is_new = !Tokens::exist_in(&config.data);
    let mut pool = Pool::open(config).await?;
    let socket = serve::listen(config)?;
    let mut stop = Signals::listen()?;
    loop {
        let on_ready = |address: SocketAddr| {
            let url = welcome::url(config, address);
            let welcome = if is_new { welcome::text(config, &url) } else { String::new() };
            // A pool whose output nobody reads is a pool all the same.
            let _ = say(&format!("{welcome}listening on {url}\n"));
        };
        let door = tokio::spawn(Door::open(&config.data)?.answer(Arc::clone(&pool)));
        let app = http::router(Arc::clone(&pool));
        let served =
            serve::serve(config, &socket, app, &pool.metrics, on_ready, pool.mended()).await;
        door.abort();
        // It has let go of the pool then.
        let _ = door.await;
        pool.close().await;
        if served? == Ended::Stopped {
            return Ok(());
        }
        is_new = false;
        let promises = pool.unwritten();
        drop(pool);
        pool = tokio::select! {
            biased;
            () = stop.stop() => return Ok(()),
            opened = open_anew(config) => opened?,
        };
        pool.write_promises(&promises).await?;
    }
}

/// Opens the pool after a write had failed: what is on the disk is found as at any start. Whoever still
/// holds a part of the old one is waited for.
async fn open_anew(config: &Config) -> Result<Arc<Pool>, Fault> {
    let begun = Instant::now();
    loop {
        match Pool::open(config).await {
            Err(error) if begun.elapsed() < ANEW_PATIENCE => {
                tracing::warn!(%error, "the pool does not open yet");
                tokio::time::sleep(ANEW_RETRY).await;
            }
            opened => return opened,
        }
    }
}

fn token(config: &Config, command: TokenCommand) -> Result<(), Box<dyn Error>> {
    check_pool(config)?;
    let tokens = Tokens::open(&config.data)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    match command {
        TokenCommand::Create { label, scope, expires, limit } => {
            let limits = Quota::of(limit)?;
            let expires_at = expires.map(|span| now + span.as_secs());
            let (secret, token) = tokens.create_limited(&label, scope, limits, expires_at, now)?;
            warn(&format!("token {}, shown this once:", token.id));
            say(&format!("{}\n", secret.reveal()))?;
        }
        TokenCommand::List => say(&cli::token_table(&tokens.current()?, now))?,
        TokenCommand::Revoke { id } => {
            tokens.revoke(&id, now)?;
            warn(&format!("token {id} is revoked; a running pool knows"));
        }
    }
    Ok(())
}

/// That there is a pool.
fn check_pool(config: &Config) -> Result<(), Box<dyn Error>> {
    if Tokens::exist_in(&config.data) {
        return Ok(());
    }
    let hint = "name its directory with --data; a new pool gets its first token when it starts";
    Err(format!("no pool is in {}\nhint: {hint}", config.data.display()).into())
}

/// To standard output: what was asked for.
fn say(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// To standard error: what is to be known beside it.
fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn failed(error: &dyn Error) -> ExitCode {
    warn(&format!("error: {error}"));
    ExitCode::FAILURE
}
