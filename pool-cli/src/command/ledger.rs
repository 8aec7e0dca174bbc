//! `pool ledger`: a pool's logs, as somebody reads them who does not take the pool at its word.

mod audit;
mod proof;
mod verify;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use schema::tlog::policy::Policy;

use crate::cli::{Global, Ledger};
use crate::credentials::Access;
use crate::exit::Exit;
use crate::output::Output;
use crate::remote::{Patience, Remote};

/// Audits a pool, or takes or verifies a proof.
pub(super) async fn run(ledger: Ledger, global: &Global, output: &Output) -> Result<Exit> {
    match ledger {
        Ledger::Audit(audit) => audit::run(audit, global, output).await,
        Ledger::Proof(proof) => {
            let remote = Remote::new(&Access::find(global)?, Patience::None, output)?;
            proof::run(proof, &remote, output).await
        }
        Ledger::Verify(verify) => verify::run(&verify, output),
    }
}

fn read_policy(file: &Path) -> Result<Policy> {
    let about = || format!("reading the policy {}", file.display());
    Policy::parse(&fs::read(file).with_context(about)?).with_context(about)
}
