//! What came of an import, for people and programs.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;
use std::time::Instant;

use schema::hash::NarHash;
use schema::store_path::StorePath;
use serde::Serialize;

use super::outcome::Outcome;
use super::signed::Other;
use crate::exit::Exit;
use crate::output::{Output, bytes, plural};

/// Paths about which signers disagree that are named.
const NAMED: usize = 5;
/// Signers that the pool does not know who are spoken of.
const MAX_OTHERS: usize = 16;

/// Counts of what was done.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    pub(super) source: String,
    pub(super) paths: usize,
    pub(super) nars_fetched: usize,
    pub(super) nars_known: usize,
    pub(super) nar_bytes: u64,
    pub(super) bytes_fetched: u64,
    pub(super) attestations_new: usize,
    pub(super) attestations_known: usize,
    pub(super) unattested: usize,
    pub(super) rsa: usize,
    pub(super) absent: usize,
    pub(super) refused: usize,
    pub(super) failed: usize,
    pub(super) diverging: usize,
    pub(super) seconds: f64,
}

/// The same, and what is to be said beside it.
pub(super) struct Report {
    pub(super) summary: Summary,
    pub(super) began: Instant,
    /// Each NAR is counted once.
    pub(super) nars: HashSet<NarHash>,
    diverging: Vec<StorePath>,
    others: BTreeSet<Other>,
    /// What the paths make of it that were given up, in earlier reports, too.
    exit: Exit,
}

impl Report {
    /// Nothing yet.
    pub(super) fn new(source: &str) -> Self {
        Self {
            summary: Summary { source: source.to_owned(), ..Summary::default() },
            began: Instant::now(),
            nars: HashSet::new(),
            diverging: Vec::new(),
            others: BTreeSet::new(),
            exit: Exit::Yes,
        }
    }

    /// What comes after this one was told.
    pub(super) fn next(&self) -> Self {
        Self { exit: self.exit, ..Self::new(&self.summary.source) }
    }

    /// A path was given up, and this is how the command ends at best.
    pub(super) fn left_out(&mut self, exit: Exit) {
        self.exit = self.exit.and(exit);
    }

    /// How the command ends.
    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether anything happened that is worth a line.
    pub(super) fn is_empty(&self) -> bool {
        let Summary { paths, unattested, absent, refused, failed, .. } = self.summary;
        paths + unattested + absent + refused + failed == 0
    }

    /// Signers disagree about this path.
    pub(super) fn diverges(&mut self, path: &StorePath) {
        self.summary.diverging += 1;
        if self.diverging.len() < NAMED {
            self.diverging.push(path.clone());
        }
    }

    /// A path was left alone, for these are all who have signed it.
    pub(super) fn signed_by_others(&mut self, others: &[Other]) {
        let room = MAX_OTHERS.saturating_sub(self.others.len());
        self.others.extend(others.iter().take(room).cloned());
    }

    /// Prints all of it.
    pub(super) fn print(&self, pool: &str, output: &Output) {
        if let Some(first) = self.diverging.first() {
            let these: Vec<String> = self.diverging.iter().map(ToString::to_string).collect();
            let (count, these) = (plural(self.summary.diverging, "path"), these.join(", "));
            output.warn(&format!("signers disagree about {count} of those imported: {these}"));
            output.note(&format!("hint: `pool challenge {first}` shows who says what"));
        }
        for other in &self.others {
            output.note(&format!("hint: {}", self.how_to_enrol(other)));
        }
        output.result(&self.summary, || self.summary.text(pool));
    }

    fn how_to_enrol(&self, other: &Other) -> String {
        match other {
            Other::Name(name) => format!(
                "`pool signer enrol {name}:…` makes {name} known to the pool, with the key that \
                 trusted-public-keys has for it"
            ),
            Other::Guix(key) => format!(
                "`pool signer enrol NAME=signing-key.pub` makes {key} known to the pool, under a \
                 name that you choose; the file may be had at {}/signing-key.pub",
                self.summary.source
            ),
            Other::Barred(name) => {
                format!("`pool signer list` tells why the pool takes nothing more of {name}")
            }
        }
    }
}

impl Summary {
    /// Counts a path that was not imported.
    pub(super) fn count(&mut self, outcome: &Outcome) {
        let count = match outcome {
            Outcome::Imported { .. } => return,
            Outcome::Unattested(_) => &mut self.unattested,
            Outcome::Absent => &mut self.absent,
            Outcome::Baking | Outcome::Unavailable(_) | Outcome::Undelivered(_) => &mut self.failed,
            Outcome::Refused(_) => &mut self.refused,
        };
        *count += 1;
    }

    fn text(&self, pool: &str) -> String {
        let mut out = format!(
            "imported {} from {} to {pool}\n\
             NARs          {} fetched, {} already there; {} uncompressed in all\n\
             attestations  {} new, {} known\n\
             fetched       {} ({} bytes), in {:.1} s\n",
            plural(self.paths, "path"),
            self.source,
            self.nars_fetched,
            self.nars_known,
            bytes(self.nar_bytes),
            self.attestations_new,
            self.attestations_known,
            bytes(self.bytes_fetched),
            self.bytes_fetched,
            self.seconds,
        );
        let left_out: Vec<String> = [
            (self.unattested, "signed by nobody known to the pool"),
            (self.absent, "not there"),
            (self.refused, "refused"),
            (self.failed, "not to be had"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, why)| format!("{count} {why}"))
        .collect();
        if !left_out.is_empty() {
            let _ = writeln!(out, "not imported  {}", left_out.join(", "));
        }
        if self.rsa > 0 {
            let paths = plural(self.rsa, "path");
            let _ =
                writeln!(out, "no vote       {paths} signed with RSA: the NAR is kept, no more");
        }
        out
    }
}

#[cfg(test)]
impl Report {
    /// Signers that the pool does not know.
    pub(super) fn others(&self) -> impl Iterator<Item = &Other> {
        self.others.iter()
    }
}
