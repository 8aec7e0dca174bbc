//! Walking over all rows of a family, with their checksums, past what does not read.

use rocksdb::ReadOptions;
use schema::hash::{ClaimId, FileHash, KeyId, NarHash};
use schema::store_path::HashPart;

use super::{Index, failed};
use crate::index::families::{self, Family};
use crate::index::{BlobRecord, LedgerId, LogAt, LogId, PathRecord, record};
use crate::rejected::Error;

/// A part of the index: a column family.
#[derive(Clone, Copy)]
pub struct Part(&'static Family);

impl Part {
    /// What is known of NARs.
    pub const BLOBS: Self = Self(&families::BLOBS);

    /// Every part.
    pub fn all() -> impl Iterator<Item = Self> {
        families::ALL.into_iter().map(Self)
    }

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }
}

/// What a row says, of those kinds of rows that are compared with others.
#[derive(Debug)]
pub enum Row {
    /// What is known of a path.
    Path(HashPart, PathRecord),
    /// What is known of a NAR.
    Blob(NarHash, BlobRecord),
    /// A file held a NAR.
    Alias(FileHash, NarHash),
    /// A path is said to have a NAR.
    NarPath(NarHash, HashPart),
    /// The words of a claim.
    Claim(ClaimId, Vec<u8>),
    /// The entry of a log of attestations at an index.
    Entry(LedgerId, u64, Vec<u8>),
    /// Where in the ledger a signer attests a claim.
    Logged(ClaimId, KeyId, u64),
    /// Something else.
    Other,
}

/// What is met on a walk.
#[derive(Debug)]
pub enum Met {
    /// A row.
    Row(Row),
    /// A row that the database reads, and that is none of its family's.
    Senseless {
        /// Its key.
        key: Vec<u8>,
    },
    /// Rows that the database does not read.
    Gap {
        /// They begin here or later.
        from: Vec<u8>,
        /// This is the last key that may be among them; none when all that follow may be.
        until: Option<Vec<u8>>,
        /// The database's word.
        why: String,
    },
}

impl Index {
    /// Walks over the rows of a part from a key on, as they are at one moment, for as long as `visit`
    /// says so; it is told of how many bytes each is. Rows that cannot be read are passed over up to the end of the table that they are in.
    ///
    /// # Errors
    /// When the database does not even tell which tables it has.
    pub fn walk(
        &self,
        part: Part,
        from: &[u8],
        mut visit: impl FnMut(Met, u64) -> bool,
    ) -> Result<(), Error> {
        let mut at = from.to_vec();
        loop {
            let mut options = ReadOptions::default();
            options.set_verify_checksums(true);
            options.fill_cache(false);
            let mut rows = self.database.raw_iterator_cf_opt(self.family(part.0)?, options);
            rows.seek(&at);
            while let Some((key, value)) = rows.item() {
                let met = read_row(part.0, key, value);
                let met = met.map_or_else(|| Met::Senseless { key: key.to_vec() }, Met::Row);
                let bytes = (key.len() + value.len()) as u64;
                at = [key, &[0]].concat();
                if !visit(met, bytes) {
                    return Ok(());
                }
                rows.next();
            }
            let Err(error) = rows.status() else { return Ok(()) };
            let until = self.end_of_table(part.0, &at)?;
            let gap = Met::Gap { from: at, until: until.clone(), why: error.into_string() };
            let goes_on = visit(gap, 0);
            match until {
                Some(until) if goes_on => at = [&*until, &[0]].concat(),
                _ => return Ok(()),
            }
        }
    }

    /// The first key from this one on with which a table ends.
    fn end_of_table(&self, family: &Family, from: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let tables = self.database.live_files().map_err(failed)?;
        let of_family = tables.into_iter().filter(|table| table.column_family_name == family.name);
        let ends = of_family.filter_map(|table| table.end_key);
        Ok(ends.filter(|end| &**end >= from).min())
    }
}

/// None for a row that is none of this family's.
fn read_row(family: &Family, key: &[u8], value: &[u8]) -> Option<Row> {
    if family.name == families::PATHS.name {
        let hash_part = HashPart::from_bytes(key.try_into().ok()?);
        return Some(Row::Path(hash_part, record::read_path(value).ok()?));
    }
    if family.name == families::BLOBS.name {
        return Some(Row::Blob(nar_hash(key)?, record::read_blob(value).ok()?));
    }
    if family.name == families::ALIASES.name {
        return Some(Row::Alias(FileHash::from_bytes(key.try_into().ok()?), nar_hash(value)?));
    }
    if family.name == families::NAR_PATHS.name {
        let (hash, path) = key.split_at_checked(32)?;
        return Some(Row::NarPath(nar_hash(hash)?, HashPart::from_bytes(path.try_into().ok()?)));
    }
    if family.name == families::CLAIMS.name {
        return Some(Row::Claim(ClaimId::from_bytes(key.try_into().ok()?), value.to_vec()));
    }
    if family.name == families::ENTRIES.name {
        return Some(Row::Entry(LedgerId::OWN, record::read_index(key).ok()?, value.to_vec()));
    }
    if family.name == families::MIRRORED_ENTRIES.name {
        let (ledger, rest) = key.split_first_chunk()?;
        let ledger = LedgerId::from_number(u32::from_be_bytes(*ledger));
        let log = LogAt { ledger, log: LogId::Attestations };
        let Some(index) = key.strip_prefix(&*log.prefix()) else {
            return (rest.len() == 9).then_some(Row::Other);
        };
        return Some(Row::Entry(ledger, record::read_index(index).ok()?, value.to_vec()));
    }
    if family.name == families::LOGGED.name {
        let (claim, key_id) = key.split_at_checked(32)?;
        let claim = ClaimId::from_bytes(claim.try_into().ok()?);
        let key_id = KeyId::from_bytes(key_id.try_into().ok()?);
        return Some(Row::Logged(claim, key_id, record::read_index(value).ok()?));
    }
    Some(Row::Other)
}

fn nar_hash(bytes: &[u8]) -> Option<NarHash> {
    Some(NarHash::from_bytes(bytes.try_into().ok()?))
}
