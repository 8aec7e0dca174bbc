//! The index in RocksDB.

mod checks;
mod divergence;
mod lease;
mod log;
mod marks;
mod mirror;
mod opening;
mod pending;
mod pins;
mod rebuild;
mod side_documents;
mod verifiable_map;
mod walk;
mod whole;
mod writes;

use std::path::PathBuf;

use rocksdb::{ColumnFamily, DB, DBPinnableSlice, Direction, IteratorMode, WriteBatch};

use schema::attestation::Entry;
use schema::claim::Claim;
use schema::hash::{ClaimId, FileHash, NarHash};
use schema::store_path::HashPart;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::families::{self, Family};
use super::record;
use super::{BlobRecord, LoggedKey, PathRecord};
use crate::rejected::{Error, Halted};

pub use marks::Marks;
use opening::open_error;
pub use verifiable_map::{GrownMap, Listed, MapNow, MapState};
pub use walk::{Met, Part, Row};

/// A row: its key, and its value.
type Pair = (Vec<u8>, Vec<u8>);

/// The index of one pool. Only one process has it open.
pub struct Index {
    database: DB,
    dir: PathBuf,
    halted: watch::Sender<Option<Halted>>,
    /// Whether each change waits for the disk.
    durable: bool,
}

impl Index {
    /// What is known of the path with this hash part? One point read.
    ///
    /// # Errors
    /// When the database fails or is damaged; so for every question.
    pub fn path(&self, hash_part: &HashPart) -> Result<Option<PathRecord>, Error> {
        self.read(&families::PATHS, hash_part.as_bytes(), record::read_path)
    }

    /// Which of these hash parts belong to paths that are known? In the order asked.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn known_paths(&self, hash_parts: &[HashPart]) -> Result<Vec<HashPart>, Error> {
        let known = self.present(&families::PATHS, hash_parts.iter().map(HashPart::as_bytes))?;
        Ok(hash_parts
            .iter()
            .zip(known)
            .filter_map(|(part, known)| known.then_some(*part))
            .collect())
    }

    /// What is known of this NAR?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn blob(&self, nar_hash: &NarHash) -> Result<Option<BlobRecord>, Error> {
        self.read(&families::BLOBS, nar_hash.as_bytes(), record::read_blob)
    }

    /// What is known of each of these NARs? In the order asked.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn blobs(&self, nar_hashes: &[NarHash]) -> Result<Vec<Option<BlobRecord>>, Error> {
        let keys = nar_hashes.iter().map(NarHash::as_bytes);
        let values =
            self.database.batched_multi_get_cf(self.family(&families::BLOBS)?, keys, false);
        let parse = |value: Result<Option<DBPinnableSlice<'_>>, rocksdb::Error>| {
            value.map_err(failed)?.map(|bytes| record::read_blob(&bytes)).transpose()
        };
        values.into_iter().map(parse).collect()
    }

    /// Which NAR did this file hold, when somebody uploaded it?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn alias(&self, file_hash: &FileHash) -> Result<Option<NarHash>, Error> {
        self.read(&families::ALIASES, file_hash.as_bytes(), record::read_hash)
    }

    /// The JSON of a NAR's listing, if one was made.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn listing(&self, nar_hash: &NarHash) -> Result<Option<Vec<u8>>, Error> {
        self.read(&families::LISTINGS, nar_hash.as_bytes(), |bytes| Ok(bytes.to_vec()))
    }

    /// Which paths are said to have this NAR? At most `limit` of them.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn paths_of_nar(&self, nar_hash: &NarHash, limit: usize) -> Result<Vec<HashPart>, Error> {
        let from = IteratorMode::From(nar_hash.as_bytes(), Direction::Forward);
        let rows = self.database.iterator_cf(self.family(&families::NAR_PATHS)?, from);
        let mut paths = Vec::new();
        for row in rows.take(limit) {
            let (key, _) = row.map_err(failed)?;
            let Some(hash_part) = key.strip_prefix(nar_hash.as_bytes()) else { break };
            let hash_part = hash_part.try_into().map_err(|_| damaged("nar_paths"))?;
            paths.push(HashPart::from_bytes(hash_part));
        }
        Ok(paths)
    }

    /// The exact bytes that signers of this claim sign.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn claim(&self, claim: &ClaimId) -> Result<Option<Vec<u8>>, Error> {
        self.read(&families::CLAIMS, claim.as_bytes(), |bytes| Ok(bytes.to_vec()))
    }

    /// Does the ledger name this claim, or a mirrored one?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn is_attested(&self, claim: &ClaimId) -> Result<bool, Error> {
        for family in [&families::LOGGED, &families::MIRRORED_WORDS] {
            let from = IteratorMode::From(claim.as_bytes(), Direction::Forward);
            let mut rows = self.database.iterator_cf(self.family(family)?, from);
            let next = rows.next().transpose().map_err(failed)?;
            if next.is_some_and(|(key, _)| key.starts_with(claim.as_bytes())) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where in the ledger does this attestation stand, if it does?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn logged(&self, key: &LoggedKey) -> Result<Option<u64>, Error> {
        self.read(&families::LOGGED, &logged_key(key), record::read_index)
    }

    /// The entry at `index` of the ledger.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn entry(&self, index: u64) -> Result<Option<Entry>, Error> {
        self.read(&families::ENTRIES, &index.to_be_bytes(), |bytes| {
            Entry::parse(bytes)
                .map_err(|error| Error::Damaged(format!("ledger entry {index}: {error}")))
        })
    }

    /// An empty set of changes.
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        Batch { index: self, writes: WriteBatch::default() }
    }

    fn read<T>(
        &self,
        family: &Family,
        key: &[u8],
        parse: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let value = self.database.get_pinned_cf(self.family(family)?, key).map_err(failed)?;
        value.map(|bytes| parse(&bytes)).transpose()
    }

    fn present<'k, const N: usize>(
        &self,
        family: &Family,
        keys: impl Iterator<Item = &'k [u8; N]>,
    ) -> Result<Vec<bool>, Error> {
        let values = self.database.batched_multi_get_cf(self.family(family)?, keys, false);
        values.into_iter().map(|value| value.map(|value| value.is_some()).map_err(failed)).collect()
    }

    /// Every row whose key begins so. For rows of which there are few.
    fn rows(&self, family: &Family, prefix: &[u8]) -> Result<Vec<Pair>, Error> {
        self.first_rows(family, prefix, usize::MAX)
    }

    fn first_rows(&self, family: &Family, prefix: &[u8], limit: usize) -> Result<Vec<Pair>, Error> {
        let mode = IteratorMode::From(prefix, Direction::Forward);
        let mut found = Vec::new();
        for row in self.database.iterator_cf(self.family(family)?, mode).take(limit) {
            let (key, value) = row.map_err(failed)?;
            if !key.starts_with(prefix) {
                break;
            }
            found.push((key.into_vec(), value.into_vec()));
        }
        Ok(found)
    }

    fn family(&self, family: &Family) -> Result<&ColumnFamily, Error> {
        self.database.cf_handle(family.name).ok_or_else(|| damaged(family.name))
    }
}

/// Changes that are taken together.
pub struct Batch<'i> {
    index: &'i Index,
    writes: WriteBatch,
}

impl Batch<'_> {
    /// Replaces what is known of a path.
    ///
    /// # Errors
    /// When the database lacks the family; so for every change.
    pub fn put_path(&mut self, hash_part: &HashPart, record: &PathRecord) -> Result<(), Error> {
        self.put(&families::PATHS, hash_part.as_bytes(), &record::write_path(record))
    }

    /// Replaces what is known of a NAR.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_blob(&mut self, nar_hash: &NarHash, record: &BlobRecord) -> Result<(), Error> {
        self.put(&families::BLOBS, nar_hash.as_bytes(), &record::write_blob(record))
    }

    /// Remembers which NAR a file held.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_alias(&mut self, file_hash: &FileHash, nar_hash: &NarHash) -> Result<(), Error> {
        self.put(&families::ALIASES, file_hash.as_bytes(), nar_hash.as_bytes())
    }

    /// Keeps a NAR's listing.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_listing(&mut self, nar_hash: &NarHash, json: &[u8]) -> Result<(), Error> {
        self.put(&families::LISTINGS, nar_hash.as_bytes(), json)
    }

    /// Keeps a claim. Nobody need have said so yet.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_claim_text(&mut self, id: &ClaimId, claim: &Claim) -> Result<(), Error> {
        self.put(&families::CLAIMS, id.as_bytes(), claim.signed_bytes().as_bytes())
    }

    /// Keeps a claim, and that its path is said to have its NAR.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_claim(&mut self, id: &ClaimId, claim: &Claim) -> Result<(), Error> {
        self.put_claim_text(id, claim)?;
        let mut key = claim.nar_hash().as_bytes().to_vec();
        key.extend_from_slice(claim.path().base().hash_part().as_bytes());
        self.put(&families::NAR_PATHS, &key, &[])
    }

    /// Remembers where in the ledger an attestation stands.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_logged(&mut self, key: &LoggedKey, index: u64) -> Result<(), Error> {
        self.put(&families::LOGGED, &logged_key(key), &index.to_be_bytes())
    }

    /// Makes the changes and waits until they would survive a crash of the machine.
    ///
    /// # Errors
    /// When they could not be written; then none is seen, and nothing more is written, until the
    /// index is opened anew. After that, all of them are seen or none.
    pub fn commit(self) -> Result<(), Error> {
        self.index.write(self.writes, true)
    }

    fn delete(&mut self, family: &Family, key: &[u8]) -> Result<(), Error> {
        self.writes.delete_cf(self.index.family(family)?, key);
        Ok(())
    }

    fn put(&mut self, family: &Family, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.writes.put_cf(self.index.family(family)?, key, value);
        Ok(())
    }
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Damaged(format!("no JSON: {error}")))
}

fn from_json<T: DeserializeOwned>(family: &Family, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|_| damaged(family.name))
}

fn logged_key(key: &LoggedKey) -> [u8; 64] {
    let mut out = [0; 64];
    out[..32].copy_from_slice(key.claim.as_bytes());
    out[32..].copy_from_slice(key.key_id.as_bytes());
    out
}

fn failed(error: rocksdb::Error) -> Error {
    Error::Index(error.into_string())
}

fn damaged(family: &str) -> Error {
    Error::Damaged(format!("the column family {family} of the index does not read"))
}
