//! The index is made anew from what it is derived from: logs, claims, and the NARs themselves.
//!
//! It is made beside the old one, which stays as it is until the new one is whole and durable; then the
//! two change places in one step. Whatever ends it before, the pool is as it was.

mod nars;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, fcntl_lock, renameat_with};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::index::Index;
use crate::ledger::identity::Identity;
use crate::ledger::rebuild::{Rebuilding, Replayed};
use crate::ledger::restored::Restored;
use crate::rejected::Error;
use nars::Nars;

/// Where, in the data directory, the index is.
const INDEX: &str = "index";
/// Where the new one is made, and the old one lies before it is removed.
const OTHER: &str = "index.new";

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reindexed {
    /// Of the logs.
    #[serde(flatten)]
    pub replayed: Replayed,
    /// What the files of NARs were.
    pub nars: NarsFound,
    /// Of these families something may be lost that follows from nothing else.
    pub incomplete: Vec<String>,
}

/// What the files of NARs were.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct NarsFound {
    /// Files that were read, and found whole.
    pub whole: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Files that are not the NARs that they are named for.
    pub damaged: Vec<String>,
    /// Files that were removed, or whose uploads were never finished.
    pub unfinished: u64,
}

/// How to go about it.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// Believe what the old index says of NARs, and read none.
    pub trust_nars: bool,
}

/// Makes the index of the pool in the configured directory anew. No server may run there. Takes long.
///
/// # Errors
/// A directory that a server works in, logs that do not read, a full disk. The index is as it was then.
pub fn reindex(
    config: &Config,
    how: How,
    report: &mut (dyn FnMut(String) + Send),
) -> Result<Reindexed, Error> {
    Restored::read(&config.data)?;
    let (index, other) = (config.data.join(INDEX), config.data.join(OTHER));
    // This also proves that nobody else is at work here, and keeps it so.
    let old = Index::open_to_read_again(&index)?;
    remove(&other)?;
    let new = Index::open_to_fill(&other)?;
    let identity = Identity::open(&config.data, config.origin.as_ref())?;
    let rebuilding = Rebuilding { data: &config.data, identity: &identity, old: &old, new: &new };
    report("copying logs and claims".to_owned());
    rebuilding.copy_logs()?;
    let incomplete = old.copy_underived(&new)?;
    let mut found = NarsFound::default();
    if how.trust_nars {
        old.copy_nars(&new)?;
    } else {
        found = Nars::new(config, &old, &new, report).read()?;
    }
    let replayed = rebuilding.replay(report)?;
    report("waiting for the disk".to_owned());
    new.sync()?;
    drop(new);
    sync_files(&other)?;
    let _alone = let_go(old, &index)?;
    change_places(&config.data, &index, &other)?;
    remove(&other)?;
    let incomplete = incomplete.into_iter().map(str::to_owned).collect();
    Ok(Reindexed { replayed, nars: found, incomplete })
}

/// Closes the old index, which must not be open when it changes its place: the database finds its files by
/// their names, and would clear away those of the new one. Until the file that this answers with is
/// closed, no server opens the old one: it has the database's own lock.
fn let_go(old: Index, index: &Path) -> Result<File, Error> {
    // Each time it is opened, this names another file.
    let current = index.join("CURRENT");
    let state = || fs::read(&current).map_err(Error::file("read", &current));
    let before = state()?;
    drop(old);
    let path = index.join("LOCK");
    let lock = File::options().write(true).open(&path).map_err(Error::file("open", &path))?;
    let locked = fcntl_lock(&lock, FlockOperation::NonBlockingLockExclusive);
    if locked.is_ok() && state()? == before {
        return Ok(lock);
    }
    Err(Error::Setup {
        detail: "a pool-server was started meanwhile; the new index may lack what it took"
            .to_owned(),
        hint: "stop it, and run this again".to_owned(),
    })
}

fn remove(dir: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", dir)(error))
        }
        _ => Ok(()),
    }
}

/// The database syncs what it writes to its log, and its tables; not all of its small files.
fn sync_files(dir: &Path) -> Result<(), Error> {
    let failed = |error| Error::file("sync", dir)(error);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path: PathBuf = entry.map_err(failed)?.path();
        File::open(&path).and_then(|file| file.sync_all()).map_err(Error::file("sync", &path))?;
    }
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}

fn change_places(data: &Path, index: &Path, other: &Path) -> Result<(), Error> {
    renameat_with(CWD, index, CWD, other, RenameFlags::EXCHANGE).map_err(|error| Error::Setup {
        detail: format!(
            "{} and {} cannot change places: {error}",
            index.display(),
            other.display()
        ),
        hint: "the new index is whole: move the old one away and the new one into its place"
            .to_owned(),
    })?;
    File::open(data).and_then(|data| data.sync_all()).map_err(Error::file("sync", data))
}
