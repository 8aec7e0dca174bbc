//! How the pool gets by when its disk is full or fails: what it still takes, and when it is worth while
//! to open it anew.

use std::path::Path;
use std::time::Duration;

use super::Pool;
use crate::clock;
use crate::durable;
use crate::index::LogId;
use crate::rejected::Error;

/// How often it is tried whether the disk can be written to again.
const RETRY: Duration = Duration::from_secs(1);
/// What is tried with, in the data directory and in the index.
const PROBE: &str = "probe";
/// Room that the database needs to be opened, beside what is in its logs: in bytes.
const REOPENING: u64 = 2 << 20;
/// More than a block, so that a disk with next to no room fails.
const PROBE_LEN: usize = 64 << 10;

impl Pool {
    /// Whether the pool can read what it keeps.
    ///
    /// # Errors
    /// Why not.
    pub fn check_ready(&self) -> Result<(), Error> {
        self.index.log_size(LogId::Attestations).map(drop)
    }

    /// What keeps the pool from taking uploads.
    ///
    /// # Errors
    /// That is what it answers with.
    pub fn takes_nars(&self) -> Result<(), Error> {
        self.index.check_writable()?;
        self.blobs.room().for_nars()
    }

    /// The same of attestations, and of other things that are said in few bytes. What makes room, or
    /// takes away a key's power, needs less than that.
    ///
    /// # Errors
    /// That is what it answers with.
    pub(super) fn takes_words(&self) -> Result<(), Error> {
        self.index.check_writable()?;
        self.blobs.room().for_words()
    }

    /// What is wrong, that does not hold up anybody who reads.
    #[must_use]
    pub fn degraded(&self) -> Vec<Error> {
        let clock = clock::check().map_err(Error::from);
        [self.takes_nars(), clock].into_iter().filter_map(Result::err).collect()
    }

    /// Waits until a write has failed, and then until the disk can be written to: time to open the pool
    /// anew.
    pub async fn mended(&self) {
        // The sender is ours.
        let _ = self.index.halted().wait_for(Option::is_some).await;
        loop {
            tokio::time::sleep(RETRY).await;
            match self.try_disk() {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, "the disk cannot be written to yet"),
            }
        }
    }

    /// Counts what is free, for those who ask for metrics.
    pub(super) fn count_room(&self) {
        let free = self.blobs.room().free().unwrap_or_default();
        self.metrics.storage(free, self.index.check_writable().is_ok());
    }

    fn try_disk(&self) -> Result<(), Error> {
        self.blobs.room().for_words()?;
        let (index, free) = (self.config.data.join("index"), self.blobs.room().free()?);
        let needed = logs_len(&index)?.saturating_add(REOPENING);
        if free < needed {
            let detail = format!("{free} bytes are free, {needed} are needed to open the database");
            return Err(Error::NoRoom(detail));
        }
        ["", "index"].iter().try_for_each(|dir| probe(&self.config.data.join(dir)))
    }
}

/// Bytes in the logs of the database, which it writes into tables when it is opened.
fn logs_len(index: &Path) -> Result<u64, Error> {
    let len = || {
        let mut len = 0;
        for entry in std::fs::read_dir(index)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "log") {
                len += entry.metadata()?.len();
            }
        }
        Ok(len)
    };
    len().map_err(Error::file("list", index))
}

fn probe(dir: &Path) -> Result<(), Error> {
    let file = dir.join(PROBE);
    let written = durable::replace(&file, &[0; PROBE_LEN], durable::SECRET);
    for leftover in [file.with_extension("new"), file] {
        let _ = std::fs::remove_file(leftover);
    }
    written
}
