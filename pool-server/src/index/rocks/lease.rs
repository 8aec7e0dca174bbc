//! Leases, and NARs that are not shown any more.

use rocksdb::{Direction, IteratorMode};
use schema::hash::{FileHash, NarHash};
use schema::store_path::HashPart;

use super::{Batch, Index, damaged, failed, from_json, to_json};
use crate::index::families::{BLOBS, DELETIONS, LEASES, LISTINGS, UNLISTED};
use crate::index::{DeletionRecord, LeaseRecord, Listing, UnlistedRecord};
use crate::rejected::Error;

impl Index {
    /// Until when is this NAR promised, if it ever was?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn lease(&self, nar_hash: &NarHash) -> Result<Option<LeaseRecord>, Error> {
        self.read(&LEASES, nar_hash.as_bytes(), read_lease)
    }

    /// Until when is each of these NARs promised? In the order asked.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn leases(&self, nar_hashes: &[NarHash]) -> Result<Vec<Option<LeaseRecord>>, Error> {
        let keys = nar_hashes.iter().map(NarHash::as_bytes);
        let values = self.database.batched_multi_get_cf(self.family(&LEASES)?, keys, false);
        let parse = |value: Result<Option<rocksdb::DBPinnableSlice<'_>>, rocksdb::Error>| {
            value.map_err(failed)?.map(|bytes| read_lease(&bytes)).transpose()
        };
        values.into_iter().map(parse).collect()
    }

    /// Is this NAR here, and do narinfos name it?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn listing_state(&self, nar_hash: &NarHash) -> Result<Listing, Error> {
        let here = self.blob(nar_hash)?.is_some();
        let unlisted = self.unlisted(nar_hash, here)?;
        Ok(match (here, unlisted) {
            (true, None) => Listing::Listed,
            (true, Some(why)) => Listing::Unlisted(why),
            (false, Some(why)) => Listing::Gone(why),
            (false, None) => Listing::Absent,
        })
    }

    /// Why does no narinfo name this NAR, which is `here` or was?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn unlisted(
        &self,
        nar_hash: &NarHash,
        here: bool,
    ) -> Result<Option<UnlistedRecord>, Error> {
        self.read(&UNLISTED, &unlisted_key(here, nar_hash), |bytes| from_json(&UNLISTED, bytes))
    }

    /// NARs that are here and that no narinfo names, after this one in the order of their hashes; at
    /// most `limit`.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn unlisted_here(
        &self,
        after: Option<&NarHash>,
        limit: usize,
    ) -> Result<Vec<(NarHash, UnlistedRecord)>, Error> {
        let start = after.map_or_else(|| vec![0], |after| unlisted_key(true, after));
        let mode = IteratorMode::From(&start, Direction::Forward);
        let mut found = Vec::new();
        for row in self.database.iterator_cf(self.family(&UNLISTED)?, mode) {
            let (key, value) = row.map_err(failed)?;
            let Some(hash) = key.strip_prefix(&[0]) else { break };
            let hash = NarHash::from_bytes(hash.try_into().map_err(|_| damaged(UNLISTED.name))?);
            if after == Some(&hash) {
                continue;
            }
            if found.len() == limit {
                break;
            }
            found.push((hash, from_json(&UNLISTED, &value)?));
        }
        Ok(found)
    }

    /// Why did the operator take this path down, if that was done?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn deletion(&self, hash_part: &HashPart) -> Result<Option<DeletionRecord>, Error> {
        self.read(&DELETIONS, hash_part.as_bytes(), |bytes| from_json(&DELETIONS, bytes))
    }

    /// Paths that the operator took down, after this one in the order of their hash parts; at most
    /// `limit`.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn deletions(
        &self,
        after: Option<&HashPart>,
        limit: usize,
    ) -> Result<Vec<DeletionRecord>, Error> {
        let start = after.map_or(&[][..], |after| after.as_bytes());
        let mode = IteratorMode::From(start, Direction::Forward);
        let rows = self.database.iterator_cf(self.family(&DELETIONS)?, mode);
        let is_later = |row: &Result<(Box<[u8]>, _), _>| {
            row.as_ref().map_or(true, |(key, _)| after.is_none() || **key != *start)
        };
        rows.filter(is_later)
            .take(limit)
            .map(|row| from_json(&DELETIONS, &row.map_err(failed)?.1))
            .collect()
    }
}

impl Batch<'_> {
    /// Promises a NAR.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_lease(&mut self, nar_hash: &NarHash, lease: &LeaseRecord) -> Result<(), Error> {
        let value = [lease.until.to_be_bytes().as_slice(), lease.file_hash.as_bytes()].concat();
        self.put(&LEASES, nar_hash.as_bytes(), &value)
    }

    /// Remembers why no narinfo names a NAR that is here.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_unlisted(&mut self, nar_hash: &NarHash, why: &UnlistedRecord) -> Result<(), Error> {
        self.delete(&UNLISTED, &unlisted_key(false, nar_hash))?;
        self.put(&UNLISTED, &unlisted_key(true, nar_hash), &to_json(why)?)
    }

    /// Forgets that a NAR was not shown.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn delete_unlisted(&mut self, nar_hash: &NarHash) -> Result<(), Error> {
        self.delete(&UNLISTED, &unlisted_key(true, nar_hash))?;
        self.delete(&UNLISTED, &unlisted_key(false, nar_hash))
    }

    /// Forgets a NAR, and remembers why it is not here.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn delete_blob(&mut self, nar_hash: &NarHash, why: &UnlistedRecord) -> Result<(), Error> {
        for family in [&BLOBS, &LISTINGS, &LEASES] {
            self.delete(family, nar_hash.as_bytes())?;
        }
        self.delete(&UNLISTED, &unlisted_key(true, nar_hash))?;
        self.put(&UNLISTED, &unlisted_key(false, nar_hash), &to_json(why)?)
    }

    /// Remembers why a path was taken down.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_deletion(
        &mut self,
        hash_part: &HashPart,
        deletion: &DeletionRecord,
    ) -> Result<(), Error> {
        self.put(&DELETIONS, hash_part.as_bytes(), &to_json(deletion)?)
    }

    /// Forgets that a path was taken down.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn delete_deletion(&mut self, hash_part: &HashPart) -> Result<(), Error> {
        self.delete(&DELETIONS, hash_part.as_bytes())
    }
}

/// Those that are here stand together, first.
fn unlisted_key(here: bool, nar_hash: &NarHash) -> Vec<u8> {
    [&[u8::from(!here)], nar_hash.as_bytes().as_slice()].concat()
}

fn read_lease(bytes: &[u8]) -> Result<LeaseRecord, Error> {
    let parts =
        bytes.split_first_chunk().and_then(|(until, rest)| Some((until, rest.first_chunk()?)));
    let (until, file_hash) =
        parts.filter(|_| bytes.len() == 40).ok_or_else(|| damaged(LEASES.name))?;
    Ok(LeaseRecord {
        until: u64::from_be_bytes(*until),
        file_hash: FileHash::from_bytes(*file_hash),
    })
}
