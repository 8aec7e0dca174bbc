//! What one collection finds out, kept on disk: there may be more paths than there is memory.
//!
//! It is not written to the log of the database: after a crash the collection begins anew.

use rocksdb::{Direction, IteratorMode, WriteOptions};
use schema::hash::NarHash;
use schema::store_path::HashPart;

use super::{Index, damaged, failed};
use crate::index::families::{MARKS, PATHS};
use crate::index::{PathRecord, record};
use crate::rejected::Error;

/// The kinds of rows.
const PATH: u8 = 1;
const NAR: u8 = 2;
const TRACE: u8 = 3;
const ORDER: u8 = 4;
/// After all of them.
const END: u8 = 5;

/// The marks of one collection.
pub struct Marks<'i> {
    index: &'i Index,
    options: WriteOptions,
    /// Paths that were to be traced, and those that were taken up, in the order of their marks.
    to_trace: u64,
    traced: u64,
}

impl Index {
    /// Begins a collection: nothing is marked.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn marks(&self) -> Result<Marks<'_>, Error> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        let marks = Marks { index: self, options, to_trace: 0, traced: 0 };
        marks.clear()?;
        Ok(marks)
    }

    /// Every path in the order of the hash parts.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn all_paths(
        &self,
    ) -> Result<impl Iterator<Item = Result<(HashPart, PathRecord), Error>> + '_, Error> {
        let rows = self.database.iterator_cf(self.family(&PATHS)?, IteratorMode::Start);
        Ok(rows.map(|row| {
            let (key, value) = row.map_err(failed)?;
            let hash_part = (*key).try_into().map_err(|_| damaged(PATHS.name))?;
            Ok((HashPart::from_bytes(hash_part), record::read_path(&value)?))
        }))
    }
}

impl<'i> Marks<'i> {
    /// Marks a path, and has it traced, unless that was done.
    ///
    /// # Errors
    /// As [`Index::path`]; so for every mark.
    pub fn visit(&mut self, hash_part: &HashPart) -> Result<(), Error> {
        let mark = key(PATH, hash_part.as_bytes());
        if !self.is_there(&mark)? {
            self.put(&mark, &[])?;
            self.put(&key(TRACE, &self.to_trace.to_be_bytes()), hash_part.as_bytes())?;
            self.to_trace += 1;
        }
        Ok(())
    }

    /// Takes the next path that is to be traced.
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    pub fn next_to_trace(&mut self) -> Result<Option<HashPart>, Error> {
        if self.traced == self.to_trace {
            return Ok(None);
        }
        let row = key(TRACE, &self.traced.to_be_bytes());
        let family = self.index.family(&MARKS)?;
        let hash_part = self.index.database.get_pinned_cf(family, row).map_err(failed)?;
        let hash_part = hash_part.ok_or_else(|| damaged(MARKS.name))?;
        self.traced += 1;
        Ok(Some(HashPart::from_bytes(to_hash_part(&hash_part)?)))
    }

    /// Whether the path is marked.
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    pub fn has_path(&self, hash_part: &HashPart) -> Result<bool, Error> {
        self.is_there(&key(PATH, hash_part.as_bytes()))
    }

    /// Marks a NAR. Answers with whether it was not.
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    pub fn mark_nar(&self, nar_hash: &NarHash) -> Result<bool, Error> {
        let key = key(NAR, nar_hash.as_bytes());
        let new = !self.is_there(&key)?;
        if new {
            self.put(&key, &[])?;
        }
        Ok(new)
    }

    /// Whether the NAR is marked.
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    pub fn has_nar(&self, nar_hash: &NarHash) -> Result<bool, Error> {
        self.is_there(&key(NAR, nar_hash.as_bytes()))
    }

    /// Has a path stand in the order of the times until which it is promised.
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    pub fn order(&self, hash_part: &HashPart, until: u64) -> Result<(), Error> {
        let place = [(u64::MAX - until).to_be_bytes().as_slice(), hash_part.as_bytes()].concat();
        self.put(&key(ORDER, &place), &[])
    }

    /// The paths that stand in the order, and until when each is promised: the latest first.
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    pub fn ordered(
        &self,
    ) -> Result<impl Iterator<Item = Result<(HashPart, u64), Error>> + use<'i>, Error> {
        let rows = self.rows(&[ORDER])?;
        Ok(rows.map_while(|row| {
            let row = match row {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            let (until, hash_part) = row.strip_prefix(&[ORDER])?.split_first_chunk()?;
            let until = u64::MAX - u64::from_be_bytes(*until);
            Some(to_hash_part(hash_part).map(|it| (HashPart::from_bytes(it), until)))
        }))
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    fn clear(&self) -> Result<(), Error> {
        let family = self.index.family(&MARKS)?;
        let (from, to) = ([0], [END]);
        self.index.check_writable()?;
        let cleared = self.index.database.delete_range_cf_opt(family, from, to, &self.options);
        cleared.map_err(|error| self.index.halt(&failed(error)).into())
    }

    fn is_there(&self, key: &[u8]) -> Result<bool, Error> {
        let family = self.index.family(&MARKS)?;
        let found = self.index.database.get_pinned_cf(family, key).map_err(failed)?;
        Ok(found.is_some())
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let family = self.index.family(&MARKS)?;
        self.index.check_writable()?;
        let put = self.index.database.put_cf_opt(family, key, value, &self.options);
        put.map_err(|error| self.index.halt(&failed(error)).into())
    }

    fn rows(
        &self,
        from: &[u8],
    ) -> Result<impl Iterator<Item = Result<Box<[u8]>, Error>> + use<'i>, Error> {
        let (index, mode) = (self.index, IteratorMode::From(from, Direction::Forward));
        let rows = index.database.iterator_cf(index.family(&MARKS)?, mode);
        Ok(rows.map(|row| row.map(|(key, _)| key).map_err(failed)))
    }
}

impl Drop for Marks<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            tracing::warn!(%error, "what a collection has found out stays until the next");
        }
    }
}

fn key(kind: u8, rest: &[u8]) -> Vec<u8> {
    [&[kind], rest].concat()
}

fn to_hash_part(bytes: &[u8]) -> Result<[u8; 20], Error> {
    bytes.try_into().map_err(|_| damaged(MARKS.name))
}
