//! One proof that many entries are in a tree. What their paths to the root share is there once.
//!
//! C2SP has no such proof yet. It is what a recursion over the tree of RFC 6962 meets: at a subtree
//! without any of the entries its root, at a subtree that is one of them nothing, and else first what
//! the left half gives and then the right half. So entries that stand side by side cost little more
//! than one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::merkle::{EMPTY_ROOT, MAX_TREE_SIZE, Nodes, left_leaves, node_hash, range_root};
use super::proof::{MAX_PROOF_LEN, ProofError, ProveError};
use crate::hash::TreeHash;

/// The hashes beside the paths from some entries to the root, from left to right. It says nothing
/// until it is [verified](Self::verify).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct MultiProof(Vec<TreeHash>);

impl MultiProof {
    /// Checks that the tree of `size` entries with this `root` has each of these leaves at its index.
    /// The indices ascend.
    ///
    /// # Errors
    /// Indices that do not ascend or are not in such a tree, or hashes that do not lead to the root.
    pub fn verify(
        &self,
        leaves: &[(u64, TreeHash)],
        size: u64,
        root: &TreeHash,
    ) -> Result<(), ProofError> {
        if self.0.len() > leaves.len().saturating_mul(MAX_PROOF_LEN).max(1) {
            return Err(ProofError::TooLong(self.0.len()));
        }
        check_range(leaves.iter().map(|(index, _)| *index), size)
            .map_err(|part| ProofError::Range { part, size })?;
        if size == 0 {
            let empty = self.0.is_empty() && *root == EMPTY_ROOT;
            return if empty { Ok(()) } else { Err(ProofError::Root) };
        }
        let mut hashes = self.0.iter();
        let found = rebuild(leaves, 0, size, &mut hashes);
        let all_used = hashes.next().is_none();
        if all_used && found == Some(*root) { Ok(()) } else { Err(ProofError::Root) }
    }
}

/// Proves that the entries at these indices, which ascend, are in the tree with `size` entries.
///
/// # Errors
/// [`ProveError::Range`] when one is not, and those of `nodes`.
pub fn multi_proof<N: Nodes>(
    indices: &[u64],
    size: u64,
    nodes: &N,
) -> Result<MultiProof, ProveError<N::Error>> {
    check_range(indices.iter().copied(), size).map_err(|part| ProveError::Range { part, size })?;
    let mut hashes = Vec::new();
    if size > 0 {
        collect(indices, 0, size, nodes, &mut hashes).map_err(ProveError::Nodes)?;
    }
    Ok(MultiProof(hashes))
}

/// That the indices ascend within the tree; else the first that does not.
fn check_range(indices: impl Iterator<Item = u64>, size: u64) -> Result<(), u64> {
    if size > MAX_TREE_SIZE {
        return Err(size);
    }
    let mut next = 0;
    for index in indices {
        if index < next || index >= size {
            return Err(index);
        }
        next = index + 1;
    }
    Ok(())
}

/// The hashes over the leaves `[start, end)`, of which there is one at least. No deeper than the tree.
fn collect<N: Nodes>(
    indices: &[u64],
    start: u64,
    end: u64,
    nodes: &N,
    hashes: &mut Vec<TreeHash>,
) -> Result<(), N::Error> {
    if indices.is_empty() {
        hashes.push(range_root(start, end, nodes)?);
        return Ok(());
    }
    if end - start == 1 {
        return Ok(());
    }
    let middle = start + left_leaves(end - start);
    let (left, right) = indices.split_at(indices.partition_point(|index| *index < middle));
    collect(left, start, middle, nodes, hashes)?;
    collect(right, middle, end, nodes, hashes)
}

fn rebuild<'h>(
    leaves: &[(u64, TreeHash)],
    start: u64,
    end: u64,
    hashes: &mut impl Iterator<Item = &'h TreeHash>,
) -> Option<TreeHash> {
    if leaves.is_empty() {
        return hashes.next().copied();
    }
    if end - start == 1 {
        return Some(leaves[0].1);
    }
    let middle = start + left_leaves(end - start);
    let (left, right) = leaves.split_at(leaves.partition_point(|(index, _)| *index < middle));
    let left = rebuild(left, start, middle, hashes)?;
    let right = rebuild(right, middle, end, hashes)?;
    Some(node_hash(&left, &right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::merkle::leaf_hash;
    use crate::tlog::merkle::root;
    use crate::tlog::merkle::tests::Leaves;

    fn leaves(size: u64) -> Leaves {
        Leaves((0..size).map(|at| leaf_hash(&at.to_be_bytes())).collect())
    }

    #[test]
    fn any_entries_of_any_small_tree_are_proved_and_no_others() {
        for size in 0..10_u64 {
            let tree = leaves(size);
            let whole = root(size, &tree).unwrap();
            for chosen in 0..1_u64 << size {
                let indices: Vec<u64> = (0..size).filter(|at| chosen >> at & 1 == 1).collect();
                let proof = multi_proof(&indices, size, &tree).unwrap();
                let mut found: Vec<_> =
                    indices.iter().map(|at| (*at, tree.0[*at as usize])).collect();
                assert_eq!(proof.verify(&found, size, &whole), Ok(()), "{indices:?} of {size}");
                assert_eq!(proof.verify(&found, size, &leaf_hash(b"other")), Err(ProofError::Root));
                if let Some(last) = found.last_mut() {
                    last.1 = leaf_hash(b"forged");
                    assert_eq!(proof.verify(&found, size, &whole), Err(ProofError::Root));
                }
            }
        }
    }

    #[test]
    fn neighbours_share_their_way() {
        let tree = leaves(1000);
        let some: Vec<u64> = (256..512).collect();
        assert_eq!(multi_proof(&some, 1000, &tree).unwrap().0.len(), 2);
    }

    #[test]
    fn what_does_not_ascend_or_is_not_there_is_refused() {
        let tree = leaves(8);
        for indices in [vec![3, 3], vec![4, 1], vec![8]] {
            assert!(matches!(multi_proof(&indices, 8, &tree), Err(ProveError::Range { .. })));
            let found: Vec<_> = indices.iter().map(|at| (*at, leaf_hash(b""))).collect();
            let proof = MultiProof(Vec::new());
            assert!(matches!(
                proof.verify(&found, 8, &leaf_hash(b"")),
                Err(ProofError::Range { .. })
            ));
        }
        let proof = MultiProof(vec![leaf_hash(b""); 64]);
        assert_eq!(
            proof.verify(&[(0, leaf_hash(b""))], 8, &EMPTY_ROOT),
            Err(ProofError::TooLong(64))
        );
    }
}
