//! `pool proxy`: a binary cache on loopback that shows what a policy allows.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use schema::claim::Dialect;
use schema::store_path::StoreDir;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Global, Judging, Proxy};
use crate::credentials::{Access, trimmed};
use crate::exit::Exit;
use crate::judge::{self, Judge};
use crate::output::Output;
use crate::proxy;
use crate::proxy::door::Door;
use crate::proxy::host_key::HostKey;
use crate::proxy::printed::{Setup, Which, Word};
use crate::source::{Pace, Sources};
use crate::user_dirs;

/// Serves until SIGTERM, or prints how to have it serve.
pub(super) async fn run(
    arguments: Proxy,
    global: &Global,
    output: &'static Output,
) -> Result<Exit> {
    let state = arguments.state_dir.clone().unwrap_or_else(default_state);
    // In the order in which the judge numbers them.
    let pools = Access::find_each(&arguments.pools, global)?;
    if let Some(which) = arguments.print_config {
        output.raw(print(which, &arguments, global, &state, &pools)?.as_bytes());
        return Ok(Exit::Yes);
    }
    let mut stop = signal(SignalKind::terminate()).context("listening for signals")?;
    let judging = Judging {
        pools: pools.iter().map(|pool| pool.server.clone()).collect(),
        state_dir: Some(state.join("judge")),
    };
    let judge = Judge::of(&arguments.policy, &judging, global, output)?;
    let cache = |url: &String| Access {
        server: trimmed(url),
        token: None,
        ca_file: global.ca_file.clone(),
    };
    let caches: Vec<Access> = arguments.from.iter().map(cache).collect();
    let sources = Arc::new(Sources::new(&pools, &caches, Pace::default(), output)?);
    let store_dir = judge.policy().store_dir().clone();
    let key = HostKey::of(&state, dialect_of(&store_dir))?;
    let proxy = proxy::Proxy::new(judge, Arc::clone(&sources), key, store_dir, output);
    let door = Door::open(arguments.listen)?;
    if !arguments.no_mirrors {
        tokio::spawn(async move { sources.follow_mirrors().await });
    }
    let stopped = async {
        stop.recv().await;
    };
    proxy::serve(proxy, door, output, stopped).await?;
    Ok(Exit::Yes)
}

/// Whose package manager has this store.
fn dialect_of(store_dir: &StoreDir) -> Dialect {
    if *store_dir == StoreDir::guix() { Dialect::Guix } else { Dialect::Nix }
}

fn default_state() -> PathBuf {
    match env::var_os("STATE_DIRECTORY") {
        Some(dir) => dir.into(),
        None => user_dirs::state().join("proxy"),
    }
}

fn print(
    which: Which,
    arguments: &Proxy,
    global: &Global,
    state: &Path,
    pools: &[Access],
) -> Result<String> {
    // What is printed is for policies that can be used.
    let policy = judge::read_policy(&arguments.policy)?;
    let dialect = dialect_of(policy.store_dir());
    let absolute = |file: &Path| {
        file.canonicalize().with_context(|| format!("looking for {}", file.display()))
    };
    let text = |text: &str| Word::Text(text.to_owned());
    let mut words = vec![text("--policy"), Word::File("policy", absolute(&arguments.policy)?)];
    let files =
        [("--token-file", "token", &global.token_file), ("--ca-file", "ca", &global.ca_file)];
    for (option, name, file) in files {
        if let Some(file) = file {
            words.extend([text(option), Word::File(name, absolute(file)?)]);
        }
    }
    for pool in pools {
        words.extend([text("--pool"), text(&pool.server)]);
    }
    for cache in &arguments.from {
        words.extend([text("--from"), text(cache)]);
    }
    words.extend(arguments.no_mirrors.then(|| text("--no-mirrors")));
    let setup = Setup {
        listen: arguments.listen,
        key: HostKey::of(state, dialect)?.public(),
        state: state.to_owned(),
        program: env::current_exe().context("asking where this program lies")?,
        words,
    };
    setup.print(which)
}
