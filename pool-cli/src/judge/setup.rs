//! How a judge comes about, and what can be known before there is one.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use schema::api::{EvidenceLine, EvidenceRequest};
use schema::evidence::{Known, LogKeys, Witnessing};
use schema::policy::{MAX_POLICY_LEN, Policy};
use schema::signers::Signers;

use super::{Judge, now};
use crate::cli::{Global, Judging};
use crate::credentials::Access;
use crate::exit::Failure;
use crate::output::Output;
use crate::remote::{Patience, Remote};
use crate::user_dirs;

impl Judge {
    /// A judge as the command line describes it.
    ///
    /// # Errors
    /// A file that is no policy, and those of [`open`](Self::open).
    pub(crate) fn of(
        file: &Path,
        judging: &Judging,
        global: &Global,
        output: &'static Output,
    ) -> Result<Arc<Self>> {
        let policy = read_policy(file)?;
        let access = Access::find_each(&judging.pools, global)?;
        let remotes = access.iter().map(|it| Remote::new(it, Patience::None, output));
        let remotes = remotes.collect::<Result<_>>()?;
        let default = || user_dirs::state().join("judge");
        Self::open(policy, remotes, &judging.state_dir.clone().unwrap_or_else(default))
    }
}

/// Who may attest in a pool, by its whole keys log: each event is signed by whoever may say so.
///
/// # Errors
/// No answer, or one that contradicts itself.
pub(crate) async fn signers_of(remote: &Remote<'_>) -> Result<Arc<Signers>> {
    let mut lines = remote.evidence(&EvidenceRequest::default()).await?;
    let line = lines.next().await?.map(|line| serde_json::from_slice(&line)).transpose();
    let Some(EvidenceLine::Head(head)) = line.context("reading evidence")? else {
        bail!("{} gives no evidence", remote.server());
    };
    let logs = LogKeys::new(&head.origin, head.public_key.clone())?;
    let reading = Known::new(logs).read(&head, Witnessing::default(), now())?;
    Ok(Arc::clone(reading.known().signers()))
}

/// Reads a policy file.
///
/// # Errors
/// A file that cannot be read, or is no policy: with line, column and a hint.
pub(crate) fn read_policy(file: &Path) -> Result<Policy> {
    let about = || format!("reading the policy {}", file.display());
    let mut text = String::new();
    // One byte more than can be, so that what is too long is noticed.
    let most = MAX_POLICY_LEN as u64 + 1;
    File::open(file)
        .with_context(about)?
        .take(most)
        .read_to_string(&mut text)
        .with_context(about)?;
    Policy::parse(&text).map_err(|error| {
        let (line, column) = (error.line, error.column);
        Failure::no(format!("{}:{line}:{column}: {}", file.display(), error.what))
            .hint(error.hint)
            .into()
    })
}
