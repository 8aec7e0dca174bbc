//! Store items in a stream: what `guix archive --export` and `nix-store --export` write, and their
//! `--import` reads.
//!
//! Each item is the number 1, a NAR, and a [`Trailer`] with its [seal](print_seal); after the last one
//! stands the number 0. A number takes 8 bytes, the least significant first. A string is its length, its
//! bytes, and zeros up to a multiple of 8. Guix signs the SHA-256 of all bytes from the first of the NAR
//! to the last of the trailer; Nix signs nothing.
//!
//! Sources: Nix `src/libstore/export-import.cc`; Guix `nix/libstore/local-store.cc`, `exportPath` and
//! `importPath`, `guix/store.scm` and `guix/scripts/authenticate.scm`. It is read more strictly than
//! there: paths are store paths, padding is zeros, and a trailer has one spelling.

mod reader;

use thiserror::Error;

use crate::claim::{Claim, ClaimError, MAX_REFERENCES};
use crate::guix::signature::{GuixSignature, GuixSignatureError};
use crate::hash::NarHash;
use crate::sexp::MAX_SEXP_LEN;
use crate::store_path::{
    BaseName, HASH_PART_LEN, MAX_NAME_LEN, MAX_STORE_DIR_LEN, StorePath, StorePathError,
};

pub use self::reader::TrailerReader;

/// Bytes of a number.
pub const NUMBER_LEN: usize = 8;
/// What stands before each item.
pub const ITEM: [u8; NUMBER_LEN] = 1_u64.to_le_bytes();
/// What stands after the last.
pub const END: [u8; NUMBER_LEN] = 0_u64.to_le_bytes();

/// What a trailer begins with: `NIXE`.
const MAGIC: [u8; NUMBER_LEN] = 0x4558_494e_u64.to_le_bytes();
/// What a seal begins with, where there is a signature, and where there is none.
const SIGNED: u64 = 1;
const UNSIGNED: u64 = 0;

/// The longest path, in bytes.
const MAX_PATH_LEN: usize = MAX_STORE_DIR_LEN + 1 + HASH_PART_LEN + 1 + MAX_NAME_LEN;

/// Why some bytes are no part of such a stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExportError {
    /// Neither an item nor the end.
    #[error("{0:#x}, where 1 for an item or 0 for the end must stand")]
    Mark(u64),
    /// Something else than a trailer follows a NAR.
    #[error("after the NAR stands no NIXE")]
    Magic,
    /// A string that is longer than any of its kind.
    #[error("{what}: a string of {len} bytes; it has at most {max}")]
    TooLong {
        /// What it would be.
        what: &'static str,
        /// Its length, as it says.
        len: u64,
        /// The most there may be.
        max: usize,
    },
    /// Other bytes than zeros after a string.
    #[error("{0}: the padding is not zeros")]
    Padding(&'static str),
    /// A string that is no path of the store.
    #[error("{what}: {source}")]
    Path {
        /// What it should be.
        what: &'static str,
        /// What is wrong with it.
        source: StorePathError,
    },
    /// A path that is no text.
    #[error("{0}: not a text")]
    Text(&'static str),
    /// More than [`MAX_REFERENCES`].
    #[error("{0} references; at most {MAX_REFERENCES} are allowed")]
    TooManyReferences(u64),
    /// Neither signed nor not.
    #[error("{0:#x}, where 1 for a signature or 0 for none must stand")]
    Seal(u64),
    /// A signature that is none of Guix's.
    #[error("the signature: {0}")]
    Signature(#[from] GuixSignatureError),
    /// It is over too early.
    #[error("it breaks off")]
    Truncated,
    /// Something follows it.
    #[error("{0} bytes follow")]
    Trailing(usize),
}

/// Whether another item follows, or the end, by the number that stands there.
///
/// # Errors
/// Any other number.
pub fn is_item(mark: [u8; NUMBER_LEN]) -> Result<bool, ExportError> {
    match mark {
        ITEM => Ok(true),
        END => Ok(false),
        other => Err(ExportError::Mark(u64::from_le_bytes(other))),
    }
}

/// What is said of a NAR, behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailer {
    path: StorePath,
    references: Vec<BaseName>,
    deriver: Option<BaseName>,
}

impl Trailer {
    /// What a claim says, with the derivation that the path was built from.
    #[must_use]
    pub fn of(claim: &Claim, deriver: Option<BaseName>) -> Self {
        Self { path: claim.path().clone(), references: claim.references().to_vec(), deriver }
    }

    /// Reads a trailer with its seal, and nothing else.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Option<GuixSignature>), ExportError> {
        let mut reader = TrailerReader::default();
        let mut rest = bytes;
        while reader.wants() > 0 {
            let next = rest.split_at_checked(reader.wants()).ok_or(ExportError::Truncated)?;
            reader.take(next.0)?;
            rest = next.1;
        }
        if rest.is_empty() { reader.finish() } else { Err(ExportError::Trailing(rest.len())) }
    }

    /// The bytes, up to the seal. These are signed, after those of the NAR.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let dir = self.path.dir();
        let mut out = MAGIC.to_vec();
        print_string(self.path.to_string().as_bytes(), &mut out);
        out.extend((self.references.len() as u64).to_le_bytes());
        for reference in &self.references {
            print_string(format!("{dir}/{reference}").as_bytes(), &mut out);
        }
        let deriver = self.deriver.as_ref().map(|deriver| format!("{dir}/{deriver}"));
        print_string(deriver.unwrap_or_default().as_bytes(), &mut out);
        out
    }

    /// What it claims, of a NAR with this hash and size.
    ///
    /// # Errors
    /// A reference that is named twice, or a size of zero.
    pub fn claim(&self, nar_hash: NarHash, nar_size: u64) -> Result<Claim, ClaimError> {
        Claim::new(self.path.clone(), nar_hash, nar_size, self.references.clone())
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &StorePath {
        &self.path
    }

    /// What it refers to, in the order in which it stands there: Nix and Guix sort it.
    #[must_use]
    pub fn references(&self) -> &[BaseName] {
        &self.references
    }

    /// The derivation it was built from.
    #[must_use]
    pub fn deriver(&self) -> Option<&BaseName> {
        self.deriver.as_ref()
    }
}

/// The bytes between a trailer and the next item.
#[must_use]
pub fn print_seal(signature: Option<&GuixSignature>) -> Vec<u8> {
    let Some(signature) = signature else { return UNSIGNED.to_le_bytes().to_vec() };
    let mut out = SIGNED.to_le_bytes().to_vec();
    print_string(&signature.to_sexp().print(), &mut out);
    out
}

fn print_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
    out.resize(out.len() + padding(bytes.len()), 0);
}

/// How many zeros follow a string of this length.
fn padding(len: usize) -> usize {
    len.next_multiple_of(NUMBER_LEN) - len
}

/// Strings of a trailer and its seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Path,
    Reference,
    Deriver,
    Signature,
}

impl Field {
    const fn what(self) -> &'static str {
        match self {
            Self::Path => "the path",
            Self::Reference => "a reference",
            Self::Deriver => "the deriver",
            Self::Signature => "the signature",
        }
    }

    const fn max(self) -> usize {
        match self {
            Self::Path | Self::Reference | Self::Deriver => MAX_PATH_LEN,
            Self::Signature => MAX_SEXP_LEN,
        }
    }
}

#[cfg(test)]
mod tests;
