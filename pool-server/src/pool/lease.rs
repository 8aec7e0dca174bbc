//! Promises: a narinfo is served only once its NAR is promised for longer than anybody remembers it.
//!
//! A promise is made for a quarter longer than it must hold, so that a NAR which is asked for all the
//! time is promised anew only when that quarter is over: most answers write nothing.

use std::time::Duration;

use schema::hash::{FileHash, NarHash};
use schema::store_path::HashPart;

use super::Pool;
use crate::clock;
use crate::config::AbsentNars;
use crate::index::{ClaimRecord, FileRecord, LeaseRecord};
use crate::ledger::sequencer::MAX_GROUP;
use crate::place::{Place, at};
use crate::rejected::{Error, Failure};

/// A file that an answer names.
pub(super) type Named = (NarHash, FileHash);

impl Pool {
    /// Promises files for so long. Answers with whether each is: one that is not has just gone, and
    /// must not be named.
    pub(super) async fn lease(&self, files: &[Named], lease: Duration) -> Result<Vec<bool>, Error> {
        let until = clock::latest().saturating_add(lease.as_secs());
        let hashes: Vec<NarHash> = files.iter().map(|(nar_hash, _)| *nar_hash).collect();
        let known = self.index.leases(&hashes)?;
        let covers = |((_, file_hash), known): (&Named, &Option<_>)| {
            known.is_some_and(|it: LeaseRecord| it.covers(file_hash, until))
        };
        let mut promised: Vec<bool> = files.iter().zip(&known).map(covers).collect();
        let mut open = Vec::new();
        for (which, (nar_hash, _)) in files.iter().enumerate() {
            promised[which] = promised[which] || self.is_elsewhere(nar_hash)?;
            if !promised[which] {
                open.push(which);
            }
        }
        let longer = until.saturating_add(lease.as_secs() / 4);
        for open in open.chunks(MAX_GROUP) {
            at(Place::TooShort).await;
            let wanted: Vec<Named> = open.iter().map(|open| files[*open]).collect();
            let leased = self.promise(wanted, longer).await?;
            for (open, leased) in open.iter().zip(leased) {
                promised[*open] = leased;
            }
        }
        Ok(promised)
    }

    async fn promise(&self, files: Vec<Named>, until: u64) -> Result<Vec<bool>, Error> {
        if self.index.check_writable().is_ok() {
            match self.ledger.sequencer().lease(files.clone(), until).await.map_err(ours) {
                Err(Error::Halted(_)) => {}
                leased => return leased,
            }
        }
        // Readers are not held up: while nothing can be written, nothing is swept, either.
        files.iter().map(|named| self.remember(named, until)).collect()
    }

    /// Promises those of these NARs that are here and shown. Answers with the file of each.
    pub(super) async fn lease_nars(
        &self,
        nar_hashes: &[NarHash],
        lease: Duration,
    ) -> Result<Vec<Option<FileRecord>>, Error> {
        let blobs = self.index.blobs(nar_hashes)?;
        let mut files: Vec<Option<FileRecord>> =
            blobs.into_iter().map(|blob| blob.map(|blob| blob.file)).collect();
        let named: Vec<Named> = nar_hashes
            .iter()
            .zip(&files)
            .filter_map(|(nar_hash, file)| Some((*nar_hash, file.as_ref()?.file_hash)))
            .collect();
        let mut promised = self.lease(&named, lease).await?.into_iter();
        for file in files.iter_mut().filter(|file| file.is_some()) {
            file.take_if(|_| !promised.next().unwrap_or_default());
        }
        Ok(files)
    }

    /// Promises all NARs of these paths, so that what is then read of them holds.
    pub(super) async fn lease_paths(&self, hash_parts: &[HashPart]) -> Result<(), Error> {
        let mut files = Vec::new();
        for hash_part in hash_parts {
            let record = self.index.path(hash_part)?.unwrap_or_default();
            let named =
                |it: &ClaimRecord| it.file.map(|file| (it.claim.nar_hash(), file.file_hash));
            files.extend(record.claims.iter().filter_map(named));
        }
        self.lease(&files, self.config.lease).await.map(drop)
    }

    /// Narinfos name NARs that are not here only where the operator has clients sent elsewhere: what is
    /// promised of them is whoever's who has them.
    fn is_elsewhere(&self, nar_hash: &NarHash) -> Result<bool, Error> {
        Ok(self.config.absent_nars != AbsentNars::Refuse
            && self.index.blob(nar_hash)?.is_none()
            && self.index.elsewhere(nar_hash)?.is_some())
    }
}

/// A promise is refused by an answer, and never by an error of whoever asks.
fn ours(failure: Failure) -> Error {
    match failure {
        Failure::Error(error) => error,
        Failure::Rejected(rejected) => Error::Index(rejected.detail),
    }
}
