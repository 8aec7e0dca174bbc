//! What logs are made of: their entries, and the tiles of hashes over them.

use rocksdb::{Direction, IteratorMode};

use super::{Batch, Index, failed};
use crate::index::families::{self, Family};
use crate::index::{LogId, record};
use crate::rejected::Error;

impl LogId {
    /// Index (u64, big-endian) -> entry.
    fn entries(self) -> &'static Family {
        match self {
            Self::Keys => &families::KEY_ENTRIES,
            Self::Attestations => &families::ENTRIES,
            Self::Index => &families::INDEX_LEAVES,
        }
    }

    /// Log (u8) ‖ level (u8) ‖ number of the tile (u64, big-endian), as the key of a tile.
    fn tile_key(self, level: u8, number: u64) -> [u8; 10] {
        let mut key = [0; 10];
        key[0] = match self {
            Self::Keys => 1,
            Self::Attestations => 2,
            Self::Index => 3,
        };
        key[1] = level;
        key[2..].copy_from_slice(&number.to_be_bytes());
        key
    }
}

impl Index {
    /// How many entries does this log have?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn log_size(&self, log: LogId) -> Result<u64, Error> {
        self.next_number(log.entries())
    }

    /// The entries of a log from `from` on, at most `count` of them: fewer at its end.
    ///
    /// # Errors
    /// A gap in the log, and as [`path`](Self::path).
    pub fn log_entries(&self, log: LogId, from: u64, count: usize) -> Result<Vec<Vec<u8>>, Error> {
        let start = from.to_be_bytes();
        let mode = IteratorMode::From(&start, Direction::Forward);
        let rows = self.database.iterator_cf(self.family(log.entries())?, mode);
        let mut entries = Vec::new();
        for (row, expected) in rows.take(count).zip(from..) {
            let (key, entry) = row.map_err(failed)?;
            if record::read_index(&key)? != expected {
                return Err(Error::Damaged(format!("the log {log} has no entry {expected}")));
            }
            entries.push(entry.into_vec());
        }
        Ok(entries)
    }

    /// The 256 hashes of a full tile, 8192 bytes.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn tile(&self, log: LogId, level: u8, number: u64) -> Result<Option<Vec<u8>>, Error> {
        let key = log.tile_key(level, number);
        self.read(&families::TILES, &key, |hashes| Ok(hashes.to_vec()))
    }

    /// The checkpoint of another's log that this pool cosigned last.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn witnessed(&self, origin: &str) -> Result<Option<Vec<u8>>, Error> {
        self.read(&families::WITNESSED, origin.as_bytes(), |note| Ok(note.to_vec()))
    }
}

impl Batch<'_> {
    /// Appends an entry to a log; `number` is the log's size before.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_log_entry(&mut self, log: LogId, number: u64, entry: &[u8]) -> Result<(), Error> {
        self.put(log.entries(), &number.to_be_bytes(), entry)
    }

    /// Keeps a tile that has become full.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_tile(
        &mut self,
        log: LogId,
        level: u8,
        number: u64,
        hashes: &[u8],
    ) -> Result<(), Error> {
        self.put(&families::TILES, &log.tile_key(level, number), hashes)
    }

    /// Replaces the checkpoint of another's log that this pool cosigned last.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_witnessed(&mut self, origin: &str, note: &[u8]) -> Result<(), Error> {
        self.put(&families::WITNESSED, origin.as_bytes(), note)
    }
}
