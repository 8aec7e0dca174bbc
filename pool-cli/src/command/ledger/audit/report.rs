//! What came of an audit.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::claims::Tally;
use super::replay::Replayed;
use crate::ledger_reader::Finding;

/// As many findings as are told one by one: a log may lie in every entry.
const LISTED: usize = 100;

/// Findings as they are made.
#[derive(Debug, Default)]
pub(super) struct Findings {
    listed: Vec<Finding>,
    total: u64,
    evidence: Vec<PathBuf>,
}

impl Findings {
    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// One more.
    pub(super) fn push(&mut self, finding: Finding) {
        self.total += 1;
        if self.listed.len() < LISTED {
            self.listed.push(finding);
        }
    }

    /// Those that were made elsewhere.
    pub(super) fn append(&mut self, others: Self) {
        let unlisted = others.total - others.listed.len() as u64;
        self.extend(others.listed);
        self.total += unlisted;
        self.evidence.extend(others.evidence);
    }

    /// Files that show it.
    pub(super) fn evidence(&mut self, files: Vec<PathBuf>) {
        self.evidence.extend(files);
    }

    /// In words.
    #[cfg(test)]
    pub(super) fn told(&self) -> Vec<String> {
        self.listed.iter().map(ToString::to_string).collect()
    }
}

impl Extend<Finding> for Findings {
    fn extend<T: IntoIterator<Item = Finding>>(&mut self, findings: T) {
        findings.into_iter().for_each(|finding| self.push(finding));
    }
}

/// How far one log was seen.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Seen {
    /// Entries at the visit before.
    pub(super) before: u64,
    /// Entries now.
    pub(super) size: u64,
}

/// The result of the command.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    server: String,
    origin: String,
    first_visit: bool,
    logs: BTreeMap<&'static str, Seen>,
    signatures: u64,
    not_checkable: u64,
    void: u64,
    covered: u64,
    findings: Vec<Finding>,
    findings_total: u64,
    evidence: Vec<PathBuf>,
    seconds: f64,
    #[serde(skip)]
    state: PathBuf,
}

impl Report {
    pub(super) fn new(server: &str, origin: &str, first_visit: bool) -> Self {
        Self {
            server: server.to_owned(),
            origin: origin.to_owned(),
            first_visit,
            logs: BTreeMap::new(),
            signatures: 0,
            not_checkable: 0,
            void: 0,
            covered: 0,
            findings: Vec::new(),
            findings_total: 0,
            evidence: Vec::new(),
            seconds: 0.0,
            state: PathBuf::new(),
        }
    }

    /// How far a log was seen.
    pub(super) fn log(&mut self, log: &'static str, seen: Seen) {
        self.logs.insert(log, seen);
    }

    /// What was counted on the way.
    pub(super) fn tally(&mut self, tally: &Tally, replayed: &Replayed) {
        (self.signatures, self.not_checkable) = (tally.signatures, tally.not_checkable);
        (self.void, self.covered) = (replayed.void, replayed.covered);
    }

    pub(super) fn finish(&mut self, findings: Findings, state: &Path, took: Duration) {
        self.findings = findings.listed;
        self.findings_total = findings.total;
        self.evidence = findings.evidence;
        self.state = state.to_owned();
        self.seconds = took.as_secs_f64();
    }

    /// Whether all is in order.
    pub(super) fn is_clean(&self) -> bool {
        self.findings_total == 0
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let verdict = if self.is_clean() { "all is in order" } else { "NOT IN ORDER" };
        let _ =
            writeln!(out, "{} ({}): {verdict}, {:.1} s", self.server, self.origin, self.seconds);
        for (log, Seen { before, size }) in &self.logs {
            let _ = write!(out, "{log:<12}  {size} entries, {} new", size - before);
            match *log {
                "attestations" => self.attestations_text(&mut out),
                "index" => {
                    let _ = write!(out, "; about the first {} attestations", self.covered);
                }
                _ => {}
            }
            out.push('\n');
        }
        for finding in &self.findings {
            let _ = writeln!(out, "FOUND         {finding}");
        }
        let unlisted = self.findings_total - self.findings.len() as u64;
        if unlisted > 0 {
            let _ = writeln!(out, "FOUND         {unlisted} more");
        }
        for file in &self.evidence {
            let _ = writeln!(out, "evidence      {}", file.display());
        }
        if !self.is_clean() {
            let _ = writeln!(out, "what was seen of the logs is in {}", self.state.display());
        }
        out
    }

    fn attestations_text(&self, out: &mut String) {
        let _ = write!(out, "; {} signatures verified", self.signatures);
        if self.not_checkable > 0 {
            let _ =
                write!(out, ", {} not checkable: their claims were collected", self.not_checkable);
        }
        if self.void > 0 {
            let _ = write!(out, "; {} in all are void: by compromised keys", self.void);
        }
    }
}
