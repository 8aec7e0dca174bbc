//! Narinfos: what a package manager reads about one store path.
//!
//! A narinfo binds what signers vouch for (the [`Claim`] and the signatures over it) to what
//! nobody signs (where and in which compression the NAR lies).

pub mod guix;
pub mod nix;

use crate::claim::Claim;
use crate::compression::Compression;
use crate::content_address::ContentAddress;
use crate::hash::FileHash;
use crate::signature::NamedSignature;
use crate::store_path::BaseName;

/// The longest narinfo that is read, in bytes.
pub const MAX_NARINFO_LEN: usize = 1 << 20;
/// The most `Sig:` lines one narinfo may hold.
pub const MAX_SIGNATURES: usize = 256;

/// A narinfo as it was read. Nothing in it has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarInfo {
    /// What the signatures are over.
    pub claim: Claim,
    /// Where its NAR is to be had.
    pub delivery: Delivery,
    /// The derivation it was built from; unsigned.
    pub deriver: Option<BaseName>,
    /// The content address; unsigned, worth something only when the path follows from it.
    pub content_address: Option<ContentAddress>,
    /// The signatures, in the order of their lines.
    pub signatures: Vec<NamedSignature>,
}

/// Where a NAR lies and how it is packed. Never signed, so never copied from a submitter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Relative to the cache's address, or absolute.
    pub url: String,
    /// Of the file at that URL.
    pub compression: Compression,
    /// Hash of the file at that URL.
    pub file_hash: Option<FileHash>,
    /// Size of the file at that URL, in bytes.
    pub file_size: Option<u64>,
}
