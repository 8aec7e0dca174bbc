//! A pool that was put back from a backup signs nothing until its operator says how it continues.
//!
//! What it had logged after the backup was made may have been seen: by witnesses, mirrors, auditors,
//! builders. Other entries in those places would fork its logs, and everybody could prove it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use schema::api::LogSizes;
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::rejected::{Error, Rejected};

/// Where, in the data directory, it is noted that the pool was restored and waits.
pub const RESTORED_FILE: &str = "restored.json";

/// Where, in the data directory, it is recorded how the pool went on after it was restored: a line of
/// JSON each time.
pub const CONTINUED_FILE: &str = "continued.jsonl";

/// From what a pool was restored, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restored {
    /// The backup.
    pub backup: PathBuf,
    /// When that was made, POSIX seconds.
    pub made_at: u64,
    /// POSIX seconds.
    pub restored_at: u64,
    /// How many entries the logs had then.
    pub sizes: LogSizes,
    /// Whether everything is in place.
    pub whole: bool,
}

impl Restored {
    /// What is noted in this data directory, if anything is.
    ///
    /// # Errors
    /// A note that does not read, or says that the restore was never finished.
    pub fn read(data: &Path) -> Result<Option<Self>, Error> {
        let path = data.join(RESTORED_FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("read", &path)(error)),
        };
        let restored: Self = serde_json::from_slice(&text)
            .map_err(|why| Error::Damaged(format!("{}: {why}", path.display())))?;
        if restored.whole {
            return Ok(Some(restored));
        }
        Err(Error::Setup {
            detail: format!("{} was being restored and is not whole", data.display()),
            hint: "remove the directory, and run `pool-server restore` again".to_owned(),
        })
    }

    /// Notes it, durably.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn keep(&self, data: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::Damaged(format!("no JSON: {error}")))?;
        durable::replace(&data.join(RESTORED_FILE), &text, durable::PUBLIC)
    }

    /// Why nothing is signed.
    #[must_use]
    pub fn refusal(&self) -> Rejected {
        Rejected::unavailable(
            "pool_restored",
            "this pool was restored from a backup, and signs nothing until its operator has said how \
             its ledger continues",
        )
        .hint("the operator: see `pool-server continue --help`")
    }
}

/// How a restored pool came to sign again.
#[derive(Debug, Serialize)]
pub struct Continued {
    /// What it was restored from.
    pub restored: Restored,
    /// How many entries its logs had when it went on.
    pub sizes: LogSizes,
    /// By which way: `accept-loss`, or `mirror` and the directory from which the rest came.
    pub by: String,
    /// POSIX seconds.
    pub at: u64,
}

impl Continued {
    /// Adds it to the list of such events in the data directory, durably, and lets the pool sign.
    ///
    /// # Errors
    /// A file that cannot be written: then it still does not.
    pub fn keep(&self, data: &Path) -> Result<(), Error> {
        let path = data.join(CONTINUED_FILE);
        let append = || -> io::Result<()> {
            let mut line = serde_json::to_vec(self)?;
            line.push(b'\n');
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.write_all(&line)?;
            file.sync_all()
        };
        append().map_err(Error::file("write", &path))?;
        let note = data.join(RESTORED_FILE);
        fs::remove_file(&note).map_err(Error::file("remove", &note))?;
        File::open(data).and_then(|it| it.sync_all()).map_err(Error::file("sync", data))
    }
}
