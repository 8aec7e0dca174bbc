//! The index log: at which size the attestations log had which map.
//!
//! It follows the attestations log, and is never waited for by those who attest. A leaf is logged
//! and published before the map on disk becomes the one that it tells of, so that every answer
//! can be checked against a checkpoint that is there. A crash in between leaves the map behind its
//! log, and the next start brings it up again.

use std::sync::Arc;
use std::time::Duration;

use schema::attestation::Entry;
use schema::tlog::merkle;
use schema::verifiable_map::IndexLeaf;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::log::Log;
use super::shown::{Published, Shown, unreadable};
use crate::index::{Index, LogId};
use crate::rejected::Error;

/// A busy pool has a leaf this often at most: each costs two syncs.
const INTERVAL: Duration = Duration::from_secs(1);
/// For so long at least the map stays as a checkpoint has it, for those who answer by it.
const HELD: Duration = Duration::from_millis(20);
/// The most attestations under one leaf more than under the one before. They are in memory at once.
const STEP: u64 = 4096;

/// How far the map is.
#[derive(Debug, Clone, Default)]
pub(super) struct Covered {
    /// How many attestations it has.
    pub size: u64,
    /// The newest checkpoint of the attestations that the map was brought up to. The map may be on its
    /// way to the next.
    pub checkpoint: Option<Arc<Published>>,
}

/// What keeps the index log up.
pub(super) struct Indexer {
    task: JoinHandle<()>,
}

impl Indexer {
    /// Brings the map up to its log, and starts to follow the attestations, if it `may_log`. How far
    /// the map is, is sent to `covered`.
    ///
    /// # Errors
    /// A map or a log that does not follow from the attestations, or a failing database.
    pub(super) fn start(
        index: Arc<Index>,
        (log, shown): (Log, Shown),
        attestations: Shown,
        covered: watch::Sender<Covered>,
        may_log: bool,
    ) -> Result<Self, Error> {
        let worker = Worker { index, log, shown, attestations };
        catch_up(&worker.index, worker.shown.published().size())?;
        let (size, published) = (mapped(&worker.index)?, worker.attestations.published());
        let checkpoint = Some(published).filter(|published| published.size() == size);
        covered.send_replace(Covered { size, checkpoint });
        let follow = async move {
            if may_log {
                follow(worker, covered).await;
            }
        };
        Ok(Self { task: tokio::spawn(follow) })
    }

    /// Waits for the end, which comes when the attestations log is closed.
    pub(super) async fn ended(self) {
        let _ = self.task.await;
    }
}

async fn follow(mut worker: Worker, covered: watch::Sender<Covered>) {
    let mut changes = worker.attestations.clone();
    let mut next = Instant::now();
    loop {
        let grown = tokio::task::spawn_blocking(move || {
            let grown = worker.grow();
            (worker, grown)
        });
        let Ok((back, grown)) = grown.await else { return };
        worker = back;
        match grown {
            Ok(grown) => {
                let before = covered.borrow().checkpoint.clone();
                covered.send_replace(Covered { checkpoint: grown.checkpoint.or(before), ..grown });
            }
            Err(error) => tracing::error!(%error, "the index log was not brought up to date"),
        }
        if !pause(&mut changes, next.max(Instant::now() + HELD)).await {
            return;
        }
        next = Instant::now() + INTERVAL;
    }
}

/// Waits until there is something new, and `until` is over. False when there will be nothing.
async fn pause(changes: &mut Shown, until: Instant) -> bool {
    if !changes.changes().await {
        return false;
    }
    loop {
        tokio::select! {
            () = sleep_until(until) => return true,
            more = changes.changes() => if !more { return false },
        }
    }
}

struct Worker {
    index: Arc<Index>,
    log: Log,
    /// The log as its readers see it.
    shown: Shown,
    attestations: Shown,
}

impl Worker {
    /// Logs leaves until all published attestations are covered, and answers with how far it came.
    fn grow(&mut self) -> Result<Covered, Error> {
        let attestations = self.attestations.published();
        loop {
            self.wait_until_seen();
            // What a crash, or an end while witnesses were away, has left unfinished.
            catch_up(&self.index, self.shown.published().size())?;
            let from = mapped(&self.index)?;
            if from >= attestations.size() || self.shown.published().size() < self.log.size() {
                let checkpoint = Some(attestations).filter(|it| it.size() == from);
                return Ok(Covered { size: from, checkpoint });
            }
            self.grow_to((from + STEP).min(attestations.size()), from, &attestations)?;
        }
    }

    /// Waits until every leaf is published, or none will be any more. The map on disk is never ahead
    /// of what readers can verify, and no leaf is logged over one that they cannot see.
    fn wait_until_seen(&self) {
        let seen_or_over = async {
            tokio::select! {
                () = self.shown.reaches(self.log.size()) => {}
                () = self.attestations.ends() => {}
            }
        };
        tokio::runtime::Handle::current().block_on(seen_or_over);
    }

    fn grow_to(&mut self, size: u64, from: u64, published: &Published) -> Result<(), Error> {
        let entries = entries(&self.index, from, size)?;
        let nodes = self.attestations.nodes(published);
        let root = merkle::root(size, &nodes).map_err(unreadable)?;
        let grown = self.index.grown_map(&entries, root)?;
        let mut stage = self.log.stage();
        let mut batch = self.index.batch();
        let number = stage.append(&mut batch, &grown.leaf().to_bytes())?;
        batch.commit()?;
        self.log.written(stage);
        self.log.sign().map_err(|error| self.index.halt(&error))?;
        self.wait_until_seen();
        if self.shown.published().size() > number { grown.commit(number) } else { Ok(()) }
    }
}

/// Grows the map over leaves that were logged before, the first `to` of the log. Each must come out as
/// it was.
///
/// # Errors
/// As of [`Indexer::start`].
pub(super) fn catch_up(index: &Index, to: u64) -> Result<(), Error> {
    let known = index.map_state()?.map_or(0, |state| state.number + 1);
    for number in known..to {
        let bytes = index.log_entries(LogId::Index, number, 1)?;
        let leaf = bytes.first().and_then(|bytes| IndexLeaf::parse(bytes).ok());
        let leaf = leaf.ok_or_else(|| damaged(number, "does not read"))?;
        let from = mapped(index)?;
        if leaf.size < from || leaf.size - from > STEP {
            return Err(damaged(number, "is of another size than it can be"));
        }
        let grown = index.grown_map(&entries(index, from, leaf.size)?, leaf.attestations)?;
        if *grown.leaf() != leaf {
            return Err(damaged(number, "does not follow from the attestations"));
        }
        grown.commit(number)?;
    }
    Ok(())
}

/// How many attestations the map covers.
fn mapped(index: &Index) -> Result<u64, Error> {
    Ok(index.map_state()?.map_or(0, |state| state.leaf.size))
}

fn entries(index: &Index, from: u64, to: u64) -> Result<Vec<Entry>, Error> {
    let count = usize::try_from(to - from).unwrap_or(usize::MAX);
    let entries = index.log_entries(LogId::Attestations, from, count)?;
    if entries.len() < count {
        return Err(Error::Damaged(format!("the attestations log ends before {to}")));
    }
    let parse = |bytes: &Vec<u8>| Entry::parse(bytes);
    entries
        .iter()
        .map(parse)
        .collect::<Result<_, _>>()
        .map_err(|error| Error::Damaged(format!("an attestation after {from}: {error}")))
}

fn damaged(number: u64, why: &str) -> Error {
    Error::Damaged(format!("leaf {number} of the index log {why}"))
}
