//! Small files that are either the old one or the new one, whatever happens.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::rejected::Error;

/// Readable by nobody but us: tokens, keys.
pub(crate) const SECRET: u32 = 0o600;
/// Readable by anybody.
pub(crate) const PUBLIC: u32 = 0o644;

/// Puts a file with these bytes at `path`, durably, in place of any that is there. Two at once
/// would spoil each other: the caller holds whatever lock there is.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    try_replace(path, bytes, mode).map_err(Error::file("write", path))
}

fn try_replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new)?;
    // What an interrupted attempt left may have another mode, and the umask has taken its part.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}
