//! Every subtree of every tree of up to 80 entries, its proof as the draft defines it, and the crate
//! `tlog_tiles`, by other people, beside it.

use proptest::prelude::*;
use proptest::sample::Index;
use schema::hash::TreeHash;
use schema::tlog::fork::{ForkProof, fork_proof};
use schema::tlog::merkle::{leaf_hash, root};
use schema::tlog::proof::{ProofError, consistency};
use schema::tlog::subtree::{Subtree, SubtreeProof, subtree_consistency};
use tlog_tiles::Hash;

use super::tlog_trees::{Tree, hash, hashes};

const LARGEST: u64 = 80;

fn subtrees(size: u64) -> impl Iterator<Item = Subtree> {
    let all = (0..size).flat_map(move |start| (start + 1..=size).map(move |end| (start, end)));
    all.filter_map(|(start, end)| Subtree::new(start, end).ok())
}

fn grown(size: u64) -> Tree {
    let mut tree = Tree::default();
    (0..size).for_each(|_| tree.grow());
    tree
}

/// The root of these leaves by themselves, as the other crate hashes them.
fn their_root(leaves: &[Hash]) -> Hash {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    tlog_tiles::node_hash(their_root(left), their_root(right))
}

/// The draft's definition, with the other crate's hashes.
fn defined(start: usize, end: usize, leaves: &[Hash], own: bool) -> Vec<Hash> {
    if (start, end) == (0, leaves.len()) {
        return if own { Vec::new() } else { vec![their_root(leaves)] };
    }
    let half = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(half);
    let (mut hashes, other) = if end <= half {
        (defined(start, end, left, own), right)
    } else if half <= start {
        (defined(start - half, end - half, right, own), left)
    } else {
        assert_eq!(start, 0, "not a subtree");
        (defined(0, end - half, right, false), left)
    };
    hashes.push(their_root(other));
    hashes
}

fn ours(theirs: Hash) -> TreeHash {
    TreeHash::from_bytes(theirs.0)
}

#[test]
fn proofs_are_as_defined_and_as_others_make_them() {
    let tree = grown(LARGEST);
    let leaves: Vec<_> = (0..LARGEST).map(|at| tlog_tiles::record_hash(&Tree::entry(at))).collect();
    for size in 1..=LARGEST {
        let whole = tlog_tiles::tree_hash(size, &tree.theirs).unwrap();
        for subtree in subtrees(size) {
            let (start, end) = (subtree.start(), subtree.end());
            let proof = subtree_consistency(subtree, size, &tree).unwrap();
            let theirs = hashes(proof.hashes());
            let [from, to, all] = [start, end, size].map(|at| usize::try_from(at).unwrap());
            assert_eq!(theirs, defined(from, to, &leaves[..all], true), "{subtree} in {size}");
            let part = their_root(&leaves[from..to]);
            assert_eq!(proof.verify(subtree, size, &ours(part), &ours(whole)), Ok(()));
            if start == 0 {
                assert_eq!(tlog_tiles::prove_tree(size, end, &tree.theirs).unwrap(), theirs);
                tlog_tiles::check_tree(&theirs, size, whole, end, part).unwrap();
            }
            if end - start == 1 {
                assert_eq!(tlog_tiles::prove_record(size, start, &tree.theirs).unwrap(), theirs);
                tlog_tiles::check_record(&theirs, size, whole, start, part).unwrap();
            }
        }
    }
}

#[test]
fn no_hash_may_differ_lack_or_be_too_many() {
    let (tree, other) = (grown(LARGEST), leaf_hash(b"another"));
    let roots: Vec<_> = (0..=LARGEST).map(|size| root(size, &tree).unwrap()).collect();
    let leaves = |subtree: Subtree| {
        let entries = subtree.start()..subtree.end();
        entries.map(|at| tlog_tiles::record_hash(&Tree::entry(at))).collect::<Vec<_>>()
    };
    for size in 1..=LARGEST {
        let at_size = usize::try_from(size).unwrap();
        for subtree in subtrees(size) {
            let proof = subtree_consistency(subtree, size, &tree).unwrap();
            let (part, whole) = (ours(their_root(&leaves(subtree))), roots[at_size]);
            let honest = proof.hashes();
            let mut damaged = vec![[honest, &[other]].concat()];
            for at in 0..honest.len() {
                let (before, after) = (&honest[..at], &honest[at + 1..]);
                damaged.push([before, &[other], after].concat());
                damaged.push([before, after].concat());
                for more in [other, honest[at], part, whole] {
                    damaged.push([before, &[more], &honest[at..]].concat());
                }
            }
            for hashes in damaged {
                let proof = SubtreeProof::from_hashes(hashes).unwrap();
                let judged = proof.verify(subtree, size, &part, &whole);
                assert_eq!(judged, Err(ProofError::Root), "{subtree} in {size}");
            }
            assert_eq!(proof.verify(subtree, size, &other, &whole), Err(ProofError::Root));
            for (other_size, other_root) in (0..).zip(&roots) {
                let judged = proof.verify(subtree, other_size, &part, other_root);
                assert_eq!(judged.is_ok(), other_size == size, "{subtree} in {size}");
            }
        }
    }
}

proptest! {
    /// Two logs with the same first entries: each shows of the other what it began with.
    #[test]
    fn a_fork_is_shown_and_growth_is_not(
        size in 1_u64..600, fork in any::<Index>(), old in any::<Index>(), at in any::<Index>(),
    ) {
        let fork = fork.index(size as usize + 1) as u64;
        let old = old.index(size as usize) as u64 + 1;
        let (honest, mut forked) = (grown(size), grown(fork));
        (fork..size).for_each(|at| forked.append(&[b"other", &Tree::entry(at)[..]].concat()));
        let [signed, new_root] = [root(old, &honest), root(size, &forked)].map(Result::unwrap);
        let proof = fork_proof(old, size, &forked).unwrap();
        let shown = proof.old_root(old, size, &new_root);
        prop_assert_eq!(shown, Ok(root(old, &forked).unwrap()));
        prop_assert_eq!(shown == Ok(signed), old <= fork);
        let consistent = consistency(old, size, &forked).unwrap();
        prop_assert_eq!(consistent.verify(old, size, &signed, &new_root).is_ok(), old <= fork);
        if let Some(root) = consistent.old_root(old, size, &new_root) {
            prop_assert_eq!(Ok(root), shown);
        }
        let honest_root = root(size, &honest).unwrap();
        prop_assert_eq!(proof.old_root(old, size, &honest_root).is_ok(), fork == size);
        let mut hashes = proof.hashes().to_vec();
        let at = at.index(hashes.len());
        hashes[at] = leaf_hash(hashes[at].as_bytes());
        let damaged = ForkProof::from_hashes(hashes).unwrap();
        prop_assert_eq!(damaged.old_root(old, size, &new_root), Err(ProofError::Root));
    }

    /// The stretches of a log that are uploaded, in large trees.
    #[test]
    fn any_subtree_of_a_larger_tree_is_proved(
        size in 1_u64..3000, end in any::<Index>(), level in 0_u32..12, less in any::<Index>(),
    ) {
        let tree = grown(size);
        let end = end.index(size as usize) as u64 + 1;
        let start = (end - 1) >> level << level;
        let end = end - less.index((end - start) as usize) as u64;
        let subtree = Subtree::new(start, end).unwrap();
        let proof = subtree_consistency(subtree, size, &tree).unwrap();
        let leaves: Vec<_> =
            (start..end).map(|at| tlog_tiles::record_hash(&Tree::entry(at))).collect();
        let (part, whole) = (ours(their_root(&leaves)), root(size, &tree).unwrap());
        prop_assert_eq!(hash(&whole), tlog_tiles::tree_hash(size, &tree.theirs).unwrap());
        prop_assert_eq!(proof.verify(subtree, size, &part, &whole), Ok(()));
        prop_assert!(proof.verify(subtree, size, &leaf_hash(b"other"), &whole).is_err());
    }
}
