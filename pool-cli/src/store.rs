//! Where paths come from: a local store with its database, or a binary cache in a directory.

mod binary_cache;
mod nix;
mod resolve;

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};
use schema::claim::Claim;
use schema::store_path::{BaseName, StoreDir, StorePath};

use self::binary_cache::BinaryCache;
use self::nix::LocalStore;
pub(crate) use self::resolve::{in_any_store, in_store};
use crate::nar::Meter;

/// Which store to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// The root of a file system with a store in it.
    Root(PathBuf),
    /// The directory of a binary cache.
    BinaryCache(PathBuf),
}

impl FromStr for Location {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.strip_prefix("file://") {
            Some(dir) => Self::BinaryCache(dir.into()),
            None => Self::Root(text.into()),
        })
    }
}

/// All that a store knows of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathInfo {
    /// What there is to sign.
    pub(crate) claim: Claim,
    /// The derivation it was built from.
    pub(crate) deriver: Option<BaseName>,
    /// Its content address, as the store spells it.
    pub(crate) ca: Option<String>,
}

/// A store that can be read from any thread.
#[derive(Debug)]
pub(crate) enum Store {
    /// A directory and its database.
    Local(LocalStore),
    /// Narinfos and packed NARs.
    BinaryCache(BinaryCache),
}

impl Store {
    /// Opens the store at `location`. Where there are two, Nix's and Guix's, `paths` decide.
    pub(crate) fn open(location: &Location, paths: &[PathBuf]) -> Result<Self> {
        Ok(match location {
            Location::Root(root) => Self::Local(LocalStore::open(root, paths)?),
            Location::BinaryCache(dir) => Self::BinaryCache(BinaryCache::open(dir)?),
        })
    }

    /// The directory in which its paths are spelled.
    pub(crate) fn dir(&self) -> &StoreDir {
        match self {
            Self::Local(store) => store.dir(),
            Self::BinaryCache(cache) => cache.dir(),
        }
    }

    /// The store path that the user means by `path`.
    pub(crate) fn resolve(&self, path: &Path) -> Result<StorePath> {
        let files = match self {
            Self::Local(store) => Some(store.files()),
            Self::BinaryCache(_) => None,
        };
        in_store(path, self.dir(), files)
    }

    /// Every path that `tops` need, themselves first; each once.
    pub(crate) fn closure(&self, tops: &[StorePath]) -> Result<Vec<PathInfo>> {
        match self {
            Self::Local(store) => {
                let database = store.database()?;
                let snapshot = database.snapshot()?;
                walk(tops, |path| snapshot.path_info(path))
            }
            Self::BinaryCache(cache) => walk(tops, |path| cache.path_info(path)),
        }
    }

    /// Whether the store still has `path`.
    pub(crate) fn holds(&self, path: &StorePath) -> Result<bool> {
        match self {
            Self::Local(store) => store.database()?.snapshot()?.holds(path),
            Self::BinaryCache(cache) => Ok(cache.holds(path)),
        }
    }

    /// What is known of those of `paths` that the store has.
    pub(crate) fn known(&self, paths: &[StorePath]) -> Result<HashMap<StorePath, PathInfo>> {
        let ours = || paths.iter().filter(|path| path.dir() == self.dir());
        let info = |path: &StorePath, info: PathInfo| (path.clone(), info);
        match self {
            Self::Local(store) => {
                let database = store.database()?;
                let snapshot = database.snapshot()?;
                let mut known = HashMap::new();
                for path in ours() {
                    if snapshot.holds(path)? {
                        known.extend([info(path, snapshot.path_info(path)?)]);
                    }
                }
                Ok(known)
            }
            Self::BinaryCache(cache) => ours()
                .filter(|path| cache.holds(path))
                .map(|path| Ok(info(path, cache.path_info(path)?)))
                .collect(),
        }
    }

    /// Writes the NAR of the path `claim` speaks of. An error of `out` is passed on.
    pub(crate) fn dump(&self, claim: &Claim, out: &mut dyn Write) -> Result<()> {
        match self {
            Self::Local(store) => store.dump(claim, out),
            Self::BinaryCache(cache) => cache.dump(claim, out),
        }
        .with_context(|| format!("reading {}", claim.path()))
    }

    /// What is wrong with a path whose NAR is not what `claim` says, for the user.
    pub(crate) fn mismatch(&self, claim: &Claim) -> anyhow::Error {
        let mut meter = Meter::default();
        match self.dump(claim, &mut meter) {
            Ok(()) => crate::nar::mismatch(claim, meter.finish()).into(),
            Err(error) => error,
        }
    }
}

/// Breadth first, so that what was asked for comes first.
fn walk(
    tops: &[StorePath],
    mut path_info: impl FnMut(&StorePath) -> Result<PathInfo>,
) -> Result<Vec<PathInfo>> {
    let mut seen: HashSet<StorePath> = HashSet::new();
    let mut waiting: VecDeque<StorePath> = VecDeque::new();
    let mut closure = Vec::new();
    waiting.extend(tops.iter().filter(|path| seen.insert((*path).clone())).cloned());
    while let Some(path) = waiting.pop_front() {
        let info = path_info(&path)?;
        for base in info.claim.references() {
            let reference = StorePath::new(path.dir().clone(), base.clone());
            if seen.insert(reference.clone()) {
                waiting.push_back(reference);
            }
        }
        closure.push(info);
    }
    Ok(closure)
}
