//! Collection: finds NARs that nobody needs, and lets them go in two steps.
//!
//! First a NAR is *unlisted*: narinfos do not name it any more, and say why. Then, once it is promised
//! to nobody, it is *swept*: forgotten, durably, and its file removed. Both are orders of the
//! [sequencer](crate::ledger::sequencer), where they meet uploads, attestations, pins and promises one
//! by one: what a collection found out in the meantime is looked at again there. A crash leaves a NAR
//! as it was, unlisted, or forgotten with a note that its file is to be removed; each is a state in
//! which the pool starts, and from which the next collection goes on.

mod mark;
mod paced;
mod sweep;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use schema::api::{GcFate, GcLine, GcNar, GcSummary};
use schema::hash::NarHash;
use schema::store_path::StorePath;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};

use crate::blobs::Blobs;
use crate::clock;
use crate::config::Config;
use crate::index::{BlobRecord, Index, Marks, UnlistedRecord, Why};
use crate::ledger::sequencer::{Roots, Sequencer, Unneeded};
use crate::place::{Place, at};
use crate::rejected::{Error, Failure};
use crate::roll::Roll;
use paced::Pace;
use sweep::sweep;

pub use sweep::remove;

/// NARs that are looked at, and swept, together.
const CHUNK: usize = 256;
/// Paths of a NAR that are told.
const TOLD_PATHS: usize = 4;

/// What one pool's collections share.
#[derive(Default)]
pub struct Gc {
    /// One at a time.
    turn: Mutex<()>,
    stopping: AtomicBool,
    /// Bytes of files that are here, as far as was counted: what came since the last collection is in it.
    stored: AtomicU64,
    full: Notify,
}

impl Gc {
    /// Counts a NAR that has come.
    pub fn arrived(&self, file_size: u64, config: &Config) {
        let stored = self.stored.fetch_add(file_size, Ordering::Relaxed).saturating_add(file_size);
        if config.max_stored.is_some_and(|most| stored > most) {
            self.full.notify_one();
        }
    }

    /// Waits until more is stored than may be.
    pub async fn full(&self) {
        self.full.notified().await;
    }

    /// Ends the collection that runs, if one does, and lets none begin.
    pub async fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        let _turn = self.turn.lock().await;
    }
}

/// What a collection works on.
pub struct Parts<'p> {
    /// What the collections of the pool share.
    pub gc: &'p Gc,
    /// The index.
    pub index: &'p Index,
    /// The NARs.
    pub blobs: &'p Blobs,
    /// Where everything is decided.
    pub sequencer: &'p Sequencer,
    /// What the operator wants to stay.
    pub config: &'p Config,
    /// Who may attest.
    pub roll: &'p Roll,
}

/// How to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct How {
    /// Only say what would go.
    pub dry_run: bool,
    /// Rest as long as it works, so that whoever else uses the disk gets half of it at least.
    pub gently: bool,
}

/// Collects, on a thread that may block. `tell` is told of each NAR that does not simply stay; once it
/// answers that nobody listens, nothing more is told.
///
/// # Errors
/// A clock that may be wrong; and when the database or the disk fails: what was done until then stays done.
pub fn collect(
    parts: &Parts<'_>,
    how: How,
    tell: &mut dyn FnMut(GcLine),
) -> Result<GcSummary, Failure> {
    if !how.dry_run {
        check(parts.index)?;
    }
    let _turn = parts.gc.turn.blocking_lock();
    let began = Instant::now();
    let runtime = Handle::current();
    let roots = runtime.block_on(parts.sequencer.roots())?;
    runtime.block_on(at(Place::Rooted));
    let mut collection = Collection {
        parts,
        runtime,
        how,
        roots,
        now: clock::now(),
        pace: Pace::new(how.gently),
        summary: GcSummary::default(),
        tell,
    };
    collection.run()?;
    let mut summary = collection.summary;
    summary.millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    if !how.dry_run {
        let stored = summary.kept_bytes + summary.waiting_bytes;
        parts.gc.stored.store(stored, Ordering::Relaxed);
    }
    Ok(summary)
}

/// Whether anything may be collected now.
///
/// # Errors
/// A clock that may be wrong, or a database that takes nothing.
pub fn check(index: &Index) -> Result<(), Error> {
    index.check_writable()?;
    Ok(clock::check()?)
}

struct Collection<'c> {
    parts: &'c Parts<'c>,
    runtime: Handle,
    how: How,
    roots: Roots,
    /// When it began, POSIX seconds.
    now: u64,
    pace: Pace,
    summary: GcSummary,
    tell: &'c mut dyn FnMut(GcLine),
}

/// NARs of one chunk, by what is to become of them.
#[derive(Default)]
struct Chunk {
    unneeded: Vec<(Unneeded, u64)>,
    needed: Vec<(NarHash, u64)>,
    waiting: Vec<(NarHash, u64, u64, UnlistedRecord)>,
}

impl Collection<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        let mut marks = self.parts.index.marks()?;
        let why = self.mark(&mut marks)?;
        self.summary.has_rule = why.is_some();
        self.runtime.block_on(at(Place::Marked));
        let mut after = None;
        while !self.parts.gc.stopping.load(Ordering::Relaxed) {
            let blobs = self.parts.index.blobs_after(after.as_ref(), CHUNK)?;
            let Some((last, _)) = blobs.last() else { break };
            after = Some(*last);
            let chunk = self.sort(&marks, why.as_deref(), &blobs)?;
            self.settle(chunk, why.as_deref().unwrap_or_default())?;
            self.pace.rest();
        }
        Ok(())
    }

    /// Without rules everything stays that was not taken down.
    fn sort(
        &mut self,
        marks: &Marks<'_>,
        why: Option<&str>,
        blobs: &[(NarHash, BlobRecord)],
    ) -> Result<Chunk, Error> {
        let index = self.parts.index;
        let hashes: Vec<NarHash> = blobs.iter().map(|(nar_hash, _)| *nar_hash).collect();
        let leases = index.leases(&hashes)?;
        self.runtime.block_on(at(Place::Leased));
        let mut chunk = Chunk::default();
        for ((nar_hash, blob), lease) in blobs.iter().zip(leases) {
            let (nar_hash, size) = (*nar_hash, blob.file.file_size);
            let leased_until = lease.map_or(0, |lease| lease.until);
            let unlisted = index.unlisted(&nar_hash, true)?;
            // What came since the marks were set is not marked, and nobody knows whether it is needed.
            let is_new = blob.stored_at >= self.now;
            let needed = why.is_none() || is_new || marks.has_nar(&nar_hash)?;
            match unlisted {
                Some(it) if needed && it.why == Why::Collected => {
                    chunk.needed.push((nar_hash, size));
                }
                Some(it) => chunk.waiting.push((nar_hash, size, leased_until, it)),
                None if needed => self.stays(size),
                // Nobody has attested it yet, but was to.
                None if leased_until >= self.now
                    && index.paths_of_nar(&nar_hash, 1)?.is_empty() =>
                {
                    self.stays(size);
                }
                None => chunk.unneeded.push((Unneeded { nar_hash, leased_until }, size)),
            }
        }
        Ok(chunk)
    }

    fn stays(&mut self, size: u64) {
        self.summary.kept += 1;
        self.summary.kept_bytes += size;
    }

    fn settle(&mut self, chunk: Chunk, detail: &str) -> Result<(), Failure> {
        self.runtime.block_on(at(Place::Sorted));
        self.relist(&chunk.needed)?;
        let why = UnlistedRecord { why: Why::Collected, detail: detail.to_owned(), at: self.now };
        let unlisted = self.unlist(chunk.unneeded, &why)?;
        let mut due = Vec::new();
        let unlisted = unlisted
            .into_iter()
            .map(|(it, size)| (it.nar_hash, size, it.leased_until, why.clone()));
        for nar in chunk.waiting.into_iter().chain(unlisted) {
            let (_, size, leased_until, _) = nar;
            if leased_until < self.now {
                due.push(nar);
            } else {
                self.summary.waiting += 1;
                self.summary.waiting_bytes += size;
            }
        }
        self.sweep(due)
    }

    fn relist(&mut self, needed: &[(NarHash, u64)]) -> Result<(), Failure> {
        if needed.is_empty() {
            return Ok(());
        }
        let nars: Vec<NarHash> = needed.iter().map(|(nar_hash, _)| *nar_hash).collect();
        if !self.how.dry_run {
            self.order(self.parts.sequencer.relist(nars))?;
        }
        for (nar_hash, size) in needed {
            self.summary.relisted += 1;
            self.stays(*size);
            self.told(nar_hash, *size, GcFate::Relisted, "it is needed again", 0)?;
        }
        Ok(())
    }

    fn unlist(
        &mut self,
        unneeded: Vec<(Unneeded, u64)>,
        why: &UnlistedRecord,
    ) -> Result<Vec<(Unneeded, u64)>, Failure> {
        if unneeded.is_empty() {
            return Ok(unneeded);
        }
        let nars: Vec<Unneeded> = unneeded.iter().map(|(it, _)| *it).collect();
        let done = match self.how.dry_run {
            true => vec![true; nars.len()],
            false => self.order(self.parts.sequencer.unlist(self.roots, nars, why.clone()))?,
        };
        let mut unlisted = Vec::new();
        for ((nar, size), done) in unneeded.into_iter().zip(done) {
            if done {
                self.summary.unlisted += 1;
                self.summary.unlisted_bytes += size;
                self.told(&nar.nar_hash, size, GcFate::Unlisted, &why.detail, nar.leased_until)?;
                unlisted.push((nar, size));
            } else {
                // Somebody wants it after all; or there is another pin.
                self.stays(size);
            }
        }
        Ok(unlisted)
    }

    fn sweep(&mut self, due: Vec<(NarHash, u64, u64, UnlistedRecord)>) -> Result<(), Failure> {
        if due.is_empty() {
            return Ok(());
        }
        let nars: Vec<NarHash> = due.iter().map(|(nar_hash, ..)| *nar_hash).collect();
        let swept = match self.how.dry_run {
            true => vec![true; nars.len()],
            false => self.order(sweep(self.parts, self.roots, nars, self.now))?,
        };
        for ((nar_hash, size, leased_until, why), swept) in due.into_iter().zip(swept) {
            if swept {
                self.summary.swept += 1;
                self.summary.swept_bytes += size;
                self.told(&nar_hash, size, GcFate::Swept, &why.detail, leased_until)?;
            } else {
                self.summary.waiting += 1;
                self.summary.waiting_bytes += size;
            }
        }
        Ok(())
    }

    fn order<T>(&self, order: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.runtime.block_on(order)
    }

    fn told(
        &mut self,
        nar_hash: &NarHash,
        file_size: u64,
        fate: GcFate,
        why: &str,
        leased_until: u64,
    ) -> Result<(), Error> {
        let paths = self.paths(nar_hash)?;
        let why = why.to_owned();
        let nar = GcNar { nar_hash: *nar_hash, paths, file_size, fate, why, leased_until };
        (self.tell)(GcLine::Nar(nar));
        Ok(())
    }

    fn paths(&self, nar_hash: &NarHash) -> Result<Vec<StorePath>, Error> {
        let mut paths = Vec::new();
        for hash_part in self.parts.index.paths_of_nar(nar_hash, TOLD_PATHS)? {
            let claims = self.parts.index.path(&hash_part)?.unwrap_or_default().claims;
            let has_it = claims.iter().find(|it| it.claim.nar_hash() == *nar_hash);
            paths.extend(has_it.map(|it| it.claim.path().clone()));
        }
        Ok(paths)
    }
}

/// How often the rules are looked at, when there is nothing that hurries.
#[must_use]
pub fn interval(config: &Config) -> Option<Duration> {
    Some(config.gc_interval).filter(|interval| !interval.is_zero())
}
