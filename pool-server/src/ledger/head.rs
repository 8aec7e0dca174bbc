//! The head of a log: the last checkpoint that was signed, in a file of its own.
//!
//! It must never go back: whoever has seen a checkpoint must find it again in every later tree. So
//! it stands apart from the database, which may be restored from an older copy.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use schema::tlog::checkpoint::SignedCheckpoint;
use schema::tlog::note::VerifierKey;

use crate::durable;
use crate::rejected::Error;

/// A slot is a block of its own, so that a torn write of one leaves the other whole.
const SLOT: usize = 4096;
const SLOTS: usize = 2;

/// The file of a head. It has two slots, written in turn; the larger checkpoint of those that
/// verify is the head. The signature is the checksum.
pub(super) struct Head {
    file: File,
    path: PathBuf,
    key: VerifierKey,
    newest: Newest,
}

struct Newest {
    slot: usize,
    checkpoint: SignedCheckpoint,
}

impl Head {
    /// Opens the head in the file at `path`; none when there is no such file. What is read may be
    /// from a write of which the sync failed: the kernel has it then, and the disk does not. So it is
    /// written anew, into a new file, before anything rests on it.
    ///
    /// # Errors
    /// A file that cannot be read or written, or in which no slot holds a checkpoint by `key`.
    pub(super) fn open(path: &Path, key: &VerifierKey) -> Result<Option<Self>, Error> {
        let Some(found) = Self::inspect(path, key)? else { return Ok(None) };
        Self::create(path, key, found.checkpoint()).map(Some)
    }

    /// The head as the file at `path` has it, which may be in use: it is left as it is.
    ///
    /// # Errors
    /// A file that cannot be read, or in which no slot holds a checkpoint by `key`.
    pub(super) fn inspect(path: &Path, key: &VerifierKey) -> Result<Option<Self>, Error> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("open", path)(error)),
        };
        let newest = newest(&file, path, key)?;
        Ok(Some(Self { file, path: path.to_owned(), key: key.clone(), newest }))
    }

    /// Makes the head of a new log.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn create(
        path: &Path,
        key: &VerifierKey,
        first: &SignedCheckpoint,
    ) -> Result<Self, Error> {
        let mut slots = slot_bytes(path, first)?;
        slots.resize(SLOT * SLOTS, 0);
        durable::replace(path, &slots, durable::PUBLIC)?;
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(Error::file("open", path))?;
        let newest = newest(&file, path, key)?;
        Ok(Self { file, path: path.to_owned(), key: key.clone(), newest })
    }

    /// The head.
    pub(super) fn checkpoint(&self) -> &SignedCheckpoint {
        &self.newest.checkpoint
    }

    /// Whether each slot that was written reads. One that does not was cut short by a crash, which the
    /// next start makes good, or is damaged.
    ///
    /// # Errors
    /// That one does not, or a file that cannot be read.
    pub(super) fn check_slots(&self) -> Result<(), Error> {
        let bytes = slots(&self.file, &self.path)?;
        let was_written = |slot: &&[u8]| slot.iter().any(|byte| *byte != 0);
        match bytes.chunks_exact(SLOT).filter(was_written).all(|it| read(it, &self.key).is_some()) {
            true => Ok(()),
            false => Err(damaged(&self.path, "one of its two checkpoints does not read")),
        }
    }

    /// Replaces the head, durably, if it is still the one that this was told last: the compare of
    /// a compare-and-swap reads the file again. One write and one sync.
    ///
    /// # Errors
    /// A smaller checkpoint, a file that somebody else has changed, or one that cannot be written.
    /// What the disk has is not known then, and this head must be opened anew.
    pub(super) fn advance(&mut self, to: SignedCheckpoint) -> Result<(), Error> {
        let found = newest(&self.file, &self.path, &self.key)?;
        let known = &self.newest.checkpoint;
        if found.checkpoint.note().text() != known.note().text() {
            return Err(damaged(&self.path, "it is not as this pool left it"));
        }
        if to.size() < known.size() {
            return Err(damaged(&self.path, "a log never shrinks"));
        }
        let slot = (found.slot + 1) % SLOTS;
        let bytes = slot_bytes(&self.path, &to)?;
        let offset = (slot * SLOT) as u64;
        self.file.write_all_at(&bytes, offset).map_err(Error::file("write", &self.path))?;
        self.file.sync_data().map_err(Error::file("sync", &self.path))?;
        self.newest = Newest { slot, checkpoint: to };
        Ok(())
    }
}

fn newest(file: &File, path: &Path, key: &VerifierKey) -> Result<Newest, Error> {
    let bytes = slots(file, path)?;
    let slots = bytes
        .chunks_exact(SLOT)
        .enumerate()
        .filter_map(|(slot, bytes)| Some(Newest { slot, checkpoint: read(bytes, key)? }));
    slots.max_by_key(|it| it.checkpoint.size()).ok_or_else(|| Error::Setup {
        detail: format!("{} holds no checkpoint of {}", path.display(), key.name()),
        hint: "`origin` and pool.key must be those the log was begun with; or put this file back \
               from a backup"
            .to_owned(),
    })
}

fn slots(file: &File, path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; SLOT * SLOTS];
    file.read_exact_at(&mut bytes, 0).map_err(Error::file("read", path))?;
    Ok(bytes)
}

fn read(slot: &[u8], key: &VerifierKey) -> Option<SignedCheckpoint> {
    let end = slot.iter().position(|byte| *byte == 0)?;
    SignedCheckpoint::open(&slot[..end], key).ok()
}

fn slot_bytes(path: &Path, checkpoint: &SignedCheckpoint) -> Result<Vec<u8>, Error> {
    let mut bytes = checkpoint.note().to_string().into_bytes();
    if bytes.len() >= SLOT {
        return Err(damaged(path, "the checkpoint is too long"));
    }
    bytes.resize(SLOT, 0);
    Ok(bytes)
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::Damaged(format!("{}: {why}", path.display()))
}
