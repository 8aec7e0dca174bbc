//! Merkle trees, as in RFC 6962, section 2.1, with SHA-256.

use sha2::{Digest, Sha256};

use crate::hash::TreeHash;

/// The most entries a tree may have: 2^62. A proof in such a tree has at most 63 hashes, which is
/// what C2SP's tlog-witness allows.
pub const MAX_TREE_SIZE: u64 = 1 << 62;

/// The root of the tree without entries: SHA-256 of nothing.
pub const EMPTY_ROOT: TreeHash = TreeHash::from_bytes([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// Hashes an entry to its leaf.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> TreeHash {
    let digest = Sha256::new().chain_update([0]).chain_update(entry);
    TreeHash::from_bytes(digest.finalize().into())
}

/// Hashes two nodes to their parent.
#[must_use]
pub fn node_hash(left: &TreeHash, right: &TreeHash) -> TreeHash {
    let digest = Sha256::new()
        .chain_update([1])
        .chain_update(left.as_bytes())
        .chain_update(right.as_bytes());
    TreeHash::from_bytes(digest.finalize().into())
}

/// Where the nodes of a tree are read from.
pub trait Nodes {
    /// Why a node cannot be had.
    type Error;

    /// The root of the complete subtree over the leaves `[index << level, (index + 1) << level)`.
    ///
    /// # Errors
    /// When the node cannot be read, or the tree does not have it.
    fn node(&self, level: u8, index: u64) -> Result<TreeHash, Self::Error>;
}

impl<N: Nodes> Nodes for &N {
    type Error = N::Error;

    fn node(&self, level: u8, index: u64) -> Result<TreeHash, N::Error> {
        (**self).node(level, index)
    }
}

/// The root of the tree over the first `size` leaves.
///
/// # Errors
/// Those of `nodes`.
pub fn root<N: Nodes>(size: u64, nodes: &N) -> Result<TreeHash, N::Error> {
    if size == 0 { Ok(EMPTY_ROOT) } else { range_root(0, size, nodes) }
}

/// The root of the tree over the leaves `[start, end)`, of which there is one at least. `start` is
/// a multiple of the lowest power of two that is no less than their number.
pub(super) fn range_root<N: Nodes>(start: u64, end: u64, nodes: &N) -> Result<TreeHash, N::Error> {
    let mut root = None;
    let mut end = end;
    // Complete subtrees stand side by side, the smallest last: one for each bit of the number.
    while end > start {
        let level = (end - start).trailing_zeros();
        let left = end - (1 << level);
        let level = u8::try_from(level).unwrap_or_else(|_| unreachable!("there are 64 bits"));
        let node = nodes.node(level, left >> level)?;
        root = Some(join(node, root));
        end = left;
    }
    Ok(root.unwrap_or_else(|| unreachable!("a range has a leaf")))
}

/// How many of `count` leaves, at least 2, are on the left: the largest power of two below it.
pub(super) fn left_leaves(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The root over complete subtrees of one size, side by side, and whatever stands to their right.
pub(super) fn fold(nodes: &[TreeHash], right: Option<TreeHash>) -> Option<TreeHash> {
    let mut root = right;
    let mut rest = nodes;
    while !rest.is_empty() {
        let (left, last) = rest.split_at(rest.len() - (1 << rest.len().trailing_zeros()));
        root = Some(join(complete_root(last), root));
        rest = left;
    }
    root
}

/// The root over nodes whose number is a power of two.
pub(super) fn complete_root(nodes: &[TreeHash]) -> TreeHash {
    debug_assert!(nodes.len().is_power_of_two(), "a complete tree over {} nodes", nodes.len());
    let mut row = nodes.to_vec();
    while row.len() > 1 {
        row = row.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
    }
    row[0]
}

fn join(left: TreeHash, right: Option<TreeHash>) -> TreeHash {
    right.map_or(left, |right| node_hash(&left, &right))
}

#[cfg(test)]
pub(super) mod tests {
    use std::convert::Infallible;

    use super::*;

    /// The entries of the test tree that implementations of RFC 6962 share.
    pub(in super::super) const ENTRIES: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];

    /// Its roots with one to eight entries.
    pub(in super::super) const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    /// A tree with all its leaves at hand.
    pub(in super::super) struct Leaves(pub(in super::super) Vec<TreeHash>);

    impl Nodes for Leaves {
        type Error = Infallible;

        fn node(&self, level: u8, index: u64) -> Result<TreeHash, Infallible> {
            let first = usize::try_from(index << level).unwrap();
            Ok(complete_root(&self.0[first..first + (1 << level)]))
        }
    }

    #[test]
    fn trees_have_the_roots_that_others_computed() {
        let leaves = Leaves(ENTRIES.map(leaf_hash).to_vec());
        assert_eq!(root(0, &leaves), Ok(EMPTY_ROOT));
        assert_eq!(EMPTY_ROOT, TreeHash::of(b""));
        for (size, expected) in (1..).zip(ROOTS) {
            assert_eq!(root(size, &leaves).unwrap().to_hex(), expected);
            let size = usize::try_from(size).unwrap();
            assert_eq!(fold(&leaves.0[..size], None).unwrap().to_hex(), expected);
        }
    }
}
