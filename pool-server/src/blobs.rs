//! The NARs themselves, one object each, through the `object_store` crate.
//!
//! Objects are named so that a plain static web server over the tree answers the same URLs:
//! `nar/<NAR hash>.nar.<suffix>` and `log/<derivation>`. Bytes are durable under their final name
//! before anything refers to them. A name is only ever written by whoever has its
//! [turn](Blobs::turn), so nothing rests on conditional writes.

mod file;
mod files;
mod links;
mod room;
mod staged;
mod turns;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::store_path::BaseName;

use crate::rejected::Error;

pub use file::{NarBody, NarFile};
pub use files::{FoundFile, parse_nar_name};
pub use links::Removing;
pub use room::Room;
pub use staged::Staged;
pub use turns::Turn;
use turns::Turns;

/// Uploads in progress lie here; whatever is found at a start is left over from a crash.
const STAGING: &str = "staging";

/// Small files that are written at once.
const WIDTH: usize = 16;

/// Where NARs and build logs are kept.
pub struct Blobs {
    /// Whatever this has taken is durable.
    store: Arc<dyn ObjectStore>,
    /// The same place, but what this has taken is durable only after a sync.
    unsynced: Arc<dyn ObjectStore>,
    root: PathBuf,
    room: Room,
    turns: Turns,
    /// Held for writing by whoever removes files.
    removals: tokio::sync::RwLock<()>,
}

impl Blobs {
    /// Opens the tree under `root`, making it when there is none, and clears what a crash left
    /// of unfinished uploads.
    ///
    /// # Errors
    /// When the tree cannot be made, read or cleared.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let staging = root.join(STAGING);
        if staging.exists() {
            std::fs::remove_dir_all(&staging).map_err(Error::file("clear", &staging))?;
        }
        for dir in [&staging, &root.join("nar"), &root.join("log")] {
            std::fs::create_dir_all(dir).map_err(Error::file("make", dir))?;
        }
        let local =
            |fsync| LocalFileSystem::new_with_prefix(root).map(|it| Arc::new(it.with_fsync(fsync)));
        Ok(Self {
            store: local(true).map_err(failed)?,
            unsynced: local(false).map_err(failed)?,
            root: root.to_owned(),
            room: Room::new(vec![root.to_owned()], None),
            turns: Turns::default(),
            removals: tokio::sync::RwLock::default(),
        })
    }

    /// The same, with what is to be kept free.
    #[must_use]
    pub fn with_room(self, room: Room) -> Self {
        Self { room, ..self }
    }

    /// What is free, and what is kept free.
    #[must_use]
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// Begins an upload whose NAR hash is not known yet.
    ///
    /// # Errors
    /// No room, or no random name.
    pub fn stage(&self) -> Result<Staged, Error> {
        self.room.for_nars()?;
        Ok(Staged::new(Arc::clone(&self.store), staging_name()?, &self.root, self.room.clone()))
    }

    /// Waits until nobody else puts any of these NARs in place.
    pub async fn turn(&self, nar_hashes: &[NarHash]) -> Turn<'_> {
        self.turns.take(nar_hashes).await
    }

    /// Makes many small files durable, each under its name; the caller has the turn of each. They
    /// share one sync, which costs a thousand of them no more than two of them.
    ///
    /// # Errors
    /// When one cannot be written; then nothing refers to any of them.
    pub async fn place_all(&self, files: Vec<(String, Bytes)>) -> Result<(), Error> {
        self.room.for_nars()?;
        // Opened first: through it the kernel tells of whatever fails from now on.
        let dir = std::fs::File::open(&self.root).map_err(Error::file("open", &self.root))?;
        let put = |(name, bytes): (String, Bytes)| async move {
            let name = object_store::path::Path::from(name);
            self.unsynced.put(&name, PutPayload::from(bytes)).await.map_err(failed)
        };
        stream::iter(files.into_iter().map(put))
            .buffer_unordered(WIDTH)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        self.sync(dir).await
    }

    /// Waits until everything is durable that was written under the root since `dir`, which is the
    /// root, was opened.
    async fn sync(&self, dir: std::fs::File) -> Result<(), Error> {
        let root = self.root.clone();
        let syncing = tokio::task::spawn_blocking(move || {
            rustix::fs::syncfs(&dir).map_err(|error| Error::file("sync", &root)(error.into()))
        });
        syncing.await.map_err(|error| Error::Blobs(format!("syncing stopped: {error}")))?
    }

    /// The file that holds a NAR.
    ///
    /// # Errors
    /// When it is not there, or cannot be opened.
    pub fn nar(&self, nar_hash: &NarHash, compression: Compression) -> Result<NarFile, Error> {
        NarFile::open(&self.root.join(nar_name(nar_hash, compression)))
    }

    /// Removes an object that was being put in place when the pool stopped. It may not be there.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub async fn remove_unfinished(&self, name: &str) -> Result<(), Error> {
        // The crate's local store writes to `name#1` before it renames.
        for leftover in [self.root.join(name), self.root.join(format!("{name}#1"))] {
            match std::fs::remove_file(&leftover) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::file("remove", &leftover)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes files of NARs that are forgotten, for good; the caller has their turns, and waited until
    /// files may go.
    ///
    /// # Errors
    /// When one is there and cannot be removed.
    pub async fn remove(&self, names: Vec<String>, _: &Removing<'_>) -> Result<(), Error> {
        let root = self.root.clone();
        let removing = tokio::task::spawn_blocking(move || {
            for path in names.iter().map(|name| root.join(name)) {
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(Error::file("remove", &path)(error));
                    }
                    _ => {}
                }
            }
            let directory = root.join("nar");
            let sync = || std::fs::File::open(&directory)?.sync_all();
            sync().map_err(Error::file("sync", &directory))
        });
        removing.await.map_err(|error| Error::Blobs(format!("removing stopped: {error}")))?
    }

    /// Keeps a build log. The first one stays: nobody vouches for either.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put_log(&self, derivation: &BaseName, log: Bytes) -> Result<(), Error> {
        self.room.for_nars()?;
        let name = log_name(derivation);
        if self.store.head(&name).await.is_ok() {
            return Ok(());
        }
        // Not put there directly: no start would clear what a crash leaves beside it.
        let staged = object_store::path::Path::from(staging_name()?);
        self.store.put(&staged, PutPayload::from(log)).await.map_err(failed)?;
        self.store.rename(&staged, &name).await.map_err(failed)
    }

    /// A build log, if there is one.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub async fn log(&self, derivation: &BaseName) -> Result<Option<Bytes>, Error> {
        match self.store.get(&log_name(derivation)).await {
            Ok(log) => log.bytes().await.map(Some).map_err(failed),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

/// The name of a NAR's object, which is its URL relative to any view.
#[must_use]
pub fn nar_name(nar_hash: &NarHash, compression: Compression) -> String {
    format!("nar/{}.nar{}", nar_hash.to_nix32(), compression.suffix())
}

fn staging_name() -> Result<String, Error> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| Error::Blobs(format!("no randomness: {error}")))?;
    Ok(format!("{STAGING}/{:032x}", u128::from_be_bytes(id)))
}

fn log_name(derivation: &BaseName) -> object_store::path::Path {
    object_store::path::Path::from(format!("log/{derivation}"))
}

fn failed(error: object_store::Error) -> Error {
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            let copy = io
                .raw_os_error()
                .map_or_else(|| io.kind().into(), std::io::Error::from_raw_os_error);
            return Error::Io { doing: "keep a blob", source: copy };
        }
        source = inner.source();
    }
    Error::Blobs(error.to_string())
}
