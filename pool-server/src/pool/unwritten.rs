//! Promises that were made while nothing could be written. They are kept in memory, and written once the
//! pool is opened anew. Should the process be killed before that, they are forgotten: then a NAR that
//! was promised to nobody else may be collected before its time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use schema::hash::{FileHash, NarHash};

use super::Pool;
use super::lease::Named;
use crate::index::{Listing, Why};
use crate::ledger::sequencer::MAX_GROUP;
use crate::rejected::{Error, Failure, Halted};

/// The most NARs that are promised so: more are not held in memory.
const MOST: usize = 1 << 20;

/// A promise that is not written yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    nar_hash: NarHash,
    file_hash: FileHash,
    /// POSIX seconds.
    until: u64,
}

#[derive(Default)]
pub(super) struct Unwritten(Mutex<HashMap<NarHash, Promise>>);

impl Unwritten {
    fn lock(&self) -> MutexGuard<'_, HashMap<NarHash, Promise>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers with whether there was room for it.
    fn add(&self, promise: Promise) -> bool {
        let mut promises = self.lock();
        if promises.len() >= MOST && !promises.contains_key(&promise.nar_hash) {
            return false;
        }
        let known = promises.entry(promise.nar_hash).or_insert(promise);
        if known.until < promise.until {
            *known = promise;
        }
        true
    }
}

impl Pool {
    /// Promises a file in memory. Answers with whether it could: the file must be here, and shown.
    pub(super) fn remember(&self, named: &Named, until: u64) -> Result<bool, Error> {
        let (nar_hash, file_hash) = *named;
        let is_it = self.index.blob(&nar_hash)?.is_some_and(|it| it.file.file_hash == file_hash);
        if !is_it || self.index.unlisted(&nar_hash, true)?.is_some() {
            return Ok(false);
        }
        if self.unwritten.add(Promise { nar_hash, file_hash, until }) {
            return Ok(true);
        }
        let too_many = Error::Index("too many promises could not be written".to_owned());
        Err(self.index.check_writable().err().unwrap_or_else(|| Halted::by(&too_many)).into())
    }

    /// What was promised and not written, for the pool that is opened after this one.
    #[must_use]
    pub fn unwritten(&self) -> Vec<Promise> {
        self.unwritten.lock().values().copied().collect()
    }

    /// Writes what was promised by the pool that was open before. If that fails, too, the promises wait
    /// in memory again.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn write_promises(&self, promises: &[Promise]) -> Result<(), Error> {
        for promises in promises.chunks(MAX_GROUP) {
            match self.try_write_promises(promises).await {
                Ok(()) => {}
                Err(Failure::Error(Error::Halted(_))) => {
                    promises.iter().for_each(|promise| {
                        self.unwritten.add(*promise);
                    });
                }
                Err(Failure::Error(error)) => return Err(error),
                Err(Failure::Rejected(rejected)) => return Err(Error::Index(rejected.detail)),
            }
        }
        Ok(())
    }

    async fn try_write_promises(&self, promises: &[Promise]) -> Result<(), Failure> {
        let mut hidden = Vec::new();
        for Promise { nar_hash, .. } in promises {
            // By a group of changes of which nobody knew whether it was written.
            let state = self.index.listing_state(nar_hash)?;
            if matches!(state, Listing::Unlisted(it) if it.why == Why::Collected) {
                hidden.push(*nar_hash);
            }
        }
        let sequencer = self.ledger.sequencer();
        if !hidden.is_empty() {
            sequencer.relist(hidden).await?;
        }
        let files = promises.iter().map(|it| (it.nar_hash, it.file_hash)).collect();
        let until = promises.iter().map(|it| it.until).max().unwrap_or_default();
        sequencer.lease(files, until).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_promise_is_kept() {
        let unwritten = Unwritten::default();
        let promise = |until| Promise {
            nar_hash: NarHash::of(b"a NAR"),
            file_hash: FileHash::of(b"its file"),
            until,
        };
        for until in [20, 30, 10] {
            assert!(unwritten.add(promise(until)));
        }
        assert_eq!(unwritten.lock().values().copied().collect::<Vec<_>>(), [promise(30)]);
    }
}
