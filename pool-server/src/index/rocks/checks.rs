//! What was found when the pool looked through what it keeps, and how far it has come with that.

use rocksdb::WriteOptions;
use schema::hash::{NarHash, PathKey};
use schema::store_path::HashPart;

use super::{Batch, Index, Met, Part, Row, damaged, failed, from_json, to_json};
use crate::index::families::{CHECKS, MIRRORED_UNHEARD, NAR_PATHS};
use crate::index::{BlobRecord, LedgerId, LostRecord, PassRecord};
use crate::rejected::Error;

/// What the keys of the family's rows begin with. What follows [`DAMAGED`] is the NAR's hash.
const LOST: &[u8] = &[1];
const DAMAGED: u8 = 2;
const PASS: u8 = 3;

impl Index {
    /// Which NARs wait to be brought again because their files were damaged? At most `limit` of
    /// them.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn all_damaged(&self, limit: usize) -> Result<Vec<NarHash>, Error> {
        let rows = self.first_rows(&CHECKS, &[DAMAGED], limit)?;
        let parse = |(key, _): (Vec<u8>, Vec<u8>)| {
            let hash = key[1..].try_into().map_err(|_| damaged(CHECKS.name))?;
            Ok(NarHash::from_bytes(hash))
        };
        rows.into_iter().map(parse).collect()
    }

    /// How far has the pass over all NARs with this name come?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn pass(&self, name: &str) -> Result<Option<PassRecord>, Error> {
        self.read(&CHECKS, &pass_key(name), |bytes| from_json(&CHECKS, bytes))
    }

    /// Replaces how far a pass over all NARs has come, durably.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn put_pass(&self, name: &str, pass: &PassRecord) -> Result<(), Error> {
        self.put_durably(&pass_key(name), &to_json(pass)?)
    }

    /// Was the database found without its end, and nobody has looked through it since?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn lost(&self) -> Result<Option<LostRecord>, Error> {
        self.read(&CHECKS, LOST, |bytes| from_json(&CHECKS, bytes))
    }

    /// Forgets that the database was found without its end.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn clear_lost(&self) -> Result<(), Error> {
        let mut batch = self.batch();
        batch.delete(&CHECKS, LOST)?;
        batch.commit()
    }

    /// Remembers that the database was found without its end. What is remembered stays.
    pub(super) fn note_lost(&self, lost: &LostRecord) -> Result<(), Error> {
        if self.lost()?.is_some() {
            return Ok(());
        }
        self.put_durably(LOST, &to_json(lost)?)
    }

    /// The NARs after this one, in the order of their hashes, at most `limit` of them. Records that
    /// do not read are passed over.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn blobs_after(
        &self,
        after: Option<&NarHash>,
        limit: usize,
    ) -> Result<Vec<(NarHash, BlobRecord)>, Error> {
        let mut found = Vec::new();
        let from = after.map(|after| [after.as_bytes().as_slice(), &[0]].concat());
        self.walk(Part::BLOBS, &from.unwrap_or_default(), |met, _| {
            if let Met::Row(Row::Blob(nar_hash, record)) = met {
                found.push((nar_hash, record));
            }
            found.len() < limit
        })?;
        Ok(found)
    }

    /// Is this path said to have this NAR?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn is_path_of_nar(&self, nar_hash: &NarHash, hash_part: &HashPart) -> Result<bool, Error> {
        let key = [nar_hash.as_bytes().as_slice(), hash_part.as_bytes()].concat();
        Ok(self.read(&NAR_PATHS, &key, |_| Ok(()))?.is_some())
    }

    /// Is it known of this entry of a mirrored ledger that nobody here listens to it?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn is_unheard(&self, path: &PathKey, ledger: LedgerId, index: u64) -> Result<bool, Error> {
        let (ledger, index) = (ledger.number().to_be_bytes(), index.to_be_bytes());
        let key = [path.as_bytes().as_slice(), &ledger, &index].concat();
        Ok(self.read(&MIRRORED_UNHEARD, &key, |_| Ok(()))?.is_some())
    }

    fn put_durably(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let mut durable = WriteOptions::default();
        durable.set_sync(true);
        self.database.put_cf_opt(self.family(&CHECKS)?, key, value, &durable).map_err(failed)
    }
}

impl Batch<'_> {
    /// Remembers that a NAR's file was damaged, and that it waits to be brought again.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_damaged(&mut self, nar_hash: &NarHash) -> Result<(), Error> {
        self.put(&CHECKS, &damaged_key(nar_hash), &[])
    }

    /// Forgets that, once it has come again.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn delete_damaged(&mut self, nar_hash: &NarHash) -> Result<(), Error> {
        self.delete(&CHECKS, &damaged_key(nar_hash))
    }

    /// Forgets that a path is said to have a NAR.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn delete_path_of_nar(
        &mut self,
        nar_hash: &NarHash,
        hash_part: &HashPart,
    ) -> Result<(), Error> {
        let key = [nar_hash.as_bytes().as_slice(), hash_part.as_bytes()].concat();
        self.delete(&NAR_PATHS, &key)
    }
}

fn damaged_key(nar_hash: &NarHash) -> Vec<u8> {
    [&[DAMAGED], nar_hash.as_bytes().as_slice()].concat()
}

fn pass_key(name: &str) -> Vec<u8> {
    [&[PASS], name.as_bytes()].concat()
}
