//! Backups: a directory from which a pool can be put back as it was at one moment.
//!
//! A backup is made beside a running server, and holds one state of everything: the index is copied
//! at one moment, the heads of the logs are made to fit that copy, and then come the NARs that it
//! names, which [cannot go](crate::blobs::Blobs::no_removals) meanwhile. What is put in place after
//! that moment is not part of it. The directory has its name only once all of it is durable.

mod manifest;
mod place;
mod restore;

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::auth;
use crate::blobs::{Blobs, nar_name};
use crate::clock;
use crate::durable;
use crate::index::Index;
use crate::ledger::heads::Heads;
use crate::ledger::identity::{Identity, KEY_FILE, MIRROR_KEY_FILE, WITNESS_KEY_FILE};
use crate::rejected::Error;
use place::{place, read_if_any, sync_all};

pub use manifest::{FORMAT, Manifest};
pub use restore::{Outcome, Wanted, restore};

/// How often it is told how far it is.
const TELLING: Duration = Duration::from_secs(1);
/// Records of NARs that are read at once.
const PAGE: usize = 1000;
/// The file that is in a backup while it is being made.
const UNFINISHED: &str = "unfinished";
/// Files of the data directory that nobody else may read. Not all need be there.
const SECRETS: [&str; 5] =
    [KEY_FILE, WITNESS_KEY_FILE, MIRROR_KEY_FILE, auth::TOKENS_FILE, auth::ADMIN_TOKEN_FILE];

/// What is to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wish {
    /// The directory of the backup, which is not there yet. Absolute.
    pub dir: PathBuf,
    /// Whether NARs and build logs are part of it.
    pub nars: bool,
}

/// A pool as a backup sees it.
pub struct Parts<'p> {
    /// The data directory.
    pub data: &'p Path,
    /// What the pool remembers.
    pub index: &'p Index,
    /// Its NARs.
    pub blobs: &'p Blobs,
    /// Its keys.
    pub identity: &'p Identity,
}

/// Told how far it is; an answer of `false` means that it is to be given up.
pub type Report<'r> = &'r mut (dyn FnMut(String) -> bool + Send);

/// Makes a backup, and answers with what is in it. Takes long; not to be called by asynchronous code.
///
/// # Errors
/// A directory that is there already or cannot be written; a pool that is damaged. Nothing is left
/// then under the name of the backup.
pub fn take(pool: &Parts<'_>, wish: &Wish, report: Report<'_>) -> Result<Manifest, Error> {
    let partial = begin(&wish.dir)?;
    let made = fill(pool, wish, &partial, report).and_then(|manifest| {
        manifest.keep(&partial)?;
        let unfinished = partial.join(UNFINISHED);
        fs::remove_file(&unfinished).map_err(Error::file("remove", &unfinished))?;
        sync_all(&partial)?;
        fs::rename(&partial, &wish.dir).map_err(Error::file("put in place", &wish.dir))?;
        sync_dir(parent(&wish.dir))?;
        Ok(manifest)
    });
    if made.is_err() && partial.join(UNFINISHED).exists() {
        // The next attempt clears it, should this one fail.
        let _ = fs::remove_dir_all(&partial);
    }
    made
}

/// Makes the directory that will be the backup, in place of one that an interrupted attempt left.
fn begin(dir: &Path) -> Result<PathBuf, Error> {
    let taken = |path: &Path, hint: &str| Error::Setup {
        detail: format!("{} is there already", path.display()),
        hint: hint.to_owned(),
    };
    if dir.symlink_metadata().is_ok() {
        return Err(taken(
            dir,
            "a backup is a directory of its own: name a new one, such as one with the date",
        ));
    }
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = dir.with_file_name(name);
    if partial.join(UNFINISHED).exists() {
        fs::remove_dir_all(&partial).map_err(Error::file("clear", &partial))?;
    }
    if partial.symlink_metadata().is_ok() {
        return Err(taken(
            &partial,
            "it is no backup that was interrupted: see what it is, and move it away",
        ));
    }
    // It holds the pool's keys.
    let mut private = fs::DirBuilder::new();
    private.mode(0o700).create(&partial).map_err(Error::file("make", &partial))?;
    let unfinished = partial.join(UNFINISHED);
    fs::write(&unfinished, "").map_err(Error::file("write", &unfinished))?;
    Ok(partial)
}

fn fill(pool: &Parts<'_>, wish: &Wish, to: &Path, report: Report<'_>) -> Result<Manifest, Error> {
    let tell = |report: Report<'_>, text: &str| {
        if report(text.to_owned()) { Ok(()) } else { Err(given_up()) }
    };
    tell(report, "copying the index")?;
    // From here on nothing goes that the copy of the index may name.
    let _no_removals = pool.blobs.no_removals();
    // The heads are read first, so that the copy of the logs is never behind them.
    let heads = Heads::read(pool.data, pool.identity)?;
    let made_at = clock::now();
    let index = to.join("index");
    pool.index.copy_to(&index)?;
    let index = Index::open_to_read(&index)?;
    let sizes = heads.put(&index, to)?;
    for name in SECRETS {
        if let Some(bytes) = read_if_any(&pool.data.join(name))? {
            durable::replace(&to.join(name), &bytes, durable::SECRET)?;
        }
    }
    let mut manifest = Manifest::new(pool.identity.origin(), made_at, sizes, wish.nars);
    if wish.nars {
        let mut nars =
            Nars { pool, to: to.join("blobs"), manifest: &mut manifest, told: Instant::now() };
        nars.take(&index, report)?;
    } else {
        manifest.count(&index)?;
    }
    tell(report, "waiting for the disk")?;
    sync_all(to)?;
    Ok(manifest)
}

/// The NARs on their way into a backup.
struct Nars<'a> {
    pool: &'a Parts<'a>,
    to: PathBuf,
    manifest: &'a mut Manifest,
    told: Instant,
}

impl Nars<'_> {
    fn take(&mut self, index: &Index, report: Report<'_>) -> Result<(), Error> {
        for kind in ["nar", "log"] {
            let dir = self.to.join(kind);
            fs::create_dir_all(&dir).map_err(Error::file("make", &dir))?;
        }
        let mut last = None;
        loop {
            let page = index.blobs_after(last.as_ref(), PAGE)?;
            let Some((nar_hash, _)) = page.last() else { break };
            last = Some(*nar_hash);
            for (nar_hash, blob) in &page {
                self.take_one(&nar_name(nar_hash, blob.file.compression), blob.file.file_size)?;
                self.tell(report)?;
            }
        }
        let root = self.pool.blobs.root();
        for log in self.pool.blobs.logs().map_err(Error::file("list", root))? {
            let log = log.map_err(Error::file("list", root))?;
            place(&log, &self.to.join("log").join(log.file_name().unwrap_or_default()))?;
            self.manifest.logs += 1;
            self.tell(report)?;
        }
        Ok(())
    }

    fn take_one(&mut self, name: &str, size: u64) -> Result<(), Error> {
        let from = self.pool.blobs.root().join(name);
        // One file that is damaged must not keep all others out of the backup.
        if !fs::metadata(&from).is_ok_and(|file| file.size() == size) {
            tracing::error!(file = %from.display(), "gone, or of another size than it was: not in the backup");
            self.manifest.missing += 1;
            return Ok(());
        }
        place(&from, &self.to.join(name))?;
        self.manifest.nars += 1;
        self.manifest.nar_bytes += size;
        Ok(())
    }

    fn tell(&mut self, report: Report<'_>) -> Result<(), Error> {
        if self.told.elapsed() < TELLING {
            return Ok(());
        }
        self.told = Instant::now();
        let Manifest { nars, nar_bytes, .. } = self.manifest;
        if report(format!("{nars} NARs, {} MiB", *nar_bytes >> 20)) {
            Ok(())
        } else {
            Err(given_up())
        }
    }
}

fn given_up() -> Error {
    Error::Setup {
        detail: "the backup was given up: nobody waits for it any more".to_owned(),
        hint: "run it again".to_owned(),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_dir(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(Error::file("sync", path))
}
