//! Subtrees, and proofs that one is part of a tree: with them, a stretch of a log's entries is
//! checked without those before and behind it.
//!
//! Source: draft-ietf-plants-merkle-tree-certs-02, "Subtrees" and "Subtree Consistency Proofs".

use std::fmt;

use thiserror::Error;

use super::climb::{Climb, prove};
use super::merkle::{MAX_TREE_SIZE, Nodes};
use super::proof::{ProofError, ProveError, bounded};
use crate::hash::TreeHash;

/// Entries that are no subtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the entries [{start}, {end}) are no subtree")]
pub struct SubtreeError {
    /// The first entry's index.
    pub start: u64,
    /// The last entry's index and one.
    pub end: u64,
}

/// The entries `[start, end)`, which are one at least. `start` is a multiple of the least power of
/// two that is no less than their number: so they hash among themselves in every tree as they do in
/// any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subtree {
    start: u64,
    end: u64,
}

impl Subtree {
    /// The subtree of these entries.
    ///
    /// # Errors
    /// None, those of no subtree, and those beyond [`MAX_TREE_SIZE`].
    pub fn new(start: u64, end: u64) -> Result<Self, SubtreeError> {
        let within = start < end && end <= MAX_TREE_SIZE;
        if within && start.is_multiple_of((end - start).next_power_of_two()) {
            Ok(Self { start, end })
        } else {
            Err(SubtreeError { start, end })
        }
    }

    /// The first entry's index.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The last entry's index and one.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }
}

impl fmt::Display for Subtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}

/// The hashes that lead from a subtree's root, or from a part of it, to the root of a tree. That of
/// a subtree that begins with the first entry is the
/// [`ConsistencyProof`](super::proof::ConsistencyProof).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubtreeProof(Vec<TreeHash>);

impl SubtreeProof {
    /// The proof with these hashes.
    ///
    /// # Errors
    /// [`ProofError::TooLong`].
    pub fn from_hashes(hashes: Vec<TreeHash>) -> Result<Self, ProofError> {
        bounded(hashes).map(Self)
    }

    /// The hashes, those nearest the leaves first.
    #[must_use]
    pub fn hashes(&self) -> &[TreeHash] {
        &self.0
    }

    /// Checks that the entries of `subtree` hash to `subtree_root` in the tree of `size` entries with
    /// this `root`.
    ///
    /// # Errors
    /// [`ProofError::Range`] and [`ProofError::Root`].
    pub fn verify(
        &self,
        subtree: Subtree,
        size: u64,
        subtree_root: &TreeHash,
        root: &TreeHash,
    ) -> Result<(), ProofError> {
        if subtree.end > size || size > MAX_TREE_SIZE {
            return Err(ProofError::Range { part: subtree.end, size });
        }
        let climb = Climb::new(subtree.start, subtree.end, size);
        if climb.leads(subtree_root, root, &self.0) { Ok(()) } else { Err(ProofError::Root) }
    }
}

/// Proves what the entries of `subtree` hash to in the tree with `size` entries.
///
/// # Errors
/// [`ProveError::Range`] when it does not have all of them, and those of `nodes`.
pub fn subtree_consistency<N: Nodes>(
    subtree: Subtree,
    size: u64,
    nodes: &N,
) -> Result<SubtreeProof, ProveError<N::Error>> {
    if subtree.end > size || size > MAX_TREE_SIZE {
        return Err(ProveError::Range { part: subtree.end, size });
    }
    let hashes = prove(subtree.start, subtree.end, size, nodes);
    hashes.map(SubtreeProof).map_err(ProveError::Nodes)
}

#[cfg(test)]
mod tests;
