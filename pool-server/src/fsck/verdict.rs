//! One NAR: whether its file still is what it was, and what is done when it is not.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use schema::hash::{FileHash, NarHash};
use sha2::{Digest, Sha256};

use super::pace::{Pace, Paced};
use crate::blobs::{Blobs, nar_name};
use crate::index::{BlobRecord, Index};
use crate::ingest::{self, Declared, Limits};
use crate::ledger::sequencer::Sequencer;
use crate::rejected::{Error, Failure};

/// What the system says when a disk does not read.
const EIO: i32 = 5;

/// What is to be said of a NAR's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was read to its end, and is what it was.
    Whole,
    /// There is none.
    Missing,
    /// It has another size.
    Cut(String),
    /// It holds something else, or does not read.
    Damaged(String),
    /// It cannot be told.
    Untold(String),
    /// The reading was stopped.
    Stopped,
}

/// Reads a NAR's file to its end: its own hash, and that of the NAR in it. Answers with how many bytes
/// were read, too.
pub fn judge(
    blobs: &Blobs,
    (nar_hash, blob): (&NarHash, &BlobRecord),
    decoder_memory: u64,
    pace: &mut Pace,
) -> (Verdict, u64) {
    let file = match opened(blobs, nar_hash, blob) {
        Ok(file) => file,
        Err(verdict) => return (verdict, 0),
    };
    let (size, hash) = (blob.file.file_size, blob.file.file_hash);
    let declared = Declared {
        compression: Some(blob.file.compression),
        nar_hash: Some(*nar_hash),
        nar_size: Some(blob.nar_size),
        file_hash: Some(hash),
        file_size: Some(size),
    };
    let (nar_size, file_size) = (blob.nar_size, size);
    let limits = Limits { nar_size, file_size, decoder_memory, listing_size: 0 };
    let mut paced = Paced::new(FromStart { file: &file, at: 0 }, pace);
    let checked = ingest::check(&mut paced, &declared, &limits);
    let (mut read, failed) = (paced.read, paced.failed.take());
    let Err(refused) = checked else { return (Verdict::Whole, read) };
    if pace.is_stopped() {
        return (Verdict::Stopped, read);
    }
    if let Some(error) = failed {
        return (unreadable(&error), read);
    }
    // Whether it was taken under other bounds than there are now, or is not what was taken.
    let mut paced = Paced::new(FromStart { file: &file, at: 0 }, pace);
    let hashed = hash_of(&mut paced);
    read += paced.read;
    let verdict = match hashed {
        Ok(found) if found == hash => {
            Verdict::Untold(format!("the file is as it came, but: {refused}"))
        }
        Ok(_) => Verdict::Damaged(refused.to_string()),
        Err(_) if pace.is_stopped() => Verdict::Stopped,
        Err(error) => unreadable(&error),
    };
    (verdict, read)
}

/// The file of a NAR, if it has the size that it should have.
fn opened(blobs: &Blobs, nar_hash: &NarHash, blob: &BlobRecord) -> Result<Arc<File>, Verdict> {
    let opened = match blobs.nar(nar_hash, blob.file.compression) {
        Ok(opened) => opened,
        Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(Verdict::Missing);
        }
        Err(error) => return Err(Verdict::Untold(error.to_string())),
    };
    let (found, size) = (opened.len(), blob.file.file_size);
    if found == size { Ok(opened.into_file()) } else { Err(Verdict::cut(found, size)) }
}

impl Verdict {
    pub(super) fn cut(found: u64, size: u64) -> Self {
        Self::Cut(format!("its file has {found} bytes, not {size}"))
    }

    /// What is wrong with a NAR that has to be brought again.
    #[must_use]
    pub fn damage(&self) -> Option<String> {
        match self {
            Self::Missing => Some("its file is gone".to_owned()),
            Self::Cut(why) | Self::Damaged(why) => Some(why.clone()),
            Self::Whole | Self::Untold(_) | Self::Stopped => None,
        }
    }
}

/// Withdraws a NAR of which this was known when its file was found damaged, and moves the file away.
/// Answers with whether it was here until now.
///
/// # Errors
/// A failing database or disk.
pub async fn withdraw(
    (index, blobs, sequencer): (&Index, &Blobs, &Sequencer),
    (nar_hash, blob): (NarHash, &BlobRecord),
    why: &str,
) -> Result<bool, Failure> {
    let _removing = blobs.removals().await;
    let _turn = blobs.turn(&[nar_hash]).await;
    if index.blob(&nar_hash)?.as_ref() != Some(blob) {
        // It came again meanwhile.
        return Ok(false);
    }
    // First the record, durably: a crash in between leaves a file that nothing refers to.
    if !sequencer.withdraw(nar_hash, why.to_owned()).await? {
        return Ok(false);
    }
    let name = nar_name(&nar_hash, blob.file.compression);
    blobs.quarantine(name.strip_prefix("nar/").unwrap_or(&name))?;
    tracing::error!(%nar_hash, why, "a NAR is damaged: it is withdrawn, and asked for again");
    Ok(true)
}

fn unreadable(error: &io::Error) -> Verdict {
    let why = format!("its file does not read: {error}");
    match error.raw_os_error() {
        Some(EIO) => Verdict::Damaged(why),
        _ => Verdict::Untold(why),
    }
}

fn hash_of(file: &mut impl Read) -> io::Result<FileHash> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let len = match file.read(&mut buffer) {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if len == 0 {
            return Ok(FileHash::from_bytes(hash.finalize().into()));
        }
        hash.update(&buffer[..len]);
    }
}

/// A shared file, read from its start.
struct FromStart<'f> {
    file: &'f File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
