//! Verifying signatures, which is most of the work.

use std::sync::Arc;

use schema::evidence::{Caught, ShownPath};
use schema::policy::Policy;
use schema::signers::Signers;
use schema::statement::Statement;

use super::ledger::Trouble;

/// What paths say, by all cores: verifying signatures is most of the work.
pub(super) async fn statements(
    policy: &Arc<Policy>,
    signers: &Arc<Signers>,
    shown: Vec<ShownPath>,
) -> Result<Vec<(ShownPath, Vec<Statement>)>, Trouble> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = shown.len().div_ceil(cores).max(1);
    let mut shown = shown.into_iter();
    let mut tasks = Vec::new();
    loop {
        let part: Vec<ShownPath> = shown.by_ref().take(share).collect();
        if part.is_empty() {
            break;
        }
        let (policy, signers) = (Arc::clone(policy), Arc::clone(signers));
        tasks.push(tokio::task::spawn_blocking(move || {
            let said = |shown: ShownPath| {
                said(&policy, &signers, &shown).map(|statements| (shown, statements))
            };
            part.into_iter().map(said).collect::<Result<Vec<_>, Caught>>()
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.map_err(anyhow::Error::from)??);
    }
    Ok(all)
}

/// What one path says.
pub(super) fn said(
    policy: &Policy,
    signers: &Signers,
    shown: &ShownPath,
) -> Result<Vec<Statement>, Caught> {
    shown.statements(|id| {
        policy.principal_of(id, signers)?;
        signers.by_id(id).map(|signer| &signer.key)
    })
}
