//! Writing, and what is done once that has failed.
//!
//! When a write or its sync fails, nobody knows how much of it is on the disk; and to sync again and
//! believe that would be wrong, because the kernel forgets what it could not write. So the database is
//! not written to any more: it is read, as it was before, until it is closed and opened anew. That
//! reads its log, writes what it finds there into new files, and believes those.

use rocksdb::{WriteBatch, WriteOptions};
use tokio::sync::watch;

use super::{Index, failed};
use crate::rejected::{Error, Halted};

impl Index {
    /// Writes nothing any more, since this has failed, or something before it.
    pub fn halt(&self, error: &Error) -> Halted {
        let mut now = Halted::by(error);
        self.halted.send_if_modified(|halted| match halted {
            Some(before) => {
                now.clone_from(before);
                false
            }
            None => {
                tracing::error!(%error, "a write failed: nothing is written any more for now");
                *halted = Some(now.clone());
                true
            }
        });
        // It would clean up behind the failure and go on, of which only half may last.
        self.database.cancel_all_background_work(false);
        now
    }

    /// What has ended all writing, once something has.
    #[must_use]
    pub fn halted(&self) -> watch::Receiver<Option<Halted>> {
        self.halted.subscribe()
    }

    /// Whether anything can be written.
    ///
    /// # Errors
    /// Why not.
    pub fn check_writable(&self) -> Result<(), Halted> {
        self.halted.borrow().clone().map_or(Ok(()), Err)
    }

    pub(super) fn write(&self, writes: WriteBatch, durably: bool) -> Result<(), Error> {
        self.check_writable()?;
        let mut options = WriteOptions::default();
        options.set_sync(durably && self.durable);
        let written = self.database.write_opt(writes, &options).map_err(failed);
        written.map_err(|error| self.halt(&error).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejected::Trouble;

    #[test]
    fn after_a_failure_it_is_read_and_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path()).unwrap();
        index.note_pending("before").unwrap();
        let first = Error::Index("IO error: No space left on device: While appending".to_owned());
        let second = Error::Index("IO error: While something: Input/output error".to_owned());
        let halted = index.halt(&first);
        assert_eq!(halted.trouble, Trouble::Full);
        assert_eq!(index.halt(&second), halted, "the first failure is the one that is told");
        for written in [index.note_pending("after"), index.batch().commit()] {
            assert!(matches!(written, Err(Error::Halted(why)) if why == halted));
        }
        assert_eq!(index.pending().unwrap(), ["before"]);
        drop(index);
        let index = Index::open(dir.path()).unwrap();
        index.note_pending("later").unwrap();
        assert_eq!(index.pending().unwrap(), ["before", "later"]);
    }
}
