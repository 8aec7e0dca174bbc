//! What came of a round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde::Serialize;

use super::ledger::ATTESTATIONS;
use super::log::Carried;
use super::nars::Fetched;
use crate::exit::Exit;
use crate::ledger_reader::Finding;
use crate::output::{Output, bytes, plural};
use crate::remote::Remote;

/// Faults that are told one by one.
const MAX_FAULTS: usize = 100;
/// Lines that are remembered, so as not to be said again; beyond that nothing new is said.
const MAX_TOLD: usize = 1000;

/// What is told of a round.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Entries carried, by ledger and log.
    entries: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// NARs that came.
    nars_fetched: usize,
    /// Bytes of their files.
    bytes_fetched: u64,
    /// NARs that are to come and that no source had.
    nars_absent: usize,
    /// What sources were caught at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    caught: Vec<Caught>,
    /// Logs of which a source shows less than the mirror has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    behind: Vec<Behind>,
    /// Logs that are not carried, for they have two histories.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    forked: BTreeSet<String>,
    /// Ledgers that the mirror does not begin with.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    refused: BTreeSet<String>,
    /// NARs that a source has and does not give as they are; of many, some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<NarFault>,
    seconds: f64,
    #[serde(skip)]
    began: Instant,
    #[serde(skip)]
    wanted: usize,
    /// Absent NARs by source: absent is what all of them lack.
    #[serde(skip)]
    absent: BTreeMap<usize, usize>,
    /// What was said before, which is not said again.
    #[serde(skip)]
    told: BTreeSet<String>,
}

#[derive(Debug, Serialize)]
struct Caught {
    source: String,
    #[serde(flatten)]
    finding: Finding,
}

#[derive(Debug, Serialize)]
struct Behind {
    source: String,
    origin: String,
    log: &'static str,
    here: u64,
    there: u64,
    /// It is the log's own pool.
    own: bool,
}

#[derive(Debug, Serialize)]
struct NarFault {
    source: String,
    nar_hash: String,
    why: String,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            nars_fetched: 0,
            bytes_fetched: 0,
            nars_absent: 0,
            caught: Vec::new(),
            behind: Vec::new(),
            forked: BTreeSet::new(),
            refused: BTreeSet::new(),
            faults: Vec::new(),
            seconds: 0.0,
            began: Instant::now(),
            wanted: 0,
            absent: BTreeMap::new(),
            told: BTreeSet::new(),
        }
    }
}

impl Report {
    /// For the next round.
    pub(super) fn next(&mut self) -> Self {
        Self { told: std::mem::take(&mut self.told), ..Self::default() }
    }

    /// Something came of a log: by its ledger's origin, its name, and whether the source writes it.
    pub(super) fn log(
        &mut self,
        source: &str,
        (origin, log, own): (&str, &'static str, bool),
        carried: Carried,
        output: &Output,
    ) {
        match carried {
            Carried::Entries { new, wanted } => {
                if new > 0 {
                    *self.entries.entry(origin.to_owned()).or_default().entry(log).or_default() +=
                        new;
                }
                self.wanted += wanted;
            }
            Carried::Behind { here, there } => {
                let (source, origin) = (source.to_owned(), origin.to_owned());
                self.behind.push(Behind { source, origin, log, here, there, own });
            }
            Carried::Forked => {
                self.warn_once(
                    format!(
                        "{origin}/{log} has forked and is not followed; see `pool mirror status`"
                    ),
                    output,
                );
                self.forked.insert(format!("{origin}/{log}"));
            }
        }
    }

    /// NARs are wanted.
    pub(super) fn wanted(&mut self, wanted: usize) {
        self.wanted += wanted;
    }

    /// Whether any were.
    pub(super) fn wants(&self) -> bool {
        self.wanted > 0
    }

    /// A source contradicts itself, or what was seen.
    pub(super) fn caught(&mut self, source: &str, finding: Finding) {
        self.caught.push(Caught { source: source.to_owned(), finding });
    }

    /// A ledger is not begun with.
    pub(super) fn refused(&mut self, origin: &str) {
        self.refused.insert(origin.to_owned());
    }

    /// NARs came.
    pub(super) fn fetched(&mut self, source: &str, fetched: Fetched, output: &Output) {
        self.nars_fetched += fetched.nars.load(Ordering::Relaxed);
        self.bytes_fetched += fetched.bytes.load(Ordering::Relaxed);
        for (nar_hash, why) in fetched.faults.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let fault = NarFault { source: source.to_owned(), nar_hash: nar_hash.to_nix32(), why };
            let line = format!("the NAR {} from {source}: {}", fault.nar_hash, fault.why);
            self.warn_once(line, output);
            if self.faults.len() < MAX_FAULTS {
                self.faults.push(fault);
            }
        }
    }

    fn warn_once(&mut self, line: String, output: &Output) {
        if self.told.len() < MAX_TOLD && self.told.insert(line.clone()) {
            output.warn(&line);
        }
    }

    /// So many NARs that are wanted this source does not have.
    pub(super) fn absent(&mut self, source: usize, absent: usize) {
        self.absent.insert(source, absent);
        self.nars_absent = self.absent.values().min().copied().unwrap_or(0);
    }

    /// Whether there is anything to tell of a round among many.
    pub(super) fn says_something(&self) -> bool {
        self.nars_fetched > 0 || !self.entries.is_empty() || !self.caught.is_empty()
    }

    /// Whether it is worth to ask for NARs again soon.
    pub(super) fn waits(&self) -> bool {
        self.nars_absent > 0
    }

    /// No, when something is not as it should be.
    pub(super) fn exit(&self) -> Exit {
        let is_wrong = !self.caught.is_empty()
            || !self.faults.is_empty()
            || !self.forked.is_empty()
            || !self.refused.is_empty()
            || self.behind.iter().any(|behind| behind.own);
        if is_wrong { Exit::No } else { Exit::Yes }
    }

    pub(super) fn print(&mut self, target: &Remote<'_>, output: &Output) {
        self.seconds = self.began.elapsed().as_secs_f64();
        output.result(self, || self.text(target.server()));
    }

    fn text(&self, target: &str) -> String {
        let entries: u64 = self.entries.values().flat_map(BTreeMap::values).sum();
        let of = |log| self.entries.values().filter_map(|logs| logs.get(log)).sum::<u64>();
        let mut text = format!(
            "{entries} entries carried to {target} ({} of them attestations), {} with {}",
            of(ATTESTATIONS),
            plural(self.nars_fetched, "NAR"),
            bytes(self.bytes_fetched),
        );
        if self.nars_absent > 0 {
            let absent = plural(self.nars_absent, "NAR");
            text.push_str(&format!("\n{absent} to come that no source has yet"));
        }
        for Behind { source, origin, log, here, there, own } in &self.behind {
            let what = if *own { "has gone back" } else { "is behind" };
            text.push_str(&format!(
                "\n{source} {what}: it shows {there} entries of {origin}/{log}, and {here} are known"
            ));
        }
        for log in &self.forked {
            text.push_str(&format!("\n{log} has forked and is not followed any more"));
        }
        for Caught { source, finding } in &self.caught {
            text.push_str(&format!("\n{source} is caught: {finding}"));
        }
        text
    }
}
