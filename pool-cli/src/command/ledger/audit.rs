//! `pool ledger audit`: whether a pool's logs are in order, and have been all along.
//!
//! First each log is copied as far as it has grown, by [`sync`], which also finds out whether it
//! has only grown. Then what is new in the copies is checked: by [`claims`] what costs requests and
//! signatures, by [`replay`] what the order of the entries tells, from the first on.

mod claims;
mod copy;
mod keys;
mod map;
mod replay;
mod report;
mod sync;
mod visit;

use std::time::Instant;

use anyhow::{Context, Result};
use schema::tlog::note::VerifierKey;
use schema::tlog::policy::{Policy, PolicyParty};

use self::copy::Copy;
use self::keys::Keys;
use self::report::{Findings, Report};
use self::sync::{Source, Synced};
use self::visit::{Progress, Sizes, Visit, check_name};
use super::read_policy;
use crate::cli::{Audit, Global};
use crate::credentials::Access;
use crate::exit::{Exit, Failure};
use crate::ledger_reader::Finding;
use crate::output::Output;
use crate::remote::{Patience, Remote};
use crate::user_dirs;

pub(super) use self::visit::{Pinned, pinned};

/// The logs, each before those that it speaks of: what is read later covers what was read before.
const LOGS: [&str; 3] = [INDEX, ATTESTATIONS, KEYS];
const INDEX: &str = "index";
const ATTESTATIONS: &str = "attestations";
const KEYS: &str = "keys";

/// Audits a pool. No, when anything is not in order.
pub(super) async fn run(audit: Audit, global: &Global, output: &Output) -> Result<Exit> {
    let start = Instant::now();
    let access = Access::find_at(audit.url.as_deref().or(global.server.as_deref()), global)?;
    let remote = Remote::new(&access, Patience::Some, output)?;
    let policy = audit.policy.as_deref().map(read_policy).transpose()?;
    let shown = Pinned::of(&remote.info().await?)?;
    let state = audit.state.unwrap_or_else(|| user_dirs::state().join("ledger"));
    let visit = Visit::open(&state, &shown.origin)?;
    let before = visit.progress()?;

    let mut findings = Findings::default();
    let known: Vec<&VerifierKey> = audit.key.iter().collect();
    findings.extend(shown.check(&known));
    findings.extend(check_policy(policy.as_ref(), &shown)?);
    findings.extend(before.iter().flat_map(|before| before.pinned.differs(&shown)));
    if findings.is_empty() {
        findings.extend(check_name(&state, remote.server(), &shown.origin)?);
    }
    let mut report = Report::new(remote.server(), &shown.origin, before.is_none());
    // Whoever signs now, it is not the log that was meant.
    if findings.is_empty() {
        if before.is_none() && known.is_empty() {
            warn_of_trust(&shown, output);
        }
        let fresh =
            || Progress { pinned: shown, checked: Sizes::default(), read: Sizes::default() };
        let mut progress = before.unwrap_or_else(fresh);
        visit.keep(&progress)?;
        let auditor = Auditor { remote: &remote, visit: &visit, policy: policy.as_ref(), output };
        auditor.audit(&mut progress, &mut report, &mut findings).await?;
    }
    report.finish(findings, visit.dir(), start.elapsed());
    output.result(&report, || report.text());
    Ok(if report.is_clean() { Exit::Yes } else { Exit::No })
}

/// Audits one pool, whose keys are those that are known.
struct Auditor<'a> {
    remote: &'a Remote<'a>,
    visit: &'a Visit,
    policy: Option<&'a Policy>,
    output: &'a Output,
}

impl Auditor<'_> {
    async fn audit(
        &self,
        progress: &mut Progress,
        report: &mut Report,
        findings: &mut Findings,
    ) -> Result<()> {
        let source = Source {
            remote: self.remote,
            visit: self.visit,
            policy: self.policy,
            output: self.output,
        };
        let mut synced = Vec::with_capacity(LOGS.len());
        for (log, key) in progress.pinned.logs() {
            let copy = Copy::open(self.visit.dir(), log, key, progress.read.of(log))?;
            synced.push(source.sync(log, key, copy, report, findings).await?);
        }
        let [index, attestations, keys] = synced.as_slice() else {
            unreachable!("there are three logs")
        };
        let mut signers = Keys::replay(&keys.copy, progress, findings)?;
        let size = |synced: &Synced| synced.copy.size();
        let sizes =
            Sizes { keys: size(keys), attestations: size(attestations), index: size(index) };
        let replaying = replay::start(attestations, index, progress.checked, signers.table())?;
        let tally = {
            let from = progress.checked.attestations;
            let count = self.output.count("entries checked", sizes.attestations - from);
            let copy = &attestations.copy;
            claims::check(self.remote, copy, from, &mut signers, &count, findings).await?
        };
        let replayed = replaying.await.context("replaying the log")??;
        report.tally(&tally, &replayed);
        findings.append(replayed.findings);
        progress.read = sizes;
        if findings.is_empty() {
            progress.checked = sizes;
        }
        self.visit.keep(progress)
    }
}

/// A policy that names logs also says which keys they have.
fn check_policy(policy: Option<&Policy>, shown: &Pinned) -> Result<Vec<Finding>> {
    let Some(policy) = policy.filter(|policy| !policy.logs().is_empty()) else {
        return Ok(Vec::new());
    };
    let logs = policy.logs().iter().map(PolicyParty::key);
    let ours = |key: &&VerifierKey| shown.logs().iter().any(|(_, log)| log.name() == key.name());
    let known: Vec<&VerifierKey> = logs.filter(ours).collect();
    if known.is_empty() {
        let message = format!("the policy names no log of {}", shown.origin);
        return Err(Failure::could_not_tell(message).into());
    }
    Ok(shown.check(&known))
}

fn warn_of_trust(shown: &Pinned, output: &Output) {
    output.warn(
        "this is the first visit, and only the pool itself says that these are its keys; from now \
         on they must stay",
    );
    for (_, key) in shown.logs() {
        output.warn(&format!("  {key}"));
    }
}

#[cfg(test)]
mod tests;
