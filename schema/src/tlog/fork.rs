//! Evidence that a log has forked: what a tree begins with, where that is not what the log signed.
//!
//! No document has such a proof. It is the consistency proof of RFC 6962, section 2.1.2, and in front
//! of it the old tree's own root where that proof leaves it out.

use std::fmt;

use super::checkpoint::{SignedCheckpoint, UnverifiedCheckpoint};
use super::climb::{Climb, prove};
use super::merkle::{MAX_TREE_SIZE, Nodes, root};
use super::proof::{ProofError, ProveError, bounded};
use super::spelling::print_proof;
use super::witness::{WitnessError, parse_request};
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

/// The body by which a mirror is shown that a log has forked: written as
/// [`AddCheckpoint`](super::witness::AddCheckpoint), with another proof. Nothing in it has been
/// verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddFork {
    old: u64,
    proof: ForkProof,
    checkpoint: UnverifiedCheckpoint,
}

impl AddFork {
    /// Shows what the first `old` entries are in the tree of this checkpoint.
    ///
    /// # Errors
    /// [`WitnessError::Shrinks`].
    pub fn new(
        old: u64,
        proof: ForkProof,
        checkpoint: SignedCheckpoint,
    ) -> Result<Self, WitnessError> {
        Self { old, proof, checkpoint: checkpoint.into_unverified() }.within()
    }

    /// Reads a request.
    ///
    /// # Errors
    /// Anything that [`Display`](fmt::Display) would not write.
    pub fn parse(body: &[u8]) -> Result<Self, WitnessError> {
        let (old, hashes, checkpoint) = parse_request(body)?;
        Self { old, proof: ForkProof::from_hashes(hashes)?, checkpoint }.within()
    }

    /// Of how many entries the proof is.
    #[must_use]
    pub fn old(&self) -> u64 {
        self.old
    }

    /// What they hash to.
    #[must_use]
    pub fn proof(&self) -> &ForkProof {
        &self.proof
    }

    /// The tree in which they do.
    #[must_use]
    pub fn checkpoint(&self) -> &UnverifiedCheckpoint {
        &self.checkpoint
    }

    fn within(self) -> Result<Self, WitnessError> {
        let new = self.checkpoint.checkpoint().size();
        if self.old > new {
            return Err(WitnessError::Shrinks { old: self.old, new });
        }
        Ok(self)
    }
}

impl fmt::Display for AddFork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "old {}\n{}\n{}", self.old, print_proof(self.proof.hashes()), self.checkpoint)
    }
}

#[cfg(test)]
mod tests;
