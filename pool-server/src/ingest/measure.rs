//! Readers that hash and count what passes through them.

use std::io::{self, Read};

use schema::hash::{FileHash, NarHash};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::scan::Scan;
use crate::index::Candidates;

/// The file is longer than allowed; carried as an `io::Error` through the decoders.
#[derive(Debug, Clone, Copy, Error)]
#[error("the file is longer than {limit} bytes")]
pub(super) struct FileTooLong {
    pub(super) limit: u64,
}

/// The NAR is longer than declared or allowed; carried as an `io::Error`.
#[derive(Debug, Clone, Copy, Error)]
#[error("the NAR is longer than it may be")]
pub(super) struct NarTooLong;

/// The file as it was sent.
pub(super) struct FileMeter<R> {
    file: R,
    hash: Sha256,
    len: u64,
    limit: u64,
}

impl<R: Read> FileMeter<R> {
    pub(super) fn new(file: R, limit: u64) -> Self {
        Self { file, hash: Sha256::new(), len: 0, limit }
    }

    pub(super) fn finish(self) -> (FileHash, u64) {
        (FileHash::from_bytes(self.hash.finalize().into()), self.len)
    }
}

impl<R: Read> Read for FileMeter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.len += read as u64;
        if self.len > self.limit {
            return Err(io::Error::other(FileTooLong { limit: self.limit }));
        }
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

/// What the NAR turned out to be.
pub(super) struct Nar {
    pub(super) hash: NarHash,
    pub(super) size: u64,
    pub(super) candidates: Candidates,
}

/// The NAR as it comes out of its decoder.
pub(super) struct NarMeter<R> {
    nar: R,
    hash: Sha256,
    scan: Scan,
    len: u64,
    limit: u64,
}

impl<R: Read> NarMeter<R> {
    pub(super) fn new(nar: R, limit: u64) -> Self {
        Self { nar, hash: Sha256::new(), scan: Scan::default(), len: 0, limit }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn finish(self) -> Nar {
        Nar {
            hash: NarHash::from_bytes(self.hash.finalize().into()),
            size: self.len,
            candidates: self.scan.finish(),
        }
    }
}

impl<R: Read> Read for NarMeter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.nar.read(buffer).map_err(cut_off)?;
        let bytes = &buffer[..read];
        self.len += read as u64;
        if self.len > self.limit {
            return Err(io::Error::other(NarTooLong));
        }
        self.hash.update(bytes);
        self.scan.update(bytes);
        Ok(read)
    }
}

/// A decoder whose file is cut off says "unexpected end", as a NAR that is cut off does.
fn cut_off(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            io::Error::new(io::ErrorKind::InvalidData, "the file is cut off")
        }
        _ => error,
    }
}
