//! A backup of the pool while it is at work.

use std::sync::TryLockError;

use super::Pool;
use crate::backup::{self, Manifest, Parts, Report, Wish};
use crate::ledger::restored::Restored;
use crate::rejected::{Failure, Rejected};

impl Pool {
    /// From what the pool was restored, if its operator has not said yet how it continues.
    #[must_use]
    pub fn restored(&self) -> Option<&Restored> {
        self.ledger.restored()
    }

    /// Makes a backup, and answers with what is in it. Not to be called by asynchronous code.
    ///
    /// # Errors
    /// Another backup that is being made; and as [`backup::take`].
    pub fn backup(&self, wish: &Wish, report: Report<'_>) -> Result<Manifest, Failure> {
        let _turn = match self.backing_up.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
            Err(TryLockError::WouldBlock) => {
                let detail = "another backup of this pool is being made";
                return Err(Rejected::conflict("backup_running", detail)
                    .hint("wait until it is done")
                    .into());
            }
        };
        let parts = Parts {
            data: &self.config.data,
            index: &self.index,
            blobs: &self.blobs,
            identity: self.ledger.identity(),
        };
        let manifest = backup::take(&parts, wish, report)?;
        tracing::info!(backup = %wish.dir.display(), nars = manifest.nars, "made a backup");
        Ok(manifest)
    }
}
