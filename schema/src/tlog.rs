//! Transparency logs as C2SP writes them: Merkle trees in tiles, signed checkpoints, cosignatures
//! of witnesses, uploads to mirrors, and proofs that carry all of it: of entries, of subtrees, of
//! growth and of forks.
//!
//! One document, one module; each names its source. Trees have at most
//! [`MAX_TREE_SIZE`](merkle::MAX_TREE_SIZE) entries, so that no proof has more than 63 hashes.

pub mod bundle;
pub mod checkpoint;
mod climb;
pub mod cosignature;
pub mod edge;
pub mod fork;
pub mod merkle;
pub mod mirror;
pub mod multi_proof;
pub mod note;
pub mod policy;
pub mod proof;
pub mod receipt;
mod spelling;
pub mod subtree;
pub mod tile;
pub mod witness;
