//! Opening the database, and noticing that it lacks its end.
//!
//! Changes are durable once they are in the database's write-ahead log. Where that log does not
//! read, the database drops all that comes after, and works on without a word: the heads of the
//! ledger tell when entries went that way, but nothing else would tell of other rows. So the log is
//! first read strictly; and a pool that is stopped leaves a note of how many changes there were, and of
//! the list of the database's files: what stands behind a damaged place of that list is forgotten, too.

use std::path::Path;

use rocksdb::{DB, DBRecoveryMode, ErrorKind};
use schema::hash::FileHash;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Index, families, to_json};
use crate::index::LostRecord;
use crate::rejected::Error;
use crate::{clock, durable};

/// Of what there was when the pool was stopped, as JSON. The database passes over files that it does not
/// know.
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
        let ended = Ended::read(dir)?;
        let spoiled = ended.as_ref().and_then(|ended| ended.spoiled_manifest(dir));
        let (database, torn) = match open(dir, DBRecoveryMode::TolerateCorruptedTailRecords) {
            Err(error) if error.kind() == ErrorKind::Corruption => {
                let database = open(dir, DBRecoveryMode::PointInTime);
                (database.map_err(|error| open_error(dir, &error))?, Some(error.into_string()))
            }
            opened => (opened.map_err(|error| open_error(dir, &error))?, None),
        };
        let index = Self::of(database, dir, true);
        let torn =
            torn.map(|error| format!("its write-ahead log does not read to its end: {error}"));
        let shortfall = || ended.and_then(|ended| ended.shortfall(&index.database));
        if let Some(why) = spoiled.or(torn).or_else(shortfall) {
            tracing::warn!(%why, "the database has lost some of what was written to it");
            index.note_lost(&LostRecord { why, found_at: clock::now() })?;
            // What it lacks is told once.
            Ended::of(&index.database, None).write(dir)?;
        }
        Ok(index)
    }

    pub(super) fn of(database: DB, dir: &Path, durable: bool) -> Self {
        Self { database, dir: dir.to_owned(), halted: watch::Sender::default(), durable }
    }

    /// Leaves a note of what there is. For when there will be no more: the database works on nothing
    /// behind the scenes from then on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_end(&self) -> Result<(), Error> {
        self.check_writable()?;
        self.database.cancel_all_background_work(true);
        Ended::of(&self.database, Manifest::read(&self.dir)).write(&self.dir)
    }
}

/// What there was when the pool was stopped.
#[derive(Serialize, Deserialize)]
struct Ended {
    /// How many changes.
    changes: u64,
    /// The list of the database's files, which names nothing any more behind a damaged place.
    manifest: Option<Manifest>,
}

/// A file of the database.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    name: String,
    sha256: String,
}

impl Ended {
    fn of(database: &DB, manifest: Option<Manifest>) -> Self {
        Self { changes: database.latest_sequence_number(), manifest }
    }

    /// The note in `dir`; none where there is none that reads.
    fn read(dir: &Path) -> Result<Option<Self>, Error> {
        let path = dir.join(ENDED);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("read", &path)(error)),
        }
    }

    fn write(&self, dir: &Path) -> Result<(), Error> {
        durable::replace(&dir.join(ENDED), &to_json(self)?, durable::PUBLIC)
    }

    /// After a crash there is another manifest than the one that is noted, of which nothing is known.
    fn spoiled_manifest(&self, dir: &Path) -> Option<String> {
        let noted = self.manifest.as_ref()?;
        let found = Manifest::read(dir)?;
        let spoiled = found.name == noted.name && found.sha256 != noted.sha256;
        spoiled.then(|| format!("its file {} is not what it was when it was stopped", found.name))
    }

    fn shortfall(&self, database: &DB) -> Option<String> {
        let (noted, found) = (self.changes, database.latest_sequence_number());
        (found < noted).then(|| {
            format!("it had taken {noted} changes when the pool was stopped, and has {found}")
        })
    }
}

impl Manifest {
    /// The one that is in use in `dir`.
    fn read(dir: &Path) -> Option<Self> {
        let name = std::fs::read_to_string(dir.join("CURRENT")).ok()?.trim_end().to_owned();
        let bytes = std::fs::read(dir.join(&name)).ok()?;
        Some(Self { name, sha256: FileHash::of(&bytes).to_string() })
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
