//! Proofs that an entry is in a tree, and that one tree is the beginning of another.
//!
//! Source: RFC 6962, sections 2.1.1 and 2.1.2; how they are checked: RFC 9162, sections 2.1.3.2 and
//! 2.1.4.2.

use thiserror::Error;

use super::climb::{Climb, prove};
use super::merkle::{EMPTY_ROOT, MAX_TREE_SIZE, Nodes};
use crate::hash::TreeHash;

/// The most hashes in a proof.
pub const MAX_PROOF_LEN: usize = 63;

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProofError {
    /// More hashes than a tree can ask for.
    #[error("a proof of {0} hashes; it has at most {MAX_PROOF_LEN}")]
    TooLong(usize),
    /// No entry with this index, or no tree of this size, is in that tree.
    #[error("{part} is not within a tree of {size} entries, or that tree is too large")]
    Range {
        /// The index, or the smaller size.
        part: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The hashes do not lead to the root, or to both roots.
    #[error("the hashes do not lead to the root")]
    Root,
}

/// Why a proof cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProveError<E> {
    /// As in [`ProofError::Range`].
    #[error("{part} is not within a tree of {size} entries, or that tree is too large")]
    Range {
        /// The index, or the smaller size.
        part: u64,
        /// The size of the tree.
        size: u64,
    },
    /// A node cannot be had.
    #[error("a node of the tree cannot be read")]
    Nodes(#[source] E),
}

/// The hashes that lead from a leaf to the root, the leaf's sibling first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof(Vec<TreeHash>);

impl InclusionProof {
    /// The proof with these hashes.
    ///
    /// # Errors
    /// [`ProofError::TooLong`].
    pub fn from_hashes(hashes: Vec<TreeHash>) -> Result<Self, ProofError> {
        bounded(hashes).map(Self)
    }

    /// The hashes, the leaf's sibling first.
    #[must_use]
    pub fn hashes(&self) -> &[TreeHash] {
        &self.0
    }

    /// Checks that `leaf` is the entry `index` of the tree with `size` entries and this `root`.
    ///
    /// # Errors
    /// [`ProofError::Range`] and [`ProofError::Root`].
    pub fn verify(
        &self,
        index: u64,
        size: u64,
        leaf: TreeHash,
        root: &TreeHash,
    ) -> Result<(), ProofError> {
        if index >= size || size > MAX_TREE_SIZE {
            return Err(ProofError::Range { part: index, size });
        }
        let leads = Climb::new(index, index + 1, size).leads(&leaf, root, &self.0);
        if leads { Ok(()) } else { Err(ProofError::Root) }
    }
}

/// The hashes that lead from one tree's root, and from a part of it, to a larger tree's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof(Vec<TreeHash>);

impl ConsistencyProof {
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

    /// Checks that the tree of `new` entries with the root `new_root` begins with the tree of `old`
    /// entries with the root `old_root`. The empty tree begins every tree, with an empty proof.
    ///
    /// # Errors
    /// [`ProofError::Range`] and [`ProofError::Root`].
    pub fn verify(
        &self,
        old: u64,
        new: u64,
        old_root: &TreeHash,
        new_root: &TreeHash,
    ) -> Result<(), ProofError> {
        if old > new || new > MAX_TREE_SIZE {
            return Err(ProofError::Range { part: old, size: new });
        }
        let holds = if old == 0 {
            self.0.is_empty() && *old_root == EMPTY_ROOT && (new > 0 || *new_root == EMPTY_ROOT)
        } else {
            Climb::new(0, old, new).leads(old_root, new_root, &self.0)
        };
        if holds { Ok(()) } else { Err(ProofError::Root) }
    }

    /// Which root the first `old` entries have in the tree of `new` entries with the root `new_root`.
    /// When a log has signed another one for so many, it has forked, and this is the evidence: no
    /// tree with the root `new_root` begins otherwise.
    ///
    /// None when the hashes do not lead to `new_root`, and when they do not tell: a complete old
    /// tree, one of a power of two or of all entries, is left out of its proof. A
    /// [`ForkProof`](super::fork::ForkProof) tells in every case.
    #[must_use]
    pub fn old_root(&self, old: u64, new: u64, new_root: &TreeHash) -> Option<TreeHash> {
        if old == 0 || old > new || new > MAX_TREE_SIZE {
            return None;
        }
        let climb = Climb::new(0, old, new);
        if climb.is_whole() {
            return None;
        }
        let (node, rest) = self.0.split_first()?;
        let (part, whole) = climb.roots(node, rest)?;
        (whole == *new_root).then_some(part)
    }
}

/// Proves that the entry `index` is in the tree with `size` entries.
///
/// # Errors
/// [`ProveError::Range`] when it is not, and those of `nodes`.
pub fn inclusion<N: Nodes>(
    index: u64,
    size: u64,
    nodes: &N,
) -> Result<InclusionProof, ProveError<N::Error>> {
    if index >= size || size > MAX_TREE_SIZE {
        return Err(ProveError::Range { part: index, size });
    }
    prove(index, index + 1, size, nodes).map(InclusionProof).map_err(ProveError::Nodes)
}

/// Proves that the tree with `new` entries begins with the tree with `old` entries.
///
/// # Errors
/// [`ProveError::Range`] when it is smaller, and those of `nodes`.
pub fn consistency<N: Nodes>(
    old: u64,
    new: u64,
    nodes: &N,
) -> Result<ConsistencyProof, ProveError<N::Error>> {
    if old > new || new > MAX_TREE_SIZE {
        return Err(ProveError::Range { part: old, size: new });
    }
    if old == 0 {
        return Ok(ConsistencyProof(Vec::new()));
    }
    prove(0, old, new, nodes).map(ConsistencyProof).map_err(ProveError::Nodes)
}

/// At most [`MAX_PROOF_LEN`] hashes.
pub(super) fn bounded(hashes: Vec<TreeHash>) -> Result<Vec<TreeHash>, ProofError> {
    if hashes.len() > MAX_PROOF_LEN {
        return Err(ProofError::TooLong(hashes.len()));
    }
    Ok(hashes)
}

#[cfg(test)]
mod tests;
