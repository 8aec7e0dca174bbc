//! The way from a range of leaves up to the root, which all proofs about trees tell: of one leaf, of
//! the beginning of a tree, and of any subtree.
//!
//! Source: draft-ietf-plants-merkle-tree-certs, "Subtree Consistency Proofs", of which both proofs of
//! RFC 6962 are cases.

use super::merkle::{Nodes, left_leaves, node_hash, range_root};
use crate::hash::TreeHash;

/// The hashes that lead from the leaves `[start, end)` to the root of the tree with `size` leaves.
/// Those leaves are there, are one at least, and make up a [`Subtree`](super::subtree::Subtree).
///
/// # Errors
/// Those of `nodes`.
pub(super) fn prove<N: Nodes>(
    start: u64,
    end: u64,
    size: u64,
    nodes: &N,
) -> Result<Vec<TreeHash>, N::Error> {
    let mut hashes = Vec::new();
    // The node on the way down, and what of the range is below it.
    let (mut left, mut right, mut from) = (0, size, start);
    while (left, right) != (from, end) {
        let middle = left + left_leaves(right - left);
        if end <= middle {
            hashes.push(range_root(middle, right, nodes)?);
            right = middle;
        } else {
            hashes.push(range_root(left, middle, nodes)?);
            // A range that goes on behind the middle begins on the left or to the right of it.
            (left, from) = (middle, from.max(middle));
        }
    }
    if from > start {
        hashes.push(range_root(left, right, nodes)?);
    }
    hashes.reverse();
    Ok(hashes)
}

/// On which side of a node its sibling is.
enum Side {
    Left,
    Right,
}

/// A node on the way up from the end of a range: the place in its row of the range's first node, its
/// own, and the row's last.
pub(super) struct Climb {
    from: u64,
    at: u64,
    last: u64,
}

impl Climb {
    /// The way from the largest node that ends the leaves `[start, end)`, and holds none before
    /// them, in the tree with `size` leaves. As for [`prove`].
    pub(super) fn new(start: u64, end: u64, size: u64) -> Self {
        let mut climb = Self { from: start, at: end - 1, last: size - 1 };
        while !climb.is_whole() && (climb.at & 1 == 1 || climb.at == climb.last) {
            climb.up();
        }
        climb
    }

    /// Whether the node is over the whole range: then a proof leaves it out.
    pub(super) fn is_whole(&self) -> bool {
        self.from == self.at
    }

    /// Whether these hashes lead from the range with the root `part` to the tree with the root
    /// `whole`.
    pub(super) fn leads(self, part: &TreeHash, whole: &TreeHash, hashes: &[TreeHash]) -> bool {
        let way = if self.is_whole() { Some((part, hashes)) } else { hashes.split_first() };
        way.and_then(|(node, rest)| self.roots(node, rest)) == Some((*part, *whole))
    }

    /// The roots of the range and of the tree, as the hashes tell them above `node`. None when they
    /// are not as many as there are siblings on the way.
    pub(super) fn roots(
        mut self,
        node: &TreeHash,
        hashes: &[TreeHash],
    ) -> Option<(TreeHash, TreeHash)> {
        let (mut part, mut whole) = (*node, *node);
        for hash in hashes {
            match self.sibling()? {
                Side::Right => whole = node_hash(&whole, hash),
                Side::Left => {
                    whole = node_hash(hash, &whole);
                    if !self.is_whole() {
                        part = node_hash(hash, &part);
                    }
                }
            }
            self.up();
        }
        (self.last == 0).then_some((part, whole))
    }

    /// Goes to where the node has a sibling, and says on which side.
    fn sibling(&mut self) -> Option<Side> {
        if self.last == 0 {
            return None;
        }
        // The last node of a row of odd length has no sibling: it is its own parent.
        while self.at & 1 == 0 && self.at == self.last {
            self.up();
        }
        Some(if self.at & 1 == 1 { Side::Left } else { Side::Right })
    }

    fn up(&mut self) {
        self.from >>= 1;
        self.at >>= 1;
        self.last >>= 1;
    }
}
