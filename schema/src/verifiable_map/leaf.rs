//! A leaf of the index log: a map of the attestation log as it was at one size.

use thiserror::Error;

use crate::hash::{MapHash, TreeHash};

/// The size of a leaf in bytes.
pub const INDEX_LEAF_LEN: usize = 80;

const MAGIC: [u8; 4] = *b"NPX1";

/// Why some bytes are not a leaf of an index log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IndexLeafError {
    /// Too short or too long.
    #[error("a leaf of an index log has {INDEX_LEAF_LEN} bytes, this has {0}")]
    Length(usize),
    /// Not `NPX1`.
    #[error("not a leaf of an index log: it does not begin with NPX1")]
    Magic,
    /// The four bytes that must be zero are not.
    #[error("bytes 4 to 7 are not zero")]
    Reserved,
}

/// "The first `size` attestations, with this Merkle root, have this map." Big-endian:
///
/// ```text
/// 0   4  "NPX1"
/// 4   4  zero
/// 8   8  size
/// 16  32 root of the attestation log at that size
/// 48  32 root of the map
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexLeaf {
    /// How many attestations the map is of.
    pub size: u64,
    /// The RFC 6962 root of the attestation log at that size.
    pub attestations: TreeHash,
    /// The root of the map.
    pub map: MapHash,
}

impl IndexLeaf {
    /// The bytes of the leaf.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; INDEX_LEAF_LEN] {
        let mut out = [0; INDEX_LEAF_LEN];
        out[..4].copy_from_slice(&MAGIC);
        out[8..16].copy_from_slice(&self.size.to_be_bytes());
        out[16..48].copy_from_slice(self.attestations.as_bytes());
        out[48..].copy_from_slice(self.map.as_bytes());
        out
    }

    /// Reads a leaf; every byte is checked or kept.
    ///
    /// # Errors
    /// Anything that [`to_bytes`](Self::to_bytes) would not write.
    pub fn parse(bytes: &[u8]) -> Result<Self, IndexLeafError> {
        let leaf: &[u8; INDEX_LEAF_LEN] =
            bytes.try_into().map_err(|_| IndexLeafError::Length(bytes.len()))?;
        if leaf[..4] != MAGIC {
            return Err(IndexLeafError::Magic);
        }
        if leaf[4..8] != [0; 4] {
            return Err(IndexLeafError::Reserved);
        }
        Ok(Self {
            size: u64::from_be_bytes(part(leaf, 8)),
            attestations: TreeHash::from_bytes(part(leaf, 16)),
            map: MapHash::from_bytes(part(leaf, 48)),
        })
    }
}

fn part<const N: usize>(leaf: &[u8; INDEX_LEAF_LEN], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&leaf[at..at + N]);
    out
}
