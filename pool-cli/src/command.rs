//! The commands, one file each.

mod attest;
mod challenge;
mod countersign;
mod delete;
mod fetch;
mod gc;
mod import;
mod key;
mod ledger;
mod login;
mod man;
mod mirror;
mod pin;
mod ping;
mod policy;
mod proxy;
mod push;
mod show;
mod signer;
mod verify;

use anyhow::Result;

use crate::cli::{self, Cli, Command};
use crate::credentials::Access;
use crate::exit::Exit;
use crate::output::Output;
use crate::remote::{Patience, Remote};

/// Does what the command line says.
pub(crate) async fn run(cli: Cli, output: &'static Output) -> Result<Exit> {
    let global = &cli.global;
    let asking = || Remote::new(&Access::find(global)?, Patience::None, output);
    match cli.command {
        Command::Login(login) => login::run(login, global, output).await,
        Command::Key(key) => key::run(key, output),
        Command::Signer(signer) => signer::run(signer, &asking()?, output).await,
        Command::Ledger(ledger) => ledger::run(ledger, global, output).await,
        Command::Policy(policy) => policy::run(policy, global, output).await,
        Command::Proxy(proxy) => proxy::run(proxy, global, output).await,
        Command::Verify(verify) => verify::run(verify, global, output).await,
        Command::Fetch(fetch) => fetch::run(fetch, global, output).await,
        Command::Countersign(it) => countersign::run(it, global, output).await,
        Command::Import(it) => import::run(it, global, output).await,
        Command::Push(push) => push::run(push, global, output).await,
        Command::Attest(attest) => attest::run(attest, global, output).await,
        Command::Show(show) => show::run(&show.subject, &asking()?, output).await,
        Command::Challenge(challenge) => challenge::run(challenge, &asking()?, output).await,
        Command::Mirror(mirror) => mirror::run(*mirror, global, output).await,
        Command::Pin(pin) => pin::run(pin, &asking()?, output).await,
        Command::Pins => pin::list(&asking()?, output).await,
        Command::Unpin(unpin) => pin::unpin(unpin, &asking()?, output).await,
        Command::Gc(gc) => gc::run(gc, &asking()?, output).await,
        Command::Delete(delete) => delete::run(delete, &asking()?, output).await,
        Command::Undelete(undelete) => delete::undo(undelete, &asking()?, output).await,
        Command::Deletions => delete::list(&asking()?, output).await,
        Command::Ping => ping::run(&asking()?, output).await,
        Command::Completions { shell } => {
            output.raw(&cli::completions(shell));
            Ok(Exit::Yes)
        }
        Command::Man { dir } => man::run(dir.as_deref(), output),
    }
}
