//! Opening the database, and noticing that it lacks its end.
//!
//! Changes are durable once they are in the database's write-ahead log. Where that log does not
//! read, the database drops all that comes after, and works on without a word: the heads of the
//! ledger tell when entries went that way, but nothing else would tell of other rows. So the log is
//! first read strictly; and a pool that is stopped leaves a note of how many changes there were.

use std::path::Path;

use rocksdb::{DB, DBRecoveryMode, ErrorKind};
use tokio::sync::watch;

use super::{Index, families};
use crate::index::LostRecord;
use crate::rejected::Error;
use crate::{clock, durable};

/// How many changes there were when the pool was stopped, in decimal digits. The database passes
/// over files that it does not know.
const ENDED: &str = "ended";

impl Index {
    /// Opens the index in `dir`, making it when there is none.
    ///
    /// # Errors
    /// When another process has it open, or it cannot be read or written.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let index = Self::open_unread(dir)?;
        index.find_divergences()?;
        Ok(index)
    }

    /// Opens the index in `dir` without reading any row, so that it can be looked through even where
    /// it is damaged.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_unread(dir: &Path) -> Result<Self, Error> {
        let (database, torn) = match open(dir, DBRecoveryMode::TolerateCorruptedTailRecords) {
            Err(error) if error.kind() == ErrorKind::Corruption => {
                let database = open(dir, DBRecoveryMode::PointInTime);
                (database.map_err(|error| open_error(dir, &error))?, Some(error.into_string()))
            }
            opened => (opened.map_err(|error| open_error(dir, &error))?, None),
        };
        let index = Self::of(database, dir, true);
        let why = match torn {
            Some(error) => Some(format!("its write-ahead log does not read to its end: {error}")),
            None => index.shortfall()?,
        };
        if let Some(why) = why {
            tracing::warn!(%why, "the database has lost the last of what was written to it");
            index.note_lost(&LostRecord { why, found_at: clock::now() })?;
            // What it lacks is told once.
            index.note_end()?;
        }
        Ok(index)
    }

    pub(super) fn of(database: DB, dir: &Path, durable: bool) -> Self {
        Self { database, dir: dir.to_owned(), halted: watch::Sender::default(), durable }
    }

    /// Leaves a note of how many changes there are. For when there will be no more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_end(&self) -> Result<(), Error> {
        self.check_writable()?;
        let changes = self.database.latest_sequence_number();
        durable::replace(&self.dir.join(ENDED), changes.to_string().as_bytes(), durable::PUBLIC)
    }

    /// What the note says that is not there.
    fn shortfall(&self) -> Result<Option<String>, Error> {
        let path = self.dir.join(ENDED);
        let noted = match std::fs::read_to_string(&path) {
            Ok(text) => text.parse::<u64>().ok(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("read", &path)(error)),
        };
        let found = self.database.latest_sequence_number();
        Ok(noted.filter(|noted| found < *noted).map(|noted| {
            format!("it had taken {noted} changes when the pool was stopped, and has {found}")
        }))
    }
}

fn open(dir: &Path, recovery: DBRecoveryMode) -> Result<DB, rocksdb::Error> {
    let mut options = families::database_options()?;
    options.set_wal_recovery_mode(recovery);
    DB::open_cf_descriptors(&options, dir, families::descriptors())
}

pub(super) fn open_error(dir: &Path, error: &rocksdb::Error) -> Error {
    let hint = if error.kind() == ErrorKind::IOError && error.as_ref().contains("lock") {
        "another pool-server works in this data directory; stop it, or choose another with --data"
    } else {
        "see that the directory is whole and that this user may read and write it; a damaged index \
         is put back from a backup"
    };
    Error::Setup {
        detail: format!("the index in {} does not open: {error}", dir.display()),
        hint: hint.to_owned(),
    }
}
