//! The verifiable map: for every store path, NAR and signer, which entries of the ledger name it.
//!
//! An inclusion proof shows that an entry stands in a log; nothing in a log shows that there are
//! no further ones. So the pool keeps a third log, whose leaves ([`IndexLeaf`]) each bind a size
//! of the attestation log to the root of a map over all its entries up to there. A [`MapProof`]
//! against that root shows that a list of entries is whole, or that there are none. Whether the
//! map is right is for auditors: [`MapContents`] rebuilds it from the entries, and whoever logged
//! another root than that is caught for ever.
//!
//! # Keys and lists
//!
//! The entry at index *i* adds *i* to the lists of three keys: SHA-256 of `path\0` and its path
//! key, of `nar\0` and its NAR hash, and of `key\0` and its key id. Keys are hashes, so
//! nobody chooses where in the map theirs lies, but for the few bits that trying buys.
//!
//! A list ascends and is never empty. It is committed to by a chain ([`ListChain`]), to which one
//! more index is added without those before it:
//!
//! ```text
//! c(0)     = 32 zero bytes
//! c(n + 1) = SHA-256(0x02 ‖ c(n) ‖ index as u64, big-endian)
//! ```
//!
//! # The trie
//!
//! The map is a binary trie over the 256 bits of the keys, the most significant bit of the first
//! byte first. The root has depth 0; a subtree at depth *d* has the keys that share *d* bits.
//!
//! ```text
//! no key            32 zero bytes
//! exactly one key   SHA-256(0x00 ‖ key ‖ c)          whatever the depth
//! more              SHA-256(0x01 ‖ left ‖ right)     left: those whose bit d is 0
//! ```
//!
//! A leaf stands as high as it can, so a map of *n* keys has paths of about log2 *n* steps.
//!
//! # Why a root says one thing only
//!
//! Take any 32 bytes for a root, made by whomever. A verifier opens it along the bits of a key,
//! and at each step the hash before it is one of four things: zero, or the hash of bytes with the
//! first byte 0, 1 or 2. Without a collision, or a preimage of zero, it is exactly one of them,
//! with exactly one content. So a walk along a key ends in one place, with one chain value; and a
//! chain value opens backwards to one list, as it ends at zero. A leaf says its whole key, so that
//! it cannot stand for a neighbour; a leaf and an interior node have the same length, and differ
//! in their first byte. Depths need not be hashed: a step's depth is the number of steps before it.

mod contents;
mod leaf;
mod list;
mod proof;

use sha2::{Digest, Sha256};

use crate::attestation::Entry;
use crate::hash::{KeyId, ListHash, MapHash, MapKey, NarHash, PathKey};

pub use contents::{MapContents, UnsortedKeys, root_of};
pub use leaf::{INDEX_LEAF_LEN, IndexLeaf, IndexLeafError};
pub use list::{ListChain, NotAscending};
pub use proof::{MapLeaf, MapProof, MapProofError};

/// The bits of a key, and so the most steps that a path can have.
pub const MAX_DEPTH: usize = 256;

const LEAF: u8 = 0;
const INTERIOR: u8 = 1;
const LIST: u8 = 2;

impl MapKey {
    /// Under which the entries about a store path are listed.
    #[must_use]
    pub fn of_path(path: &PathKey) -> Self {
        Self::of(&[b"path\0", &path.as_bytes()[..]].concat())
    }

    /// Under which the entries about a NAR are listed.
    #[must_use]
    pub fn of_nar(nar: &NarHash) -> Self {
        Self::of(&[b"nar\0", &nar.as_bytes()[..]].concat())
    }

    /// Under which the entries of a signer are listed.
    #[must_use]
    pub fn of_signer(key_id: &KeyId) -> Self {
        Self::of(&[b"key\0", &key_id.as_bytes()[..]].concat())
    }

    /// Under which an entry is listed.
    #[must_use]
    pub fn all_of(entry: &Entry) -> [Self; 3] {
        [
            Self::of_path(&entry.path_key),
            Self::of_nar(&entry.subject),
            Self::of_signer(&entry.key_id),
        ]
    }

    /// Whether the path to the key turns right at `depth`, which is less than [`MAX_DEPTH`].
    #[must_use]
    pub fn turns_right(&self, depth: usize) -> bool {
        self.as_bytes()[depth / 8] & (0x80 >> (depth % 8)) != 0
    }

    /// How many steps the paths to both keys have in common: [`MAX_DEPTH`] when they are one.
    #[must_use]
    pub fn shared_depth(&self, other: &Self) -> usize {
        let mut bytes = self.as_bytes().iter().zip(other.as_bytes()).enumerate();
        bytes
            .find(|(_, (one, other))| one != other)
            .map_or(MAX_DEPTH, |(at, (one, other))| at * 8 + (one ^ other).leading_zeros() as usize)
    }
}

impl MapHash {
    /// Of a subtree without keys.
    pub const EMPTY: Self = Self::from_bytes([0; 32]);

    /// Of a subtree with one key.
    #[must_use]
    pub fn leaf(key: &MapKey, list: &ListHash) -> Self {
        Self::from_bytes(tagged(LEAF, key.as_bytes(), list.as_bytes()))
    }

    /// Of a subtree with more keys.
    #[must_use]
    pub fn interior(left: &Self, right: &Self) -> Self {
        Self::from_bytes(tagged(INTERIOR, left.as_bytes(), right.as_bytes()))
    }
}

fn tagged(tag: u8, first: &[u8], second: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update([tag]).chain_update(first).chain_update(second).finalize().into()
}

#[cfg(test)]
mod tests;
