//! An upload on its way into the store.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutPayloadMut,
};

use super::{Room, failed};
use crate::rejected::Error;

/// Bytes kept in memory before a part is written. S3 wants parts of at least 5 MiB.
const PART: usize = 8 << 20;

/// Bytes that were received but are visible to nobody. Small ones never leave memory.
/// Dropping it without [`discard`](Self::discard) leaves a file that the next start clears.
pub struct Staged {
    store: Arc<dyn ObjectStore>,
    name: Path,
    /// Where its file lies while it is written.
    file: PathBuf,
    room: Room,
    buffer: PutPayloadMut,
    parts: Option<Box<dyn MultipartUpload>>,
}

impl Staged {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        name: String,
        root: &FilePath,
        room: Room,
    ) -> Self {
        let file = root.join(&name);
        let (name, buffer) = (Path::from(name), PutPayloadMut::new());
        Self { store, name, file, room, buffer, parts: None }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// When a part cannot be written.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.buffer.push(bytes);
        if self.buffer.content_length() >= PART { self.write_part().await } else { Ok(()) }
    }

    /// Makes the bytes durable under `name`, replacing whatever is there. The caller has the
    /// turn of its NAR.
    ///
    /// # Errors
    /// When they cannot be written; then nothing refers to what may be left.
    pub async fn place(mut self, name: &str) -> Result<(), Error> {
        let file = std::mem::take(&mut self.file);
        let placed = self.try_place(&Path::from(name)).await;
        if placed.is_err() {
            // A disk that is full is not to stay so for what nobody needs. The crate's local store
            // writes to `name#1`, and leaves that when the sync fails.
            let mut unfinished = file.clone().into_os_string();
            unfinished.push("#1");
            for leftover in [file, unfinished.into()] {
                let _ = std::fs::remove_file(leftover);
            }
        }
        placed
    }

    async fn try_place(mut self, name: &Path) -> Result<(), Error> {
        if self.parts.is_none() {
            let bytes = std::mem::take(&mut self.buffer).freeze();
            self.store.put(name, bytes).await.map_err(failed)?;
            return Ok(());
        }
        self.write_part().await?;
        if let Some(mut parts) = self.parts.take() {
            parts.complete().await.map_err(failed)?;
        }
        self.store.rename(&self.name, name).await.map_err(failed)
    }

    /// Forgets the bytes.
    ///
    /// # Errors
    /// When what was written cannot be removed.
    pub async fn discard(mut self) -> Result<(), Error> {
        match self.parts.take() {
            Some(mut parts) => parts.abort().await.map_err(failed),
            None => Ok(()),
        }
    }

    async fn write_part(&mut self) -> Result<(), Error> {
        let part = std::mem::take(&mut self.buffer).freeze();
        if part.content_length() == 0 {
            return Ok(());
        }
        self.room.for_nars()?;
        let parts = match &mut self.parts {
            Some(parts) => parts,
            None => {
                let options = PutMultipartOptions::default();
                let upload =
                    self.store.put_multipart_opts(&self.name, options).await.map_err(failed)?;
                self.parts.insert(upload)
            }
        };
        parts.put_part(part).await.map_err(failed)
    }
}
