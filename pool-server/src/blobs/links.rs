//! Files of the tree as others may have them: by a second name where that can be, else as copies.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};

use super::Blobs;
use crate::place::until;

/// That nothing which must find all files in their places is at work.
pub struct Removing<'b>(#[expect(dead_code, reason = "it is held")] RwLockWriteGuard<'b, ()>);

impl Blobs {
    /// Where the tree is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// While this is held, no file leaves its place: for those who go through what the index had at one
    /// moment. Not to be asked for by asynchronous code.
    pub fn no_removals(&self) -> RwLockReadGuard<'_, ()> {
        self.removals.blocking_read()
    }

    /// To be had by whoever removes files or takes them out of their places. Waits for all that must
    /// find them there, which may take long: not to be waited for with a [turn](Self::turn) in hand.
    pub async fn removals(&self) -> Removing<'_> {
        loop {
            if let Ok(held) = self.removals.try_write() {
                return Removing(held);
            }
            until(async { drop(self.removals.write().await) }).await;
        }
    }

    /// Every build log's file.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn logs(&self) -> io::Result<impl Iterator<Item = io::Result<PathBuf>> + use<>> {
        Ok(fs::read_dir(self.root.join("log"))?.map(|entry| entry.map(|entry| entry.path())))
    }
}
