//! Proofs that an entry is in a tree, and that one tree is the beginning of another.
//!
//! Source: RFC 6962, sections 2.1.1 and 2.1.2; how they are checked: RFC 9162, sections 2.1.3.2 and
//! 2.1.4.2.

use thiserror::Error;

use super::merkle::{EMPTY_ROOT, MAX_TREE_SIZE, Nodes, node_hash, range_root};
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
        let mut climb = Climb::new(index, size - 1);
        let mut node = leaf;
        for hash in &self.0 {
            node = match climb.side().ok_or(ProofError::Root)? {
                Side::Left => node_hash(hash, &node),
                Side::Right => node_hash(&node, hash),
            };
        }
        if climb.at_top() && node == *root { Ok(()) } else { Err(ProofError::Root) }
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
        } else if old == new {
            self.0.is_empty() && old_root == new_root
        } else {
            self.roots(old, new, old_root) == Some((*old_root, *new_root))
        };
        if holds { Ok(()) } else { Err(ProofError::Root) }
    }

    /// The roots of both trees, as the hashes tell them; `0 < old < new`.
    fn roots(&self, old: u64, new: u64, old_root: &TreeHash) -> Option<(TreeHash, TreeHash)> {
        let mut hashes = self.0.iter();
        // A complete old tree is a node of the new one, and goes without saying.
        let first = if old.is_power_of_two() { old_root } else { hashes.next()? };
        let mut climb = Climb::new(old - 1, new - 1);
        climb.leave_right_children();
        let (mut old_node, mut new_node) = (*first, *first);
        for hash in hashes {
            match climb.side()? {
                Side::Left => {
                    old_node = node_hash(hash, &old_node);
                    new_node = node_hash(hash, &new_node);
                }
                Side::Right => new_node = node_hash(&new_node, hash),
            }
        }
        climb.at_top().then_some((old_node, new_node))
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
    let mut hashes = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + left_leaves(end - start);
        let (from, to);
        if index < middle {
            (from, to, end) = (middle, end, middle);
        } else {
            (from, to, start) = (start, middle, middle);
        }
        hashes.push(range_root(from, to, nodes).map_err(ProveError::Nodes)?);
    }
    hashes.reverse();
    Ok(InclusionProof(hashes))
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
    let mut hashes = Vec::new();
    let (mut start, mut end) = (0, new);
    while old != 0 && old != end {
        let middle = start + left_leaves(end - start);
        let (from, to);
        if old <= middle {
            (from, to, end) = (middle, end, middle);
        } else {
            (from, to, start) = (start, middle, middle);
        }
        hashes.push(range_root(from, to, nodes).map_err(ProveError::Nodes)?);
    }
    if start > 0 {
        hashes.push(range_root(start, end, nodes).map_err(ProveError::Nodes)?);
    }
    hashes.reverse();
    Ok(ConsistencyProof(hashes))
}

/// How many of `count` leaves, at least 2, are on the left: the largest power of two below it.
pub(super) fn left_leaves(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

fn bounded(hashes: Vec<TreeHash>) -> Result<Vec<TreeHash>, ProofError> {
    if hashes.len() > MAX_PROOF_LEN {
        return Err(ProofError::TooLong(hashes.len()));
    }
    Ok(hashes)
}

/// On which side of a node its sibling is.
enum Side {
    Left,
    Right,
}

/// The way from a node up to the root: its place in its row, and the row's last place.
struct Climb {
    at: u64,
    last: u64,
}

impl Climb {
    fn new(at: u64, last: u64) -> Self {
        Self { at, last }
    }

    /// Goes up for as long as the node is on the right of its parent.
    fn leave_right_children(&mut self) {
        while self.at & 1 == 1 {
            self.up();
        }
    }

    /// The side of the next sibling on the way, after which the node is its parent.
    fn side(&mut self) -> Option<Side> {
        if self.at_top() {
            return None;
        }
        // The last node of a row of odd length has no sibling: it is its own parent.
        while self.at & 1 == 0 && self.at == self.last {
            self.up();
        }
        let side = if self.at & 1 == 1 { Side::Left } else { Side::Right };
        self.up();
        Some(side)
    }

    fn at_top(&self) -> bool {
        self.last == 0
    }

    fn up(&mut self) {
        self.at >>= 1;
        self.last >>= 1;
    }
}

#[cfg(test)]
mod tests;
