//! Files by the hash of their contents: `guix publish` has the sources of packages like that, and
//! whoever fetches one from there need know no key. They are the same in every view.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use schema::compression::Compression;
use schema::content_address::ContentAddress;
use schema::hash::{FileHash, NarHash};
use schema::listing::{Listing, Node};
use schema::store_path::{StoreDir, StorePath};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Pool;
use super::pieces::{Gone, Pieces};
use crate::index::by_meaning;
use crate::ingest::decoder;
use crate::rejected::{Error, Failure, Rejected};

/// Files that are unpacked at a time: each takes a thread, and what its decoder needs.
const AT_ONCE: usize = 8;
/// NARs of which it is remembered what file they hold.
const REMEMBERED: usize = 65_536;
/// Bytes that are sent at a time.
const PIECE: usize = 64 << 10;
/// For a file that takes no time itself; slower than this nobody is served.
const LONGEST: Duration = Duration::from_secs(300);
const BYTES_PER_SECOND: u64 = 128 << 10;

/// What unpacking files takes.
pub(super) struct FlatFiles {
    turns: Arc<Semaphore>,
    /// The SHA-256 of the file that is all of a NAR, so that none is read twice to find it out.
    hashes: Mutex<HashMap<NarHash, [u8; 32]>>,
}

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

impl FlatFiles {
    pub(super) fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), hashes: Mutex::default() }
    }

    fn hash(&self, nar_hash: &NarHash) -> Option<[u8; 32]> {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner).get(nar_hash).copied()
    }

    fn remember(&self, nar_hash: NarHash, hash: [u8; 32]) {
        let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        if hashes.len() >= REMEMBERED {
            hashes.clear();
        }
        hashes.insert(nar_hash, hash);
    }
}

impl Pool {
    /// The file called `name` with this hash, if somebody has attested its path, and somebody a NAR of
    /// that path which holds it: whoever asks goes by the hash.
    ///
    /// # Errors
    /// No such path, or contents that are others; too many who ask; a failing database or disk.
    pub async fn flat_file(
        self: &Arc<Self>,
        name: &str,
        hash: FileHash,
    ) -> Result<FlatFile, Failure> {
        let missing = || {
            Rejected::not_found("no_file", format!("no file {name} with the hash {hash} is here"))
        };
        let path = ContentAddress::path_of_file(&StoreDir::guix(), name, hash.as_bytes())
            .map_err(|_| missing())?;
        let nars = self.nars_of(&path)?;
        if nars.is_empty() {
            return Err(missing().into());
        }
        let turn = Arc::clone(&self.flat_files.turns).try_acquire_owned().map_err(|_| {
            Rejected::too_many("too_many_files", "too many files are being unpacked")
                .hint("try again in a moment")
        })?;
        let (asker, pool) = (Arc::new(()), Arc::clone(self));
        let asked = Arc::downgrade(&asker);
        // The turn goes with the thread, which may be at work a little longer than anybody waits.
        let found = tokio::task::spawn_blocking(move || {
            for nar_hash in nars {
                let Some(packed) = pool.packed_file(&nar_hash)? else { continue };
                if pool.hash_of(&nar_hash, &packed, &asked)? == *hash.as_bytes() {
                    return Ok::<_, Failure>(Some(FlatFile { packed, turn }));
                }
            }
            Ok(None)
        });
        let found = found.await.map_err(|error| Error::Blobs(format!("reading stopped: {error}")));
        drop(asker);
        // The path follows from the hash; whoever attested it with such a NAR was wrong.
        let other = || {
            let detail = format!("what is attested of {name} has other contents than {hash}");
            Rejected::not_found("other_contents", detail)
        };
        Ok(found??.ok_or_else(other)?)
    }

    /// The NARs that are claimed of a path and are here.
    fn nars_of(&self, path: &StorePath) -> Result<Vec<NarHash>, Error> {
        let record = self.index.path(&path.base().hash_part())?.unwrap_or_default();
        let claims = record.claims.iter().filter(|it| it.claim.path() == path && it.file.is_some());
        Ok(by_meaning(claims).into_iter().map(|agreeing| agreeing[0].claim.nar_hash()).collect())
    }

    /// Where the file lies that is all of a NAR. Nothing, for other NARs.
    fn packed_file(&self, nar_hash: &NarHash) -> Result<Option<Packed>, Error> {
        let listing = self.index.listing(nar_hash)?;
        let listing = listing.and_then(|json| serde_json::from_slice::<Listing>(&json).ok());
        let root = listing.map(|listing| listing.root);
        let Some(Node::Regular { size, nar_offset: Some(offset), .. }) = root else {
            return Ok(None);
        };
        let Some((kept, nar)) = self.open_nar(nar_hash)? else { return Ok(None) };
        let (compression, memory) = (kept.compression, self.config.max_decoder_memory);
        let nar = nar.into_file();
        Ok(Some(Packed { nar, compression, memory, offset, size }))
    }

    /// The SHA-256 of the contents, which is found out while somebody waits for it.
    fn hash_of(
        &self,
        nar_hash: &NarHash,
        packed: &Packed,
        asked: &Weak<()>,
    ) -> Result<[u8; 32], Error> {
        if let Some(hash) = self.flat_files.hash(nar_hash) {
            return Ok(hash);
        }
        let hash = packed.hash(asked).map_err(Error::io("unpack a NAR"))?;
        self.flat_files.remember(*nar_hash, hash);
        Ok(hash)
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
        let Self { packed, turn } = self;
        let longest = LONGEST + Duration::from_secs(packed.size / BYTES_PER_SECOND);
        let (pieces, receiver) = Pieces::new(turn, longest);
        tokio::task::spawn_blocking(move || {
            let sent = packed.read(|piece| {
                let gone = |Gone| io::ErrorKind::BrokenPipe.into();
                pieces.send(Bytes::copy_from_slice(piece)).map_err(gone)
            });
            if let Err(error) = sent {
                pieces.fail(error);
            }
        });
        receiver
    }
}

impl Packed {
    fn hash(&self, asked: &Weak<()>) -> io::Result<[u8; 32]> {
        let mut hash = Sha256::new();
        self.read(|piece| {
            hash.update(piece);
            if asked.strong_count() == 0 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
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
