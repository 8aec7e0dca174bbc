//! Room on the disk. Some of it is kept free: a database that finds none can no longer be written,
//! not even to delete.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::statvfs;

use crate::rejected::Error;

/// What is kept free where the operator does not say, in bytes: this, or a twentieth of the disk.
const KEPT: u64 = 1 << 30;
const KEPT_PART: u64 = 20;
/// What clients say in few bytes is taken for longer than NARs are: until a quarter is left of what is
/// kept from these.
const WORDS_PART: u64 = 4;
/// Files that can always still be made, where a disk has a number for them.
const KEPT_FILES: u64 = 512;

/// What is free where the pool keeps things. Two clones are one.
#[derive(Debug, Clone)]
pub struct Room(Arc<Places>);

#[derive(Debug)]
struct Places {
    dirs: Vec<PathBuf>,
    kept: Option<u64>,
}

impl Room {
    /// Room in these directories, which may be on different disks. `kept` are the bytes of each disk
    /// that NARs may not take; without it, 1 GiB, or a twentieth of a disk that is small.
    #[must_use]
    pub fn new(dirs: Vec<PathBuf>, kept: Option<u64>) -> Self {
        Self(Arc::new(Places { dirs, kept }))
    }

    /// Whether a NAR may be written, or another thing of its size.
    ///
    /// # Errors
    /// That the disk is full but for what is kept, or does not tell.
    pub fn for_nars(&self) -> Result<(), Error> {
        self.check(1)
    }

    /// Whether something may be written that is small, such as an attestation.
    ///
    /// # Errors
    /// As [`for_nars`](Self::for_nars).
    pub fn for_words(&self) -> Result<(), Error> {
        self.check(WORDS_PART)
    }

    /// Bytes that are free on the fullest of the disks.
    ///
    /// # Errors
    /// A disk that does not tell.
    pub fn free(&self) -> Result<u64, Error> {
        let least = |least: u64, dir: &PathBuf| Ok(least.min(Disk::of(dir)?.free));
        self.0.dirs.iter().try_fold(u64::MAX, least)
    }

    fn check(&self, part: u64) -> Result<(), Error> {
        self.0.dirs.iter().try_for_each(|dir| Disk::of(dir)?.check(dir, self.0.kept, part))
    }
}

struct Disk {
    free: u64,
    size: u64,
    /// None where files are not counted.
    free_files: Option<u64>,
}

impl Disk {
    fn of(dir: &Path) -> Result<Self, Error> {
        let told =
            statvfs(dir).map_err(|error| Error::file("ask for room in", dir)(error.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(told.f_frsize);
        Ok(Self {
            free: bytes(told.f_bavail),
            size: bytes(told.f_blocks),
            free_files: (told.f_files > 0).then_some(told.f_favail),
        })
    }

    fn check(&self, dir: &Path, kept: Option<u64>, part: u64) -> Result<(), Error> {
        let kept = kept.unwrap_or_else(|| KEPT.min(self.size / KEPT_PART)) / part;
        let dir = dir.display();
        if self.free < kept {
            let free = self.free;
            return Err(Error::NoRoom(format!("{free} bytes are free in {dir}, {kept} are kept")));
        }
        match self.free_files.filter(|files| *files < KEPT_FILES / part) {
            Some(files) => Err(Error::NoRoom(format!("{files} more files can be made in {dir}"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nars_are_refused_first_and_words_later() {
        let gib = 1 << 30;
        let check = |free, files, kept, part| {
            let disk = Disk { free, size: 100 * gib, free_files: files };
            disk.check(Path::new("/x"), kept, part).is_ok()
        };
        for (free, files, kept, nars, words) in [
            (2 * gib, None, None, true, true),
            (gib - 1, None, None, false, true),
            (gib / 4 - 1, None, None, false, false),
            (gib - 1, None, Some(gib / 2), true, true),
            (50 * gib, Some(KEPT_FILES - 1), None, false, true),
            (50 * gib, Some(0), None, false, false),
            (0, None, Some(0), true, true),
        ] {
            assert_eq!(check(free, files, kept, 1), nars, "{free} {files:?} {kept:?}");
            assert_eq!(check(free, files, kept, WORDS_PART), words, "{free} {files:?} {kept:?}");
        }
        let small = Disk { free: gib / 2, size: gib, free_files: None };
        assert!(small.check(Path::new("/x"), None, 1).is_ok());
    }

    #[test]
    fn a_disk_tells() {
        let dir = tempfile::tempdir().unwrap();
        let room = |kept| Room::new(vec![dir.path().to_owned()], Some(kept));
        assert!(room(1).for_nars().is_ok() && room(1).free().unwrap() > 0);
        let full = room(u64::MAX).for_words().unwrap_err();
        assert!(matches!(full, Error::NoRoom(_)), "{full}");
        let gone = Room::new(vec![dir.path().join("gone")], None);
        assert!(gone.for_nars().is_err() && gone.free().is_err());
    }
}
