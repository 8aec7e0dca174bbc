//! `pool`, the command line of a narpool: pushes what a local store holds, attests it with a key,
//! and shows who vouches for what.

mod archive;
mod cli;
mod command;
mod compress;
mod credentials;
mod decode;
mod exit;
mod expiry;
mod judge;
mod key_file;
mod ledger_reader;
mod nar;
mod output;
mod proxy;
mod queue;
mod remote;
mod source;
mod store;
mod user_dirs;

use std::process::ExitCode;

use crate::exit::Exit;
use crate::output::Output;

/// Enough for the network; dumping and compressing have threads of their own.
const NETWORK_THREADS: usize = 2;

fn main() -> ExitCode {
    let cli = cli::parse();
    // There is one, and servers that run as long as the program does use it, too.
    let output: &'static Output =
        Box::leak(Box::new(Output::new(cli.global.json, cli.global.quiet)));
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(NETWORK_THREADS)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            output.error(&anyhow::Error::new(error).context("starting the network threads"));
            return Exit::CouldNotTell.into();
        }
    };
    let exit = runtime.block_on(run(cli, output));
    // Whoever still reads files for an upload that was given up must not hold up the exit.
    runtime.shutdown_background();
    exit.into()
}

async fn run(cli: cli::Cli, output: &'static Output) -> Exit {
    let result = tokio::select! {
        result = command::run(cli, output) => result,
        _ = tokio::signal::ctrl_c() => {
            output.interrupted();
            return Exit::Interrupted;
        }
    };
    result.unwrap_or_else(|error| {
        output.error(&error);
        exit::of(&error)
    })
}
