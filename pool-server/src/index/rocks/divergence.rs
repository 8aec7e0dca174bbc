//! Entries about paths of which different things are claimed.

use rocksdb::{Direction, IteratorMode};
use schema::store_path::HashPart;

use super::{Batch, Index, damaged, failed};
use crate::index::families::{DIVERGENCES, PATHS};
use crate::index::record;
use crate::rejected::Error;

/// Before all indices, which have eight bytes.
const ALL_FOUND: &[u8] = &[0];
/// Rows that are written together when older paths are looked through.
const TOGETHER: usize = 10_000;

impl Index {
    /// Which entries from `from` on are about paths of which different things are claimed, and with
    /// which hash parts? At most `limit` of them.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn divergent_entries(
        &self,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, HashPart)>, Error> {
        let start = from.to_be_bytes();
        let mode = IteratorMode::From(&start, Direction::Forward);
        let rows = self.database.iterator_cf(self.family(&DIVERGENCES)?, mode).take(limit);
        rows.map(|row| {
            let (key, hash_part) = row.map_err(failed)?;
            let hash_part = (*hash_part).try_into().map_err(|_| damaged(DIVERGENCES.name))?;
            Ok((record::read_index(&key)?, HashPart::from_bytes(hash_part)))
        })
        .collect()
    }

    /// Makes the rows for all paths, once, in an index that is older than they. From then on each
    /// change brings its own.
    pub(super) fn find_divergences(&self) -> Result<(), Error> {
        if self.read(&DIVERGENCES, ALL_FOUND, |_| Ok(()))?.is_some() {
            return Ok(());
        }
        let mut batch = self.batch();
        for row in self.database.iterator_cf(self.family(&PATHS)?, IteratorMode::Start) {
            let (key, bytes) = row.map_err(failed)?;
            let hash_part = (*key).try_into().map_err(|_| damaged(PATHS.name))?;
            for index in record::read_path(&bytes)?.divergent_entries() {
                batch.put_divergence(index, &HashPart::from_bytes(hash_part))?;
            }
            if batch.writes.len() >= TOGETHER {
                std::mem::replace(&mut batch, self.batch()).commit()?;
            }
        }
        batch.put(&DIVERGENCES, ALL_FOUND, &[])?;
        batch.commit()
    }
}

impl Batch<'_> {
    /// Remembers that the entry at `index` is about a path of which different things are claimed.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_divergence(&mut self, index: u64, hash_part: &HashPart) -> Result<(), Error> {
        self.put(&DIVERGENCES, &index.to_be_bytes(), hash_part.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use schema::claim::Claim;
    use schema::hash::{KeyId, NarHash};
    use schema::signature::Signature;
    use schema::store_path::StorePath;

    use super::*;
    use crate::index::{AttestationRecord, ClaimRecord, LedgerId, PathRecord};

    const HASH_PART: &str = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz";

    fn claim(name: &str, nar: &[u8], indices: &[u64]) -> ClaimRecord {
        let path: StorePath = format!("/nix/store/{HASH_PART}-{name}").parse().unwrap();
        let claim = Claim::new(path, NarHash::of(nar), nar.len() as u64, Vec::new()).unwrap();
        let attestations = indices.iter().map(|&index| AttestationRecord {
            ledger: LedgerId::OWN,
            key_id: KeyId::of(&index.to_be_bytes()),
            index,
            logged_at: 0,
            signature: Signature::from_bytes([0; 64]),
        });
        ClaimRecord { attestations: attestations.collect(), ..ClaimRecord::new(claim) }
    }

    #[test]
    fn entries_diverge_from_the_second_claim_of_a_path_on() {
        let entries = |claims| PathRecord { claims }.divergent_entries();
        assert_eq!(entries(vec![]), [0_u64; 0]);
        assert_eq!(entries(vec![claim("a", b"1", &[3, 9])]), [0_u64; 0]);
        let two = vec![claim("a", b"1", &[3, 4, 9]), claim("a", b"2", &[6, 8])];
        assert_eq!(entries(two.clone()), [6, 8, 9]);
        let other_name = claim("b", b"3", &[2, 7]);
        assert_eq!(entries([two.clone(), vec![other_name.clone()]].concat()), [6, 8, 9]);
        assert_eq!(entries(vec![two[0].clone(), other_name]), [0_u64; 0], "these are two paths");
    }

    #[test]
    fn an_index_that_lacks_them_gets_them_when_it_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let hash_part: HashPart = HASH_PART.parse().unwrap();
        let claims = vec![claim("a", b"1", &[3]), claim("a", b"2", &[6])];
        {
            let index = Index::open(dir.path()).unwrap();
            let mut batch = index.batch();
            batch.put_path(&hash_part, &PathRecord { claims }).unwrap();
            batch.commit().unwrap();
            assert_eq!(index.divergent_entries(0, 9).unwrap(), [], "only once");
            index.database.delete_cf(index.family(&DIVERGENCES).unwrap(), ALL_FOUND).unwrap();
        }
        let index = Index::open(dir.path()).unwrap();
        assert_eq!(index.divergent_entries(0, 9).unwrap(), [(6, hash_part)]);
        assert_eq!(index.divergent_entries(7, 9).unwrap(), []);
        assert_eq!(index.divergent_entries(0, 0).unwrap(), []);
    }
}
