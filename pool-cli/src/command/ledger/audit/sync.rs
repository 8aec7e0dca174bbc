//! Copies what a log has grown by, and finds out whether it has only grown.

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::TryStreamExt;
use schema::tlog::checkpoint::SignedCheckpoint;
use schema::tlog::note::VerifierKey;
use schema::tlog::policy::Policy;

use super::copy::Copy;
use super::report::{Findings, Report, Seen};
use super::visit::Visit;
use crate::ledger_reader::{Code, Finding, LogReader, ReadError};
use crate::output::Output;
use crate::remote::Remote;

/// A log as far as it could be copied.
pub(super) struct Synced {
    pub(super) copy: Copy,
    /// Whether that is all that the log shows.
    pub(super) whole: bool,
}

/// Where logs are copied from and to.
pub(super) struct Source<'a> {
    pub(super) remote: &'a Remote<'a>,
    pub(super) visit: &'a Visit,
    pub(super) policy: Option<&'a Policy>,
    pub(super) output: &'a Output,
}

impl Source<'_> {
    /// Brings the copy of a log up to date. When the log is caught, the copy stays as it was.
    pub(super) async fn sync(
        &self,
        log: &'static str,
        key: &VerifierKey,
        mut copy: Copy,
        report: &mut Report,
        findings: &mut Findings,
    ) -> Result<Synced> {
        let before = copy.size();
        let fetch = async |path: String| self.remote.log_file(log, &path).await;
        let reader = LogReader::new(log, key.clone(), fetch);
        let whole = match self.catch_up(log, key, &reader, &mut copy, findings).await {
            Ok(()) => true,
            Err(ReadError::Caught(finding)) => {
                findings.push(finding);
                false
            }
            Err(ReadError::Failed(error)) => {
                return Err(error.context(format!("reading the log {log}")));
            }
        };
        report.log(log, Seen { before, size: copy.size() });
        Ok(Synced { copy, whole })
    }

    async fn catch_up<F: AsyncFn(String) -> Result<Bytes>>(
        &self,
        log: &'static str,
        key: &VerifierKey,
        reader: &LogReader<F>,
        copy: &mut Copy,
        findings: &mut Findings,
    ) -> Result<(), ReadError> {
        let shown = reader.checkpoint().await?;
        if let Some(finding) = self.unwitnessed(log, key, &shown) {
            findings.push(finding);
        }
        let finding = match self.take(log, reader, copy, &shown).await {
            Err(ReadError::Caught(finding)) => finding,
            other => return other,
        };
        findings.evidence(self.visit.keep_evidence(log, copy.seen(), &shown)?);
        if matches!(finding.code(), Code::Shrank | Code::Fork) {
            // Perhaps its tiles tell what has changed. If they do not even read, that is said, too.
            match reader.changed(copy.leaves()?, shown.size()).await {
                Ok(None) => {}
                Ok(Some(entry)) => {
                    let detail =
                        format!("changed since the log of {} entries was seen", copy.size());
                    findings.push(Finding::new(log, Code::Changed, detail).at(entry));
                }
                Err(ReadError::Caught(other)) => findings.push(other),
                Err(ReadError::Failed(error)) => {
                    self.output.warn(&format!("what has changed in {log} is not known: {error:#}"));
                }
            }
        }
        Err(ReadError::Caught(finding))
    }

    /// Copies what is new up to the tree of `shown`.
    async fn take<F: AsyncFn(String) -> Result<Bytes>>(
        &self,
        log: &'static str,
        reader: &LogReader<F>,
        copy: &mut Copy,
        shown: &SignedCheckpoint,
    ) -> Result<(), ReadError> {
        let (seen, size) = (copy.size(), shown.size());
        if size < seen {
            let detail = format!("the log shrank from {seen} to {size}");
            return Err(ReadError::Caught(Finding::new(log, Code::Shrank, detail)));
        }
        if size == seen && *shown.root() != copy.edge().root() {
            let detail = format!("fork: two checkpoints of size {size}");
            return Err(ReadError::Caught(Finding::new(log, Code::Fork, detail)));
        }
        let growth = reader.growth(copy.edge(), shown).await?;
        let count = self.output.count(&format!("entries of {log} copied"), growth.new_entries());
        let mut appended = copy.append()?;
        let mut entries = std::pin::pin!(reader.entries(&growth));
        while let Some((_, bundle)) = entries.try_next().await? {
            bundle.iter().try_for_each(|entry| appended.push(entry))?;
            count.advance(bundle.len() as u64);
        }
        copy.commit(appended, growth.edge(), shown.clone()).context("keeping what was copied")?;
        Ok(())
    }

    /// That too few witnesses have seen a checkpoint, if the policy is about this log.
    fn unwitnessed(
        &self,
        log: &'static str,
        key: &VerifierKey,
        shown: &SignedCheckpoint,
    ) -> Option<Finding> {
        let about = |policy: &&Policy| {
            policy.logs().is_empty() || policy.logs().iter().any(|it| it.key() == key)
        };
        let missing = self.policy.filter(about)?.check(shown).err()?;
        Some(Finding::new(log, Code::Quorum, missing.to_string()))
    }
}
