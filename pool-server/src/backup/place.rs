//! Files on their way in and out of backups.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::rejected::Error;

/// Puts a file that never changes at `to`: under a second name, or as a copy where there can be no
/// second name, as on another file system.
pub(super) fn place(from: &Path, to: &Path) -> Result<(), Error> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) => {
            Err(Error::file("link", to)(error))
        }
        Err(_) => fs::copy(from, to).map(drop).map_err(Error::file("copy to", to)),
    }
}

/// The bytes of a file that need not be there.
pub(super) fn read_if_any(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", path)(error)),
    }
}

/// Waits until everything on the file system of this directory is durable.
pub(super) fn sync_all(dir: &Path) -> Result<(), Error> {
    let file = File::open(dir).map_err(Error::file("open", dir))?;
    rustix::fs::syncfs(&file).map_err(|error| Error::file("sync", dir)(error.into()))
}
