//! One log as its only writer has it: what is written, what is signed, and what is published.
//!
//! These are three sizes, and each follows the one before. What is written is durable before it is
//! signed; what is signed is durable in the [head](super::head) before anybody sees it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schema::tlog::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use schema::tlog::edge::Edge;
use schema::tlog::merkle::{self, leaf_hash};
use schema::tlog::note::{NoteSigner, VerifierKey};
use schema::tlog::tile::FULL_WIDTH;
use tokio::sync::watch;

use super::head::Head;
use super::shown::{Published, full_hashes, unreadable};
use super::step::{Step, reached};
use crate::index::{Batch, Index, LogAt, LogId};
use crate::rejected::Error;

/// The directory of what is known of logs beside the database: their heads.
pub(super) fn directory(data: &Path) -> PathBuf {
    data.join("heads")
}

/// The writer of a log.
pub(super) struct Log {
    id: LogId,
    signer: NoteSigner,
    written: Edge,
    head: Head,
    signed: watch::Sender<Arc<Published>>,
}

/// Entries that are about to be written to a log, after those that are.
#[derive(Clone)]
pub(super) struct Stage {
    log: LogAt,
    edge: Edge,
}

impl Log {
    /// Opens a log, and signs what a crash left written but unsigned.
    ///
    /// # Errors
    /// A log that is behind its head, or differs from it: a database that was put back from an
    /// older copy, or edited. And a failing database or disk.
    pub(super) fn open(
        id: LogId,
        signer: NoteSigner,
        index: &Index,
        data: &Path,
    ) -> Result<Self, Error> {
        let written = resume(id, index, index.log_size(id)?)?;
        let directory = directory(data);
        std::fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
        let path = directory.join(id.as_str());
        let head = match Head::open(&path, signer.verifier())? {
            Some(head) => head,
            None if written.size() == 0 => {
                let first = sign(&signer, &Edge::new())?;
                Head::create(&path, signer.verifier(), &first)?
            }
            None => return Err(headless(id, &written, &path)),
        };
        check(id, index, &written, head.checkpoint())?;
        let before = Published::new(head.checkpoint().clone(), Arc::new(written.clone()));
        let (signed, _) = watch::channel(Arc::new(before));
        let mut log = Self { id, signer, written, head, signed };
        log.sign()?;
        Ok(log)
    }

    /// Whether the log is the one whose head is in the data directory. Nothing is changed.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(super) fn inspect(
        id: LogId,
        key: &VerifierKey,
        index: &Index,
        data: &Path,
    ) -> Result<(), Error> {
        let path = directory(data).join(id.as_str());
        // First the head: the log of a pool that runs only grows.
        let head = Head::inspect(&path, key)?;
        if let Some(head) = &head {
            head.check_slots()?;
        }
        let written = resume(id, index, index.log_size(id)?)?;
        match head {
            Some(head) => check(id, index, &written, head.checkpoint()),
            None if written.size() == 0 => Ok(()),
            None => Err(headless(id, &written, &path)),
        }
    }

    /// Which it is.
    pub(super) fn id(&self) -> LogId {
        self.id
    }

    /// The key that verifies its checkpoints.
    pub(super) fn key(&self) -> &VerifierKey {
        self.signer.verifier()
    }

    /// The log before its first entry.
    ///
    /// # Errors
    /// When that cannot be signed.
    pub(super) fn empty(&self) -> Result<Published, Error> {
        let edge = Edge::new();
        Ok(Published::new(sign(&self.signer, &edge)?, Arc::new(edge)))
    }

    /// The states that were signed.
    pub(super) fn signed(&self) -> watch::Receiver<Arc<Published>> {
        self.signed.subscribe()
    }

    /// How many entries are written.
    pub(super) fn size(&self) -> u64 {
        self.written.size()
    }

    /// Begins to append.
    pub(super) fn stage(&self) -> Stage {
        Stage { log: self.id.into(), edge: self.written.clone() }
    }

    /// Takes up what was staged, once the batch that it was put into is durable.
    pub(super) fn written(&mut self, stage: Stage) {
        self.written = stage.edge;
    }

    /// Signs what is written, keeps that as the head, and shows it.
    ///
    /// # Errors
    /// A head that cannot be kept: then nobody sees the new checkpoint, and signing again later
    /// gives the very same one or a larger.
    pub(super) fn sign(&mut self) -> Result<(), Error> {
        let signed = sign(&self.signer, &self.written)?;
        // A crash here loses the signature, which nobody has seen. The next start makes it again:
        // the entries are durable, so the tree of this size has one root, now and then.
        reached(Step::Signed);
        if signed.size() > self.head.checkpoint().size() {
            self.head.advance(signed)?;
        }
        // A crash here leaves a head that nobody has seen. The next start publishes it.
        reached(Step::HeadKept);
        let edge = Arc::new(self.written.clone());
        self.signed.send_replace(Arc::new(Published::new(self.head.checkpoint().clone(), edge)));
        // A crash here leaves a checkpoint that readers have seen, and entries whose senders were
        // not told. They send again, and are told where their entries stand.
        reached(Step::Published);
        Ok(())
    }
}

impl Stage {
    /// Begins to append to a log that has this edge.
    pub(super) fn after(log: LogAt, edge: Edge) -> Self {
        Self { log, edge }
    }

    /// The edge of the log with what was appended.
    pub(super) fn edge(&self) -> &Edge {
        &self.edge
    }

    /// The same, once the batch that it was put into is durable.
    pub(super) fn into_edge(self) -> Edge {
        self.edge
    }

    /// The index of the next entry.
    pub(super) fn size(&self) -> u64 {
        self.edge.size()
    }

    /// Appends an entry, and the tiles that it fills.
    ///
    /// # Errors
    /// As every change of the index.
    pub(super) fn append(&mut self, batch: &mut Batch<'_>, entry: &[u8]) -> Result<u64, Error> {
        let number = self.edge.size();
        batch.put_log_entry(self.log, number, entry)?;
        for (tile, hashes) in self.edge.push(leaf_hash(entry)) {
            let bytes = tile.encode(&hashes).map_err(|error| Error::Damaged(error.to_string()))?;
            batch.put_tile(self.log, tile.level(), tile.index(), &bytes)?;
        }
        Ok(number)
    }
}

/// The edge of the log that the database holds, as it was with `size` entries.
pub(super) fn resume(log: impl Into<LogAt>, index: &Index, size: u64) -> Result<Edge, Error> {
    let log = log.into();
    let rest = size % u64::from(FULL_WIDTH);
    let entries = index.log_entries(log, size - rest, usize::try_from(rest).unwrap_or_default())?;
    let leaves = entries.iter().map(|entry| leaf_hash(entry)).collect();
    Edge::resume(size, leaves, |tile| full_hashes(index, log, &tile))
        .map_err(|error| Error::Damaged(format!("the log {log}: {error}")))
}

pub(super) fn sign(signer: &NoteSigner, edge: &Edge) -> Result<SignedCheckpoint, Error> {
    let origin = Origin::from(signer.verifier().name());
    Checkpoint::new(origin, edge.size(), edge.root())
        .and_then(|checkpoint| SignedCheckpoint::sign(checkpoint, signer))
        .map_err(|error| Error::Damaged(format!("a checkpoint cannot be signed: {error}")))
}

/// What was signed once must be found again.
pub(super) fn check(
    id: LogId,
    index: &Index,
    written: &Edge,
    head: &SignedCheckpoint,
) -> Result<(), Error> {
    if written.size() < head.size() {
        return Err(Error::Setup {
            detail: format!(
                "the log {id} has {} entries, but {} were signed: signing on would fork it",
                written.size(),
                head.size()
            ),
            hint: "the database is an older copy: put back a newer one, or fetch the entries that \
                   are missing from a mirror"
                .to_owned(),
        });
    }
    let nodes = written.nodes(|tile| full_hashes(index, id.into(), &tile));
    let root = merkle::root(head.size(), &nodes).map_err(unreadable)?;
    if root != *head.root() {
        return Err(Error::Setup {
            detail: format!(
                "the log {id} is not the one that was signed: its first {} entries have the root \
                 {root}, and the head says {}",
                head.size(),
                head.root()
            ),
            hint: "the database was edited or is damaged: put it back from a backup".to_owned(),
        });
    }
    Ok(())
}

pub(super) fn headless(id: LogId, written: &Edge, path: &Path) -> Error {
    Error::Setup {
        detail: format!(
            "the log {id} has {} entries, but its head {} is gone",
            written.size(),
            path.display()
        ),
        hint: "put the file back from a backup, or the log's newest checkpoint from a mirror: \
               without it nothing tells whether entries are missing"
            .to_owned(),
    }
}
