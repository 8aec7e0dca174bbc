//! The files of NARs as they lie there, for whoever compares them with what is known of them.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use schema::compression::Compression;
use schema::hash::NarHash;

use super::{Blobs, nar_name};
use crate::rejected::Error;

/// Files of NARs that were damaged are moved here. Nothing reads them, and nothing removes them.
const QUARANTINE: &str = "quarantine";

/// A file where NARs lie.
#[derive(Debug, Clone)]
pub struct FoundFile {
    /// Its name in the directory.
    pub name: String,
    /// The NAR and the compression that the name is for. None, where it is no NAR's name.
    pub of_nar: Option<(NarHash, Compression)>,
    /// When it was last written.
    pub written_at: SystemTime,
}

impl Blobs {
    /// How many bytes the file of a NAR has, if there is one.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn nar_len(
        &self,
        nar_hash: &NarHash,
        compression: Compression,
    ) -> Result<Option<u64>, Error> {
        let path = self.root.join(nar_name(nar_hash, compression));
        present(fs::metadata(&path))
            .map_err(Error::file("stat", &path))
            .map(|it| it.map(|it| it.len()))
    }

    /// Every file where NARs lie, in no order. One that goes meanwhile may be among them or not.
    ///
    /// # Errors
    /// When the directory cannot be read, or a file in it.
    pub fn nar_files(&self) -> Result<impl Iterator<Item = Result<FoundFile, Error>>, Error> {
        let dir = self.root.join("nar");
        let entries = fs::read_dir(&dir).map_err(Error::file("read", &dir))?;
        Ok(entries.filter_map(move |entry| {
            let found = entry.and_then(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                let metadata: Option<Metadata> = present(entry.metadata())?;
                let written_at = metadata.map(|it| it.modified()).transpose()?;
                Ok(written_at.map(|written_at| FoundFile {
                    of_nar: parse_nar_name(&format!("nar/{name}")),
                    name,
                    written_at,
                }))
            });
            found.map_err(Error::file("read", &dir)).transpose()
        }))
    }

    /// Moves the file of a NAR to where damaged ones are kept, durably. The caller has its turn, and
    /// no record refers to it. Answers with whether there was one.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn quarantine(&self, name: &str) -> Result<bool, Error> {
        let dir = self.root.join(QUARANTINE);
        fs::create_dir_all(&dir).map_err(Error::file("make", &dir))?;
        let from = self.root.join("nar").join(name);
        let free = |number: &u32| !dir.join(numbered(name, *number)).exists();
        let number = (0..).find(free).unwrap_or_default();
        let moved = present(fs::rename(&from, dir.join(numbered(name, number))));
        if moved.map_err(Error::file("move", &from))?.is_none() {
            return Ok(false);
        }
        sync(&dir)?;
        sync(&self.root.join("nar"))?;
        sync(&self.root)?;
        Ok(true)
    }

    /// Removes a file where NARs lie. The caller has the turn of its NAR, if it has one, and no record
    /// refers to it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_stray(&self, name: &str) -> Result<(), Error> {
        let path = self.root.join("nar").join(name);
        present(fs::remove_file(&path)).map(drop).map_err(Error::file("remove", &path))
    }
}

/// Which NAR, in which compression, lies under this name, such as `nar/….nar.zst`.
#[must_use]
pub fn parse_nar_name(name: &str) -> Option<(NarHash, Compression)> {
    let (digits, suffix) = name.strip_prefix("nar/")?.split_once(".nar")?;
    let hash = NarHash::from_nix32(digits).ok()?;
    Some((hash, Compression::from_suffix(suffix)?))
}

/// One NAR may be damaged more than once.
fn numbered(name: &str, number: u32) -> String {
    if number == 0 { name.to_owned() } else { format!("{name}.{number}") }
}

/// None of what is not there.
fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn sync(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::file("sync", dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_files_are_kept_one_beside_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let name = nar_name(&NarHash::of(b"nar"), Compression::Zstd);
        let file = name.strip_prefix("nar/").unwrap();
        for contents in ["first", "second", "third"] {
            fs::write(dir.path().join(&name), contents).unwrap();
            let found: Vec<FoundFile> = blobs.nar_files().unwrap().map(Result::unwrap).collect();
            assert_eq!(found[0].of_nar, Some((NarHash::of(b"nar"), Compression::Zstd)));
            assert!(blobs.quarantine(file).unwrap());
        }
        assert!(!blobs.quarantine(file).unwrap(), "it is gone");
        assert_eq!(blobs.nar_len(&NarHash::of(b"nar"), Compression::Zstd).unwrap(), None);
        let kept = |suffix: &str| {
            fs::read_to_string(dir.path().join(QUARANTINE).join(format!("{file}{suffix}"))).unwrap()
        };
        assert_eq!([kept(""), kept(".1"), kept(".2")], ["first", "second", "third"]);
    }
}
