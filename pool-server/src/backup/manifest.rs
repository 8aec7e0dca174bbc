//! What a backup says of itself.

use std::fs;
use std::path::Path;

use schema::api::LogSizes;
use serde::{Deserialize, Serialize};

use super::{PAGE, UNFINISHED};
use crate::durable;
use crate::index::Index;
use crate::rejected::Error;

/// The one format there is.
pub const FORMAT: &str = "narpool-backup/1";
/// Where, in a backup, its manifest is. It is written last.
const FILE: &str = "manifest.json";
/// The longest manifest, in bytes.
const MAX_LEN: u64 = 64 << 10;

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// The version of the program that made it.
    pub version: String,
    /// What the origins of the pool's logs begin with.
    pub origin: String,
    /// The moment that it is of, POSIX seconds.
    pub made_at: u64,
    /// How many entries the logs have in it.
    pub sizes: LogSizes,
    /// Whether NARs and build logs are part of it.
    pub with_nars: bool,
    /// How many NARs the pool had that were whole, by their size.
    pub nars: u64,
    /// Bytes of their files together.
    pub nar_bytes: u64,
    /// NARs that the pool should have had, and whose files were gone or of the wrong size.
    pub missing: u64,
    /// How many build logs are in it.
    pub logs: u64,
}

impl Manifest {
    pub(super) fn new(origin: &str, made_at: u64, sizes: LogSizes, with_nars: bool) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            origin: origin.to_owned(),
            made_at,
            sizes,
            with_nars,
            nars: 0,
            nar_bytes: 0,
            missing: 0,
            logs: 0,
        }
    }

    /// Counts NARs that are left out.
    pub(super) fn count(&mut self, index: &Index) -> Result<(), Error> {
        let mut last = None;
        loop {
            let page = index.blobs_after(last.as_ref(), PAGE)?;
            let Some((nar_hash, _)) = page.last() else { return Ok(()) };
            last = Some(*nar_hash);
            self.nars += page.len() as u64;
            self.nar_bytes += page.iter().map(|(_, blob)| blob.file.file_size).sum::<u64>();
        }
    }

    pub(super) fn keep(&self, backup: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::Damaged(format!("no JSON: {error}")))?;
        durable::replace(&backup.join(FILE), &text, durable::PUBLIC)
    }

    /// Reads that of a finished backup.
    ///
    /// # Errors
    /// A directory that is none, or a backup that this program does not understand.
    pub fn read(backup: &Path) -> Result<Self, Error> {
        let refused = |why: &str, hint: &str| Error::Setup {
            detail: format!("{}: {why}", backup.display()),
            hint: hint.to_owned(),
        };
        let path = backup.join(FILE);
        if backup.join(UNFINISHED).exists() {
            return Err(refused(
                "this backup was never finished",
                "take an older one, if there is one",
            ));
        }
        let whole = fs::metadata(&path).is_ok_and(|file| file.len() <= MAX_LEN);
        if !whole {
            let hint = "name the directory that `pool-server backup` made";
            return Err(refused("there is no backup, for no manifest.json says so", hint));
        }
        let text = fs::read(&path).map_err(Error::file("read", &path))?;
        let other = "another version of pool-server made it; that one can restore it";
        let manifest: Self = serde_json::from_slice(&text)
            .map_err(|why| refused(&format!("manifest.json does not read: {why}"), other))?;
        if manifest.format != FORMAT {
            return Err(refused(
                &format!("its format is {}, not {FORMAT}", manifest.format),
                other,
            ));
        }
        Ok(manifest)
    }
}
