//! Orders about what stays: promises, what is shown, what is swept, pins and deletions.

use schema::hash::{FileHash, NarHash};
use schema::store_path::HashPart;

use super::group::Group;
use super::{Answer, Order, Reply, Sequencer, reply};
use crate::index::{DeletionRecord, FileRecord, PinRecord, UnlistedRecord};
use crate::rejected::Failure;

/// A NAR that a collection found nobody to need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unneeded {
    /// The NAR.
    pub nar_hash: NarHash,
    /// Until when it was promised when that was found.
    pub leased_until: u64,
}

/// What a collection goes by. Once another pin stands, what was found before says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roots {
    /// How many pins were made.
    pub(super) pins: u64,
    /// What was attested from then on, in POSIX seconds, nobody has looked at.
    pub(super) since: u64,
}

pub(super) enum RetentionOrder {
    Lease {
        files: Vec<(NarHash, FileHash)>,
        until: u64,
        answer: Answer<Vec<bool>>,
    },
    Unlist {
        roots: Roots,
        nars: Vec<Unneeded>,
        why: UnlistedRecord,
        answer: Answer<Vec<bool>>,
    },
    Relist {
        nars: Vec<NarHash>,
        answer: Answer<usize>,
    },
    Sweep {
        roots: Roots,
        nars: Vec<NarHash>,
        now: u64,
        answer: Answer<Vec<Option<FileRecord>>>,
    },
    Roots {
        answer: Answer<Roots>,
    },
    Pin {
        name: String,
        pin: PinRecord,
        answer: Answer<u64>,
    },
    Unpin {
        name: String,
        revision: Option<u64>,
        answer: Answer<usize>,
    },
    Delete {
        deletion: DeletionRecord,
        now: Vec<NarHash>,
        answer: Answer<Vec<(NarHash, FileRecord)>>,
    },
    Undelete {
        hash_part: HashPart,
        answer: Answer<Option<DeletionRecord>>,
    },
}

impl RetentionOrder {
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Lease { files, .. } => files.len(),
            Self::Unlist { nars, .. } => nars.len(),
            Self::Relist { nars, .. } | Self::Sweep { nars, .. } => nars.len(),
            _ => 1,
        }
    }

    pub(super) fn answer_later(self, group: &mut Group<'_>) -> Reply {
        match self {
            Self::Lease { files, until, answer } => reply(answer, group.lease(&files, until)),
            Self::Unlist { roots, nars, why, answer } => {
                reply(answer, group.unlist(roots, &nars, &why))
            }
            Self::Relist { nars, answer } => reply(answer, group.relist_all(&nars)),
            Self::Sweep { roots, nars, now, answer } => {
                reply(answer, group.sweep(roots, &nars, now))
            }
            Self::Roots { answer } => reply(answer, Ok(group.roots())),
            Self::Pin { name, pin, answer } => reply(answer, group.pin(&name, &pin)),
            Self::Unpin { name, revision, answer } => reply(answer, group.unpin(&name, revision)),
            Self::Delete { deletion, now, answer } => reply(answer, group.delete(&deletion, &now)),
            Self::Undelete { hash_part, answer } => reply(answer, group.undelete(hash_part)),
        }
    }
}

impl Sequencer {
    /// Promises files until `until`. Answers with which of them: those that are here and shown.
    ///
    /// # Errors
    /// When the database fails; so for every such order.
    pub async fn lease(
        &self,
        files: Vec<(NarHash, FileHash)>,
        until: u64,
    ) -> Result<Vec<bool>, Failure> {
        self.retain(|answer| RetentionOrder::Lease { files, until, answer }).await
    }

    /// Has narinfos not name these NARs any more, unless something about them is new since `roots`.
    /// Answers with which of them are not shown now.
    ///
    /// # Errors
    /// As [`lease`](Self::lease).
    pub async fn unlist(
        &self,
        roots: Roots,
        nars: Vec<Unneeded>,
        why: UnlistedRecord,
    ) -> Result<Vec<bool>, Failure> {
        self.retain(|answer| RetentionOrder::Unlist { roots, nars, why, answer }).await
    }

    /// Shows NARs again that were collected and are still here. Answers with how many there were.
    ///
    /// # Errors
    /// As [`lease`](Self::lease).
    pub async fn relist(&self, nars: Vec<NarHash>) -> Result<usize, Failure> {
        self.retain(|answer| RetentionOrder::Relist { nars, answer }).await
    }

    /// Forgets NARs that are not shown and were promised until before `now`. The caller has their
    /// turns, and removes the files that are answered; the others stay.
    ///
    /// # Errors
    /// As [`lease`](Self::lease).
    pub async fn sweep(
        &self,
        roots: Roots,
        nars: Vec<NarHash>,
        now: u64,
    ) -> Result<Vec<Option<FileRecord>>, Failure> {
        self.retain(|answer| RetentionOrder::Sweep { roots, nars, now, answer }).await
    }

    /// What pins there are, for a collection that begins.
    ///
    /// # Errors
    /// As [`lease`](Self::lease).
    pub async fn roots(&self) -> Result<Roots, Failure> {
        self.retain(|answer| RetentionOrder::Roots { answer }).await
    }

    /// Adds a revision to a pin, and forgets those that are not to stay. Answers with its number.
    ///
    /// # Errors
    /// A path that is not here, too many pins, or a failing database.
    pub async fn pin(&self, name: String, pin: PinRecord) -> Result<u64, Failure> {
        self.retain(|answer| RetentionOrder::Pin { name, pin, answer }).await
    }

    /// Forgets a revision of a pin, or all. Answers with how many there were.
    ///
    /// # Errors
    /// As [`lease`](Self::lease).
    pub async fn unpin(&self, name: String, revision: Option<u64>) -> Result<usize, Failure> {
        self.retain(|answer| RetentionOrder::Unpin { name, revision, answer }).await
    }

    /// Takes a path down. Those of its NARs that are in `now` are forgotten whatever was promised, unless
    /// another path has them: the caller has their turns, and removes the files that are answered.
    ///
    /// # Errors
    /// As [`lease`](Self::lease).
    pub async fn delete(
        &self,
        deletion: DeletionRecord,
        now: Vec<NarHash>,
    ) -> Result<Vec<(NarHash, FileRecord)>, Failure> {
        self.retain(|answer| RetentionOrder::Delete { deletion, now, answer }).await
    }

    /// Lets a path be here again. Answers with how it was taken down.
    ///
    /// # Errors
    /// As [`lease`](Self::lease).
    pub async fn undelete(&self, hash_part: HashPart) -> Result<Option<DeletionRecord>, Failure> {
        self.retain(|answer| RetentionOrder::Undelete { hash_part, answer }).await
    }

    async fn retain<T>(
        &self,
        order: impl FnOnce(Answer<T>) -> RetentionOrder,
    ) -> Result<T, Failure> {
        self.order(|answer| Order::Retention(order(answer))).await
    }
}
