//! Files by the hash of their contents: `guix publish` has the sources of packages like that, and
//! whoever fetches one from there need know no key.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use schema::claim::Dialect;
use schema::compression::Compression;
use schema::content_address::ContentAddress;
use schema::hash::FileHash;
use schema::listing::{Listing, Node};
use schema::store_path::StoreDir;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::Pool;
use super::answer::not_shown;
use crate::assemble::view::View;
use crate::ingest::decoder;
use crate::rejected::{Error, Failure, Rejected};

/// Files that are unpacked at a time: each takes a thread, and what its decoder needs.
pub(super) const AT_ONCE: usize = 8;
/// Bytes that are sent at a time.
const PIECE: usize = 64 << 10;
/// Pieces that wait for the network.
const WAITING: usize = 4;

/// A file whose contents have the hash that was asked for: they were read once.
pub struct FlatFile {
    packed: Packed,
    turn: OwnedSemaphorePermit,
}

/// Where in which NAR the contents lie.
struct Packed {
    nar: Arc<File>,
    compression: Compression,
    memory: u64,
    offset: u64,
    size: u64,
}

impl Pool {
    /// The file called `name` with this hash, if a view shows its path.
    ///
    /// # Errors
    /// No such path in this view, or contents that are others; a failing database or disk.
    pub async fn flat_file(
        self: &Arc<Self>,
        view: &View,
        name: &str,
        hash: FileHash,
    ) -> Result<FlatFile, Failure> {
        let turn = Arc::clone(&self.flat_files).acquire_owned().await;
        let turn = turn.map_err(|_| Error::Blobs("the pool is closing".to_owned()))?;
        let packed = self.packed_file(view, name, hash)?;
        let checking = tokio::task::spawn_blocking(move || (packed.hash(), packed));
        let (found, packed) =
            checking.await.map_err(|error| Error::Blobs(format!("reading stopped: {error}")))?;
        if found.map_err(Error::io("unpack a NAR"))? != *hash.as_bytes() {
            // The path follows from the hash; whoever attested it with this NAR was wrong.
            let detail = format!("what is attested of {name} has other contents than {hash}");
            return Err(Rejected::not_found("other_contents", detail).into());
        }
        Ok(FlatFile { packed, turn })
    }

    fn packed_file(&self, view: &View, name: &str, hash: FileHash) -> Result<Packed, Failure> {
        let missing = || {
            Rejected::not_found("no_file", format!("no file {name} with the hash {hash} is here"))
        };
        let path = ContentAddress::path_of_file(&StoreDir::guix(), name, hash.as_bytes())
            .map_err(|_| missing())?;
        let (signers, hash_part) = (self.signers(), path.base().hash_part());
        let record = self.index.path(&hash_part)?.ok_or_else(missing)?;
        let shown = self.shown_by(view, Dialect::Guix, &hash_part, Some(&record), &signers)?;
        let shown = shown.map_err(not_shown)?;
        let (nar_hash, compression) = (shown.claim().nar_hash(), shown.file().compression);
        let listing = self.index.listing(&nar_hash)?;
        let listing = listing.and_then(|json| serde_json::from_slice::<Listing>(&json).ok());
        let root = listing.filter(|_| *shown.claim().path() == path).map(|listing| listing.root);
        let Some(Node::Regular { size, nar_offset: Some(offset), .. }) = root else {
            return Err(missing().into());
        };
        let nar = self.blobs.nar(&nar_hash, compression)?.into_file();
        let memory = self.config.max_decoder_memory;
        Ok(Packed { nar, compression, memory, offset, size })
    }
}

impl FlatFile {
    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.packed.size
    }

    /// Its contents, as they are unpacked. An error ends them early.
    #[must_use]
    pub fn pieces(self) -> mpsc::Receiver<io::Result<Bytes>> {
        let (sender, pieces) = mpsc::channel(WAITING);
        tokio::task::spawn_blocking(move || {
            let Self { packed, turn } = self;
            let sent = packed.read(|piece| {
                let gone = |_| io::ErrorKind::BrokenPipe.into();
                sender.blocking_send(Ok(Bytes::copy_from_slice(piece))).map_err(gone)
            });
            if let Err(error) = sent {
                // Whoever asked may have gone.
                let _ = sender.blocking_send(Err(error));
            }
            drop(turn);
        });
        pieces
    }
}

impl Packed {
    fn hash(&self) -> io::Result<[u8; 32]> {
        let mut hash = Sha256::new();
        self.read(|piece| {
            hash.update(piece);
            Ok(())
        })?;
        Ok(hash.finalize().into())
    }

    fn read(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut file = BufReader::with_capacity(PIECE, FileFromStart { file: &self.nar, at: 0 });
        let mut nar = decoder(self.compression, &mut file, self.memory)?;
        io::copy(&mut nar.by_ref().take(self.offset), &mut io::sink())?;
        let mut left = self.size;
        let mut buffer = vec![0; PIECE];
        while left > 0 {
            let len = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            nar.read_exact(&mut buffer[..len])?;
            take(&buffer[..len])?;
            left -= len as u64;
        }
        Ok(())
    }
}

/// Reads a shared file from its start, wherever others are in it.
struct FileFromStart<'f> {
    file: &'f File,
    at: u64,
}

impl Read for FileFromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = std::os::unix::fs::FileExt::read_at(self.file, buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
