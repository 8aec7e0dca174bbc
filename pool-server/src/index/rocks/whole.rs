//! The whole index at once: copies of it, and what goes through all of it a piece at a time.

use std::path::Path;

use rocksdb::DB;
use rocksdb::checkpoint::Checkpoint;
use schema::hash::NarHash;

use super::{Index, failed, open_error};
use crate::index::families::{self, BLOBS};
use crate::index::{ElsewhereRecord, LeaseRecord};
use crate::rejected::Error;

/// Records that are read together.
const PAGE: usize = 1000;

impl Index {
    /// Opens a copy that nobody works in, without changing it.
    ///
    /// # Errors
    /// A directory that holds no whole index of this version.
    pub fn open_to_read(dir: &Path) -> Result<Self, Error> {
        let options = families::database_options().map_err(|error| open_error(dir, &error))?;
        let families = families::descriptors();
        let database = DB::open_cf_descriptors_read_only(&options, dir, families, false)
            .map_err(|error| open_error(dir, &error))?;
        Ok(Self::of(database, dir, false))
    }

    /// As [`open`](Self::open), for one that is thrown away if the process or the machine dies before
    /// it is whole: changes wait for no disk, until all do in [`sync`](Self::sync).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_to_fill(dir: &Path) -> Result<Self, Error> {
        Ok(Self { durable: false, ..Self::open(dir)? })
    }

    /// Waits until all changes would survive a crash of the machine.
    ///
    /// # Errors
    /// When they could not be written.
    pub fn sync(&self) -> Result<(), Error> {
        self.database.flush_wal(true).map_err(failed)
    }

    /// Puts a copy of the index, as it is at this moment, into `dir`, which must not be there yet. Its
    /// large files are the same ones under second names where the file system allows: they never
    /// change.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn copy_to(&self, dir: &Path) -> Result<(), Error> {
        Checkpoint::new(&self.database)
            .and_then(|checkpoint| checkpoint.create_checkpoint(dir))
            .map_err(failed)
    }

    /// Promises every NAR that is here for so long at least, as POSIX seconds.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn promise_all(&self, until: u64) -> Result<(), Error> {
        let mut last = None;
        loop {
            let page = self.blobs_after(last.as_ref(), PAGE)?;
            let Some((nar_hash, _)) = page.last() else { return Ok(()) };
            last = Some(*nar_hash);
            let hashes: Vec<NarHash> = page.iter().map(|(nar_hash, _)| *nar_hash).collect();
            let mut batch = self.batch();
            for ((nar_hash, blob), known) in page.iter().zip(self.leases(&hashes)?) {
                let file_hash = blob.file.file_hash;
                if known.is_none_or(|known| !known.covers(&file_hash, until)) {
                    batch.put_lease(nar_hash, &LeaseRecord { until, file_hash })?;
                }
            }
            batch.commit()?;
        }
    }

    /// Makes it so that a NAR is not here: no path names its file. `elsewhere` is where it may be had.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn forget_nar(
        &self,
        nar_hash: &NarHash,
        elsewhere: Option<&ElsewhereRecord>,
    ) -> Result<(), Error> {
        let mut batch = self.batch();
        batch.delete(&BLOBS, nar_hash.as_bytes())?;
        for hash_part in self.paths_of_nar(nar_hash, usize::MAX)? {
            let Some(mut path) = self.path(&hash_part)? else { continue };
            for claim in path.claims.iter_mut().filter(|it| it.claim.nar_hash() == *nar_hash) {
                claim.file = None;
            }
            batch.put_path(&hash_part, &path)?;
        }
        if let Some(elsewhere) = elsewhere {
            batch.put_elsewhere(nar_hash, elsewhere)?;
        }
        batch.commit()
    }
}
