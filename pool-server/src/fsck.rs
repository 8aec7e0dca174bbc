//! Looking through all that a pool keeps: whether files, records and the ledger still say the same,
//! and whether they still say what they said.
//!
//! What contradicts the ledger is made anew from it, and NARs whose files are damaged are withdrawn
//! and asked for again, where that is wanted. The same code runs beside a pool that is served and on
//! one that is not.

mod entries;
mod files;
mod nars;
mod pace;
mod paths;
mod verdict;

use std::sync::Arc;

use schema::hash::NarHash;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::blobs::Blobs;
use crate::config::Config;
use crate::index::{Index, Met, Part, Row};
use crate::ledger::sequencer::{Mending, Sequencer};
use crate::rejected::{Error, Failure};

pub use nars::begun_or_new;
pub use pace::{Pace, Stop};
pub use verdict::{Verdict, judge, withdraw};

/// The most NARs waiting to be brought again that are told of by name.
const MAX_WAITING: usize = 1000;

/// A damaged table keeps many questions from being answered; so many are told of.
const MAX_UNANSWERED: usize = 20;

/// What is looked through.
#[derive(Clone, Copy)]
pub struct Parts<'p> {
    /// How the pool is set up.
    pub config: &'p Config,
    /// What it remembers.
    pub index: &'p Index,
    /// The NARs.
    pub blobs: &'p Blobs,
    /// Where changes are ordered. Without it nothing is changed.
    pub sequencer: Option<&'p Sequencer>,
    /// Where orders are waited for.
    pub runtime: &'p Handle,
}

/// How it is looked through.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Options {
    /// Whether every NAR, claim and entry is hashed.
    pub deep: bool,
    /// Whether what can be repaired is.
    pub repair: bool,
    /// How many bytes may be read in a second.
    pub rate: Option<u64>,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The database was opened without its end: what was written last is gone.
    EndLost,
    /// The database does not read rows.
    RowsUnreadable,
    /// A row is none of its family's.
    RowSenseless,
    /// The file of a NAR is gone.
    NarMissing,
    /// The file of a NAR has another size than is known of it.
    NarCut,
    /// The file of a NAR holds something else.
    NarDamaged,
    /// Whether a NAR is whole cannot be told.
    NarUntold,
    /// A file lies among the NARs that nothing refers to.
    FileStray,
    /// A path names another file for its NAR than there is, or none although there is one.
    FileContradicted,
    /// A path has a word that no ledger has.
    WordUnfounded,
    /// A path lacks a word that a ledger has.
    WordMissing,
    /// What is said of one path is kept under another.
    PathMisplaced,
    /// A path is not listed with its NAR, or is with another.
    PathUnlisted,
    /// The words of a claim are gone.
    ClaimMissing,
    /// The words of a claim are others.
    ClaimDamaged,
    /// The ledger lacks an entry.
    EntryMissing,
    /// An entry of the ledger does not read.
    EntryDamaged,
    /// It is not known where in the ledger an entry stands, or wrongly.
    EntryUnlisted,
    /// A log is not the one that was signed.
    LogContradicted,
    /// A tile of a log is not what its entries say.
    TileWrong,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// It is as it was.
    Left,
    /// It was made anew from the ledger.
    Mended,
    /// The NAR is shown no more and asked for again, and its file moved away.
    Withdrawn,
    /// The file is gone.
    Removed,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// With what: a NAR's hash, a path's hash part, a log, a family of the database.
    pub subject: String,
    /// How that was seen.
    pub detail: String,
    /// What became of it.
    pub done: Done,
}

/// What was looked through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Rows of the database.
    pub rows: u64,
    /// Paths.
    pub paths: u64,
    /// Entries of ledgers.
    pub entries: u64,
    /// NARs that are here.
    pub nars: u64,
    /// Bytes that their files have.
    pub nar_bytes: u64,
    /// NARs that were read to their end.
    pub nars_read: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// What was wrong.
    pub found: u64,
    /// And is not any more.
    pub repaired: u64,
    /// NARs that were damaged and wait to be brought again.
    pub waiting: Vec<NarHash>,
    /// The NAR after which an earlier pass was gone on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumed_after: Option<NarHash>,
    /// Whether it was told to stop before the end.
    pub stopped: bool,
}

/// Looks through a pool, and tells `tell` of each thing that is wrong. For a thread that may wait.
///
/// # Errors
/// When it cannot go on. What the database does not read is no error, but told.
pub fn run(
    parts: Parts<'_>,
    options: Options,
    stop: &Arc<Stop>,
    tell: &mut dyn FnMut(&Finding),
) -> Result<Summary, Error> {
    let pace = Pace::new(options.rate, Arc::clone(stop));
    let mut search = Search {
        parts,
        options,
        pace,
        tell,
        summary: Summary::default(),
        next_entry: 0,
        unanswered: 0,
    };
    search.lost_end()?;
    for part in Part::all() {
        search.rows(part)?;
    }
    search.strays()?;
    search.logs();
    if options.deep {
        search.hash_logs()?;
        search.read_nars()?;
    }
    search.end()
}

/// One look through a pool.
struct Search<'s> {
    parts: Parts<'s>,
    options: Options,
    pace: Pace,
    tell: &'s mut dyn FnMut(&Finding),
    summary: Summary,
    /// The index of the entry of the own ledger that comes next.
    next_entry: u64,
    /// How often the database did not answer.
    unanswered: usize,
}

impl Search<'_> {
    fn lost_end(&mut self) -> Result<(), Error> {
        let lost = match self.parts.index.lost() {
            Ok(Some(lost)) => lost,
            Ok(None) => return Ok(()),
            // The walk over its family tells that.
            Err(_) => return Ok(()),
        };
        let detail = format!("the last of what was written is gone: {}", lost.why);
        let mut done = Done::Left;
        if self.options.repair {
            self.parts.index.clear_lost()?;
            done = Done::Mended;
        }
        self.found(Kind::EndLost, "the database", detail, done);
        Ok(())
    }

    fn rows(&mut self, part: Part) -> Result<(), Error> {
        self.parts.index.walk(part, &[], |met, bytes| {
            self.met(part, met);
            self.summary.rows += 1;
            self.spend(bytes)
        })
    }

    fn met(&mut self, part: Part, met: Met) {
        match met {
            Met::Row(Row::Path(hash_part, record)) => self.path(hash_part, record),
            Met::Row(Row::Blob(nar_hash, record)) => self.file(nar_hash, &record),
            Met::Row(Row::NarPath(nar_hash, hash_part)) => self.nar_path(nar_hash, hash_part),
            Met::Row(Row::Claim(id, text)) => self.claim(id, &text),
            Met::Row(Row::Entry(ledger, index, bytes)) => self.entry(ledger, index, &bytes),
            Met::Row(Row::Logged(claim, key_id, index)) => self.logged(claim, key_id, index),
            Met::Row(Row::Alias(..) | Row::Other) => {}
            Met::Senseless { key } => {
                let detail = "it does not read as what it should be".to_owned();
                let subject = format!("{} {}", part.name(), hex(&key));
                self.found(Kind::RowSenseless, subject, detail, Done::Left);
            }
            Met::Gap { from, until, why } => {
                let until = until.map_or_else(|| "the last".to_owned(), |key| hex(&key));
                let subject = format!("{} {}..{until}", part.name(), hex(&from));
                self.found(Kind::RowsUnreadable, subject, why, Done::Left);
            }
        }
    }

    /// What the database answers. That it does not is told, though not each time.
    fn asked<T>(&mut self, subject: &str, answer: Result<T, Error>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.unanswered += 1;
                if self.unanswered > MAX_UNANSWERED {
                    return None;
                }
                self.found(Kind::RowsUnreadable, subject, error.to_string(), Done::Left);
                None
            }
        }
    }

    /// Tells of something.
    fn found(&mut self, kind: Kind, subject: impl Into<String>, detail: String, done: Done) {
        self.summary.found += 1;
        self.summary.repaired += u64::from(done != Done::Left);
        (self.tell)(&Finding { kind, subject: subject.into(), detail, done });
    }

    /// Whether to go on, after so many bytes.
    fn spend(&mut self, bytes: u64) -> bool {
        self.summary.bytes += bytes;
        self.pace.spend(bytes)
    }

    /// Makes a path's record anew from the ledger, if that is wanted.
    fn mend(&mut self, path: Mending) -> Done {
        let Some(sequencer) = self.parts.sequencer.filter(|_| self.options.repair) else {
            return Done::Left;
        };
        self.ordered(self.parts.runtime.block_on(sequencer.mend(path)), Done::Mended)
    }

    fn ordered(&self, answer: Result<bool, Failure>, done: Done) -> Done {
        match answer {
            Ok(true) => done,
            Ok(false) => Done::Left,
            Err(error) => {
                tracing::error!(%error, "a repair failed");
                Done::Left
            }
        }
    }

    fn end(mut self) -> Result<Summary, Error> {
        self.summary.waiting = self.parts.index.all_damaged(MAX_WAITING).unwrap_or_default();
        self.summary.stopped = self.pace.is_stopped();
        Ok(self.summary)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
