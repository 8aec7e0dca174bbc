//! Evidence that a log has forked: what a tree begins with, where that is not what the log signed.
//!
//! No document has such a proof. It is the consistency proof of RFC 6962, section 2.1.2, and in front
//! of it the old tree's own root where that proof leaves it out.

use super::climb::{Climb, prove};
use super::merkle::{MAX_TREE_SIZE, Nodes, root};
use super::proof::{ProofError, ProveError, bounded};
use crate::hash::TreeHash;

/// The hashes that lead from the last complete subtree of a tree's first entries, which is the first
/// of them, to the roots of those entries and of the tree.
///
/// A log that has signed the root R for `old` entries, and signs for `new` entries a root whose proof
/// shows another root than R for the first `old`, has signed two trees of which neither begins with
/// the other. Nobody can make such a proof about a log that did not: each hash in it is below the
/// root that the log signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkProof(Vec<TreeHash>);

impl ForkProof {
    /// The proof with these hashes.
    ///
    /// # Errors
    /// [`ProofError::TooLong`], and [`ProofError::Root`] without any.
    pub fn from_hashes(hashes: Vec<TreeHash>) -> Result<Self, ProofError> {
        if hashes.is_empty() {
            return Err(ProofError::Root);
        }
        bounded(hashes).map(Self)
    }

    /// The hashes, of which there is one at least, those nearest the leaves first.
    #[must_use]
    pub fn hashes(&self) -> &[TreeHash] {
        &self.0
    }

    /// The root of the first `old` entries of the tree of `new` entries with the root `new_root`.
    ///
    /// # Errors
    /// [`ProofError::Range`], also without old entries, with which every tree begins; and
    /// [`ProofError::Root`].
    pub fn old_root(
        &self,
        old: u64,
        new: u64,
        new_root: &TreeHash,
    ) -> Result<TreeHash, ProofError> {
        if old == 0 || old > new || new > MAX_TREE_SIZE {
            return Err(ProofError::Range { part: old, size: new });
        }
        let (node, rest) = self.0.split_first().ok_or(ProofError::Root)?;
        match Climb::new(0, old, new).roots(node, rest) {
            Some((part, whole)) if whole == *new_root => Ok(part),
            _ => Err(ProofError::Root),
        }
    }
}

/// Proves which root the first `old` entries have in the tree with `new` entries.
///
/// # Errors
/// [`ProveError::Range`] when there are none or not so many, and those of `nodes`.
pub fn fork_proof<N: Nodes>(
    old: u64,
    new: u64,
    nodes: &N,
) -> Result<ForkProof, ProveError<N::Error>> {
    if old == 0 || old > new || new > MAX_TREE_SIZE {
        return Err(ProveError::Range { part: old, size: new });
    }
    let mut hashes = prove(0, old, new, nodes).map_err(ProveError::Nodes)?;
    if Climb::new(0, old, new).is_whole() {
        hashes.insert(0, root(old, nodes).map_err(ProveError::Nodes)?);
    }
    Ok(ForkProof(hashes))
}

#[cfg(test)]
mod tests;
