//! Notes of files that are about to be put in place, or removed.

use rocksdb::{IteratorMode, WriteBatch};

use super::{Batch, Index, damaged, failed};
use crate::index::families::PENDING;
use crate::rejected::Error;

impl Index {
    /// Remembers that a file is about to be put in place. A crash of this process keeps the note;
    /// a crash of the machine may lose it, and then a stray file stays that nothing refers to.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn note_pending(&self, file: &str) -> Result<(), Error> {
        let mut writes = WriteBatch::default();
        writes.put_cf(self.family(&PENDING)?, file, []);
        self.write(writes, false)
    }

    /// Forgets that files were about to be put in place, or removed. A crash may bring the notes back,
    /// which is no harm.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn clear_pending(&self, files: &[String]) -> Result<(), Error> {
        let mut writes = WriteBatch::default();
        let family = self.family(&PENDING)?;
        files.iter().for_each(|file| writes.delete_cf(family, file));
        self.write(writes, false)
    }

    /// The files that were about to be put in place, or removed, when the pool was last stopped.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn pending(&self) -> Result<Vec<String>, Error> {
        let rows = self.database.iterator_cf(self.family(&PENDING)?, IteratorMode::Start);
        rows.map(|row| {
            let (key, _) = row.map_err(failed)?;
            String::from_utf8(key.into_vec()).map_err(|_| damaged("pending"))
        })
        .collect()
    }
}

impl Batch<'_> {
    /// Remembers that a file is still to be removed.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_removal(&mut self, file: &str) -> Result<(), Error> {
        self.put(&PENDING, file.as_bytes(), &[])
    }

    /// Forgets that a file was about to be put in place.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn clear_pending(&mut self, file: &str) -> Result<(), Error> {
        self.delete(&PENDING, file.as_bytes())
    }
}
