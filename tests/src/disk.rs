//! A small disk that only the test sees. It needs root.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::statvfs;
use rustix::thread::UnshareFlags;
use tempfile::TempDir;

use crate::program::Outcome;

/// `CLONE_NEWNS`, which has no name in the crate.
const MOUNTS: u32 = 0x0002_0000;
/// What the disk is filled up with at once, in bytes.
const BLOCK: usize = 1 << 20;

/// A disk in memory. It is gone with the thread that made it, and what that has started.
pub struct Disk {
    dir: TempDir,
}

impl Disk {
    /// Makes a disk of `size` bytes that this thread sees, and what it starts from now on, threads as
    /// well.
    ///
    /// # Panics
    /// When that is not possible, as without root.
    #[must_use]
    pub fn new(size: u64) -> Self {
        let dir = tempfile::tempdir().expect("there is a place for temporary files");
        #[expect(deprecated, reason = "no files are unshared, which is what may be unsafe")]
        rustix::thread::unshare(UnshareFlags::from_bits_retain(MOUNTS))
            .expect("root may have mounts of its own");
        mount(&["--make-rprivate", "/"]);
        let size = format!("size={size}");
        mount(&["-t", "tmpfs", "-o", &size, "tmpfs", dir.path().to_str().expect("UTF-8")]);
        Self { dir }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Bytes that are free.
    ///
    /// # Panics
    /// When the disk does not tell.
    #[must_use]
    pub fn free(&self) -> u64 {
        let told = statvfs(self.path()).expect("a disk tells what is free");
        told.f_bavail * told.f_frsize
    }

    /// Has somebody else fill it up until at most so many bytes are free.
    ///
    /// # Panics
    /// When it cannot be written to.
    pub fn fill(&self, leave: u64) {
        let mut file = File::options().create(true).append(true).open(self.ballast());
        let file = file.as_mut().expect("a file can be made");
        loop {
            let more = self.free().saturating_sub(leave).min(BLOCK as u64);
            match file.write(&vec![0xff; usize::try_from(more).expect("a block")]) {
                Ok(0) => return,
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                written => drop(written.expect("the disk can be written to")),
            }
        }
    }

    /// Takes away what it was filled up with.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn clear(&self) {
        fs::remove_file(self.ballast()).expect("it was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

fn mount(arguments: &[&str]) {
    let outcome = Outcome::of(Command::new("mount").args(arguments));
    assert_eq!(outcome.code, 0, "mount {arguments:?}, which needs root: {}", outcome.stderr);
}
