//! What logs are made of: their entries, and the tiles of hashes over them.

use rocksdb::{Direction, IteratorMode};

use super::{Batch, Index, failed};
use crate::index::families::{self, Family};
use crate::index::{LedgerId, LogAt, LogId, record};
use crate::rejected::Error;

impl LogAt {
    /// Where its entries lie.
    fn entries(self) -> &'static Family {
        match (self.ledger, self.log) {
            (LedgerId::OWN, LogId::Keys) => &families::KEY_ENTRIES,
            (LedgerId::OWN, LogId::Attestations) => &families::ENTRIES,
            (LedgerId::OWN, LogId::Index) => &families::INDEX_LEAVES,
            _ => &families::MIRRORED_ENTRIES,
        }
    }

    /// Where its full tiles lie.
    fn tiles(self) -> &'static Family {
        if self.ledger.is_own() { &families::TILES } else { &families::MIRRORED_TILES }
    }

    /// What the keys of its rows begin with.
    pub(super) fn prefix(self) -> Vec<u8> {
        let log = match self.log {
            LogId::Keys => 1,
            LogId::Attestations => 2,
            LogId::Index => 3,
        };
        [self.ledger.number().to_be_bytes().as_slice(), &[log]].concat()
    }

    fn entry_key(self, number: u64) -> Vec<u8> {
        let number = number.to_be_bytes();
        if self.ledger.is_own() { number.to_vec() } else { [&*self.prefix(), &number].concat() }
    }

    fn tile_key(self, level: u8, number: u64) -> Vec<u8> {
        let prefix = self.prefix();
        let of_log = if self.ledger.is_own() { &prefix[4..] } else { &prefix };
        [of_log, &[level], &number.to_be_bytes()].concat()
    }
}

impl Index {
    /// How many entries does this log have?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn log_size(&self, log: impl Into<LogAt>) -> Result<u64, Error> {
        let log = log.into();
        let last = log.entry_key(u64::MAX);
        let mode = IteratorMode::From(&last, Direction::Reverse);
        let mut rows = self.database.iterator_cf(self.family(log.entries())?, mode);
        let Some((key, _)) = rows.next().transpose().map_err(failed)? else { return Ok(0) };
        let number = key.strip_prefix(&last[..last.len() - 8]);
        number.map_or(Ok(0), |number| record::read_index(number).map(|number| number + 1))
    }

    /// The entries of a log from `from` on, at most `count` of them: fewer at its end.
    ///
    /// # Errors
    /// A gap in the log, and as [`path`](Self::path).
    pub fn log_entries(
        &self,
        log: impl Into<LogAt>,
        from: u64,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let log = log.into();
        let start = log.entry_key(from);
        let mode = IteratorMode::From(&start, Direction::Forward);
        let rows = self.database.iterator_cf(self.family(log.entries())?, mode);
        let mut entries = Vec::new();
        for (row, expected) in rows.take(count).zip(from..) {
            let (key, entry) = row.map_err(failed)?;
            // After the last of a mirrored log come those of the next.
            let Some(number) = key.strip_prefix(&start[..start.len() - 8]) else { break };
            if record::read_index(number)? != expected {
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
    pub fn tile(
        &self,
        log: impl Into<LogAt>,
        level: u8,
        number: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let log = log.into();
        self.read(log.tiles(), &log.tile_key(level, number), |hashes| Ok(hashes.to_vec()))
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
    pub fn put_log_entry(
        &mut self,
        log: impl Into<LogAt>,
        number: u64,
        entry: &[u8],
    ) -> Result<(), Error> {
        let log = log.into();
        self.put(log.entries(), &log.entry_key(number), entry)
    }

    /// Keeps a tile that has become full.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_tile(
        &mut self,
        log: impl Into<LogAt>,
        level: u8,
        number: u64,
        hashes: &[u8],
    ) -> Result<(), Error> {
        let log = log.into();
        self.put(log.tiles(), &log.tile_key(level, number), hashes)
    }

    /// Replaces the checkpoint of another's log that this pool cosigned last.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_witnessed(&mut self, origin: &str, note: &[u8]) -> Result<(), Error> {
        self.put(&families::WITNESSED, origin.as_bytes(), note)
    }
}
