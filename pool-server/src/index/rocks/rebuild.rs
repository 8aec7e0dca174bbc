//! What a new index takes over from an old one as it is: the rows that follow from nothing else.

use rocksdb::{DB, IteratorMode, WriteBatch};

use super::{Index, failed, open_error};
use crate::index::families::{
    ALIASES, BLOBS, CLAIMS, DEBUG_INFO, DELETIONS, ELSEWHERE, Family, LEASES, LISTINGS,
    MIRRORED_CHECKPOINTS, MIRRORED_LEDGERS, MIRRORED_NAMES, MIRRORED_SOURCES, PENDING, PINS,
    REALISATIONS, UNLISTED, WITNESSED, database_options, descriptors,
};
use crate::rejected::Error;

/// Without these a pool would break its word, or lose what was said in it.
const NEEDED: [&Family; 9] = [
    &CLAIMS,
    &MIRRORED_LEDGERS,
    &MIRRORED_NAMES,
    &MIRRORED_CHECKPOINTS,
    &WITNESSED,
    &LEASES,
    &UNLISTED,
    &DELETIONS,
    &PINS,
];
/// Without these it would know less.
const WELCOME: [&Family; 6] =
    [&ALIASES, &MIRRORED_SOURCES, &ELSEWHERE, &DEBUG_INFO, &REALISATIONS, &PENDING];
/// Bytes that are written together.
const TOGETHER: usize = 1 << 20;

impl Index {
    /// Opens an index whose derived rows may be damaged. Nobody else has it open meanwhile.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_to_read_again(dir: &std::path::Path) -> Result<Self, Error> {
        let options = database_options().map_err(|error| open_error(dir, &error))?;
        let database = DB::open_cf_descriptors(&options, dir, descriptors())
            .map_err(|error| open_error(dir, &error))?;
        Ok(Self::of(database, dir, true))
    }

    /// Copies the rows that follow from nothing else, but for those of logs. Answers with the names of
    /// the families that did not read to their ends: of such that may be incomplete.
    ///
    /// # Errors
    /// Rows that do not read and without which the pool must not go on; a failing database.
    pub fn copy_underived(&self, to: &Self) -> Result<Vec<&'static str>, Error> {
        for family in NEEDED {
            self.copy_family(to, family)?;
        }
        let mut incomplete = Vec::new();
        for family in WELCOME {
            match self.copy_family(to, family) {
                Err(Error::Index(_)) => incomplete.push(family.name),
                other => other?,
            }
        }
        Ok(incomplete)
    }

    /// Copies what is known of NARs, for those who trust it.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn copy_nars(&self, to: &Self) -> Result<(), Error> {
        self.copy_family(to, &BLOBS)?;
        self.copy_family(to, &LISTINGS)
    }

    fn copy_family(&self, to: &Self, family: &Family) -> Result<(), Error> {
        let target = to.family(family)?;
        let mut writes = WriteBatch::default();
        for row in self.database.iterator_cf(self.family(family)?, IteratorMode::Start) {
            let (key, value) = match row {
                Ok(row) => row,
                Err(error) => {
                    to.write(writes, false)?;
                    return Err(failed(error));
                }
            };
            writes.put_cf(target, key, value);
            if writes.size_in_bytes() >= TOGETHER {
                to.write(std::mem::take(&mut writes), false)?;
            }
        }
        to.write(writes, false)
    }
}
