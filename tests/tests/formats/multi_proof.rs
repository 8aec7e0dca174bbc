//! One proof of many entries, against a proof of each.

use std::convert::Infallible;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::Index;
use schema::hash::TreeHash;
use schema::tlog::merkle::{Nodes, leaf_hash, node_hash, root};
use schema::tlog::multi_proof::{MultiProof, multi_proof};
use schema::tlog::proof::inclusion;
use serde_json::{from_value, to_value};

/// A tree whose leaves are hashes of their numbers.
struct Tree(u64);

impl Tree {
    fn leaf(&self, index: u64) -> TreeHash {
        leaf_hash(&index.to_be_bytes())
    }

    fn root(&self) -> TreeHash {
        root(self.0, self).unwrap()
    }
}

impl Nodes for Tree {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<TreeHash, Infallible> {
        let Some(below) = level.checked_sub(1) else { return Ok(self.leaf(index)) };
        Ok(node_hash(&self.node(below, 2 * index)?, &self.node(below, 2 * index + 1)?))
    }
}

fn hashes(proof: &MultiProof) -> Vec<TreeHash> {
    from_value(to_value(proof).unwrap()).unwrap()
}

fn of_hashes(hashes: &[TreeHash]) -> MultiProof {
    from_value(to_value(hashes).unwrap()).unwrap()
}

proptest! {
    #[test]
    fn it_proves_what_single_proofs_do(
        size in 1_u64..600, chosen in vec(any::<Index>(), 0..40), at in any::<Index>(),
        other in any::<[u8; 32]>(),
    ) {
        let tree = Tree(size);
        let indices: std::collections::BTreeSet<u64> =
            chosen.iter().map(|it| it.index(size as usize) as u64).collect();
        let indices: Vec<u64> = indices.into_iter().collect();
        let proof = multi_proof(&indices, size, &tree).unwrap();
        let leaves: Vec<_> = indices.iter().map(|index| (*index, tree.leaf(*index))).collect();
        let whole = tree.root();
        prop_assert_eq!(proof.verify(&leaves, size, &whole), Ok(()));
        for (index, leaf) in &leaves {
            let single = inclusion(*index, size, &tree).unwrap();
            prop_assert_eq!(single.verify(*index, size, *leaf, &whole), Ok(()));
            if leaves.len() == 1 {
                // The same hashes: from left to right here, from the leaf up there.
                let (mut ours, mut theirs) = (hashes(&proof), single.hashes().to_vec());
                ours.sort_unstable();
                theirs.sort_unstable();
                prop_assert_eq!(ours, theirs);
            }
        }
        // Whatever else is said of any of them is not proved.
        let other = TreeHash::from_bytes(other);
        if !leaves.is_empty() {
            let at = at.index(leaves.len());
            let mut changed = leaves.clone();
            changed[at].1 = other;
            prop_assert!(proof.verify(&changed, size, &whole).is_err());
            let mut fewer = leaves.clone();
            fewer.remove(at);
            prop_assert!(proof.verify(&fewer, size, &whole).is_err());
            for moved in [leaves[at].0 ^ 1, leaves[at].0 + 1, 0, size, u64::MAX] {
                let mut elsewhere = leaves.clone();
                elsewhere[at].0 = moved;
                prop_assert_eq!(
                    proof.verify(&elsewhere, size, &whole).is_ok(), elsewhere == leaves,
                    "{} for {}", moved, leaves[at].0
                );
            }
        }
        prop_assert!(proof.verify(&leaves, size, &other).is_err());
    }

    /// A root stands for its size only if whoever signed it says so; but within one size every
    /// hash counts.
    #[test]
    fn a_damaged_proof_proves_nothing(
        size in 2_u64..600, chosen in btree_set(any::<Index>().prop_map(|it| it.index(600)), 1..20),
        at in any::<Index>(), byte in 0_usize..32, bit in 0..8,
    ) {
        let tree = Tree(size);
        let indices: Vec<u64> =
            chosen.into_iter().map(|index| index as u64).filter(|index| *index < size).collect();
        let proof = multi_proof(&indices, size, &tree).unwrap();
        let leaves: Vec<_> = indices.iter().map(|index| (*index, tree.leaf(*index))).collect();
        let honest = hashes(&proof);
        let mut damaged = vec![[&honest[..], &[TreeHash::of(b"more")]].concat()];
        if !honest.is_empty() {
            let at = at.index(honest.len());
            let mut bytes = *honest[at].as_bytes();
            bytes[byte] ^= 1_u8 << bit;
            let mut flipped = honest.clone();
            flipped[at] = TreeHash::from_bytes(bytes);
            let mut shorter = honest.clone();
            shorter.remove(at);
            let mut longer = honest.clone();
            longer.insert(at, honest[at]);
            let mut swapped = honest.clone();
            swapped.rotate_left(1);
            damaged.extend([flipped, shorter, longer, swapped]);
        }
        for other in damaged.iter().filter(|other| **other != honest) {
            prop_assert!(of_hashes(other).verify(&leaves, size, &tree.root()).is_err());
        }
    }
}
