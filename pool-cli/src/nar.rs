//! NARs: checking one against what is said of it while it is dumped, reading and comparing them.

pub(crate) mod diff;
mod embedded;
mod unpack;
mod walk;

use std::io::{self, Write};

use schema::claim::Claim;
use schema::hash::NarHash;
use sha2::{Digest, Sha256};

use crate::exit::Failure;

pub(crate) use self::embedded::{cut_off, embedded};
pub(crate) use self::unpack::unpack;
pub(crate) use self::walk::Walk;

/// Hashes and counts what is written to it.
#[derive(Default)]
pub(crate) struct Meter {
    hasher: Sha256,
    len: u64,
}

impl Meter {
    /// Takes the next bytes of the NAR.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
    }

    /// Bytes taken so far.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Hash and size of all that was taken.
    pub(crate) fn finish(self) -> (NarHash, u64) {
        (NarHash::from_bytes(self.hasher.finalize().into()), self.len)
    }
}

impl Write for Meter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps a whole NAR, but not more of it than its size ought to be.
pub(crate) struct Bounded<'a> {
    bytes: &'a mut Vec<u8>,
    size: usize,
    overflowed: bool,
}

impl<'a> Bounded<'a> {
    /// Empties `bytes` and lets it take up to `size` bytes.
    pub(crate) fn new(bytes: &'a mut Vec<u8>, size: usize) -> Self {
        bytes.clear();
        bytes.reserve(size);
        Self { bytes, size, overflowed: false }
    }

    /// Whether there was more than that.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.size {
            self.overflowed = true;
            return Err(io::Error::other("the NAR is larger than the database says"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The NAR of a path is not the one that the store's database says it has.
pub(crate) fn mismatch(claim: &Claim, (hash, size): (NarHash, u64)) -> Failure {
    Failure::no(format!(
        "{} was changed: the store's database says {} ({} bytes), its files make {hash} ({size} \
         bytes)",
        claim.path(),
        claim.nar_hash(),
        claim.nar_size(),
    ))
    .lasting()
    .hint(format!(
        "the pool keeps nothing of it; `nix-store --verify-path {0}` checks it, \
         `nix-store --repair-path {0}` mends it",
        claim.path()
    ))
}
