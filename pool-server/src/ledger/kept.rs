//! The checkpoint of a log that was published last, for the time after a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schema::tlog::checkpoint::SignedCheckpoint;
use schema::tlog::note::VerifierKey;

use super::log::resume;
use super::shown::Published;
use crate::durable;
use crate::index::{Index, LogId};
use crate::rejected::Error;

/// The file of a published checkpoint, with its cosignatures.
pub(super) struct Kept {
    path: PathBuf,
}

impl Kept {
    /// The file at `path`, which need not be there yet.
    pub(super) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// What was published last, if anything was.
    ///
    /// # Errors
    /// A file that does not read, or is ahead of the log.
    pub(super) fn read(
        &self,
        log: LogId,
        index: &Index,
        key: &VerifierKey,
    ) -> Result<Option<Published>, Error> {
        let note = match std::fs::read(&self.path) {
            Ok(note) => note,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("read", &self.path)(error)),
        };
        let damaged = |why: String| Error::Damaged(format!("{}: {why}", self.path.display()));
        let checkpoint =
            SignedCheckpoint::open(&note, key).map_err(|error| damaged(error.to_string()))?;
        let edge = resume(log, index, checkpoint.size())?;
        if edge.root() != *checkpoint.root() {
            return Err(damaged(format!("the log {log} is not the one that was published")));
        }
        Ok(Some(Published::new(checkpoint, Arc::new(edge))))
    }

    /// Replaces it, durably.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn replace(&self, published: &Published) -> Result<(), Error> {
        durable::replace(&self.path, &published.file, durable::PUBLIC)
    }
}
