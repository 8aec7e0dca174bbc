use super::super::climb::Climb;
use super::super::merkle::tests::Leaves;
use super::super::merkle::{leaf_hash, node_hash, range_root, root};
use super::super::proof::{MAX_PROOF_LEN, consistency, inclusion};
use super::*;

/// Trees of up to so many leaves are looked at whole; larger ones among the tests of formats.
const LARGEST: u64 = 34;

fn tree() -> Leaves {
    Leaves((0..LARGEST).map(|at| leaf_hash(&at.to_be_bytes())).collect())
}

fn subtrees(size: u64) -> impl Iterator<Item = Subtree> {
    let all = (0..size).flat_map(move |start| (start + 1..=size).map(move |end| (start, end)));
    all.filter_map(|(start, end)| Subtree::new(start, end).ok())
}

/// The definition, word for word.
fn defined(start: u64, end: u64, leaves: &[TreeHash], own: bool) -> Vec<TreeHash> {
    let size = leaves.len() as u64;
    if (start, end) == (0, size) {
        return if own { Vec::new() } else { vec![hash(leaves)] };
    }
    let half = size.next_power_of_two() / 2;
    let (left, right) = leaves.split_at(half as usize);
    let (mut hashes, other) = if end <= half {
        (defined(start, end, left, own), right)
    } else if half <= start {
        (defined(start - half, end - half, right, own), left)
    } else {
        assert_eq!(start, 0);
        (defined(0, end - half, right, false), left)
    };
    hashes.push(hash(other));
    hashes
}

/// The tree's root, also from its definition.
fn hash(leaves: &[TreeHash]) -> TreeHash {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    node_hash(&hash(left), &hash(right))
}

#[test]
fn what_a_subtree_is() {
    for (start, end) in [(0, 1), (0, 13), (4, 8), (8, 13), (7, 8), (6, 8), (256, 511), (512, 768)] {
        assert!(Subtree::new(start, end).is_ok(), "{start} {end}");
    }
    for (start, end) in [(0, 0), (3, 3), (4, 3), (1, 3), (4, 9), (6, 9), (256, 513)] {
        assert_eq!(Subtree::new(start, end), Err(SubtreeError { start, end }));
    }
    assert!(Subtree::new(0, MAX_TREE_SIZE).is_ok());
    for end in [MAX_TREE_SIZE + 1, u64::MAX] {
        assert!(Subtree::new(0, end).is_err() && Subtree::new(end - 1, end).is_err());
    }
    assert_eq!(Subtree::new(8, 13).unwrap().to_string(), "[8, 13)");
}

#[test]
fn proofs_are_as_defined_and_hold() {
    let nodes = tree();
    for size in 1..=LARGEST {
        let (leaves, whole) = (&nodes.0[..size as usize], root(size, &nodes).unwrap());
        for subtree in subtrees(size) {
            let Subtree { start, end } = subtree;
            let proof = subtree_consistency(subtree, size, &nodes).unwrap();
            assert_eq!(proof.hashes(), defined(start, end, leaves, true), "{subtree} in {size}");
            let part = hash(&leaves[start as usize..end as usize]);
            assert_eq!(range_root(start, end, &nodes), Ok(part));
            assert_eq!(proof.verify(subtree, size, &part, &whole), Ok(()), "{subtree} in {size}");
            if start == 0 {
                assert_eq!(consistency(end, size, &nodes).unwrap().hashes(), proof.hashes());
            }
            if end - start == 1 {
                assert_eq!(inclusion(start, size, &nodes).unwrap().hashes(), proof.hashes());
            }
        }
    }
}

#[test]
fn no_hash_may_differ_lack_or_be_too_many() {
    let (nodes, other) = (tree(), leaf_hash(b"another"));
    for size in 1..=LARGEST {
        let whole = root(size, &nodes).unwrap();
        let larger = root(size + 1, &Leaves([&nodes.0[..], &[other]].concat())).unwrap();
        for subtree in subtrees(size) {
            let proof = subtree_consistency(subtree, size, &nodes).unwrap();
            let part = range_root(subtree.start, subtree.end, &nodes).unwrap();
            let refused = |hashes: Vec<TreeHash>| {
                let proof = SubtreeProof::from_hashes(hashes).unwrap();
                let judged = proof.verify(subtree, size, &part, &whole);
                assert_eq!(judged, Err(ProofError::Root), "{subtree} in {size}");
            };
            let hashes = proof.hashes();
            for at in 0..hashes.len() {
                let mut changed = hashes.to_vec();
                changed[at] = other;
                refused(changed);
                refused([&hashes[..at], &hashes[at + 1..]].concat());
            }
            for at in 0..=hashes.len() {
                for more in [other, part, whole] {
                    refused([&hashes[..at], &[more], &hashes[at..]].concat());
                }
            }
            assert!(proof.verify(subtree, size, &other, &whole).is_err());
            assert!(proof.verify(subtree, size, &part, &other).is_err());
            assert!(proof.verify(subtree, size + 1, &part, &larger).is_err());
            assert!(proof.verify(subtree, subtree.end - 1, &part, &whole).is_err());
        }
    }
}

/// What is proved of one subtree is proved of no other, in no tree but its own.
#[test]
fn a_proof_is_of_one_subtree() {
    let nodes = tree();
    for size in 1..=13 {
        for subtree in subtrees(size) {
            let proof = subtree_consistency(subtree, size, &nodes).unwrap();
            let part = range_root(subtree.start, subtree.end, &nodes).unwrap();
            for other_size in 1..=13 {
                let other_whole = root(other_size, &nodes).unwrap();
                for other in subtrees(other_size) {
                    let same = (other, other_size) == (subtree, size);
                    let judged = proof.verify(other, other_size, &part, &other_whole);
                    assert_eq!(judged.is_ok(), same, "{subtree} in {size}");
                }
            }
        }
    }
}

#[test]
fn a_subtree_beyond_the_tree_is_not_proved() {
    let (nodes, hash) = (tree(), leaf_hash(b"x"));
    let subtree = Subtree::new(4, 8).unwrap();
    let none = SubtreeProof::from_hashes(Vec::new()).unwrap();
    for size in [0, 5, 7, MAX_TREE_SIZE + 1] {
        let (proved, part) = (subtree_consistency(subtree, size, &nodes), 8);
        assert_eq!(proved, Err(ProveError::Range { part, size }));
        let judged = none.verify(subtree, size, &hash, &hash);
        assert_eq!(judged, Err(ProofError::Range { part, size }));
    }
    assert_eq!(SubtreeProof::from_hashes(vec![hash; 64]), Err(ProofError::TooLong(64)));
    assert!(SubtreeProof::from_hashes(vec![hash; 63]).is_ok());
}

/// In the largest tree no proof is longer than can be, and none overflows.
#[test]
fn the_largest_tree_has_proofs_that_fit() {
    struct Same;
    impl Nodes for Same {
        type Error = std::convert::Infallible;
        fn node(&self, level: u8, _: u64) -> Result<TreeHash, Self::Error> {
            let leaf = leaf_hash(b"the same entry");
            Ok((0..level).fold(leaf, |node, _| node_hash(&node, &node)))
        }
    }
    for size in [MAX_TREE_SIZE, MAX_TREE_SIZE - 1, MAX_TREE_SIZE / 2 + 1] {
        let (half, whole) = (MAX_TREE_SIZE / 2, root(size, &Same).unwrap());
        for (start, end) in [(0, half + 1), (0, size - 1), (half, size), (half - 256, half - 1)] {
            let Ok(subtree) = Subtree::new(start, end) else { continue };
            let proof = subtree_consistency(subtree, size, &Same).unwrap();
            assert!(proof.hashes().len() <= MAX_PROOF_LEN);
            let part = range_root(start, end, &Same).unwrap();
            assert_eq!(proof.verify(subtree, size, &part, &whole), Ok(()), "{subtree} in {size}");
        }
    }
}

#[test]
fn a_node_of_the_tree_is_left_out_of_its_proof() {
    for (start, end, size, left_out) in
        [(8, 12, 13, true), (8, 13, 13, true), (8, 11, 13, false), (0, 8, 13, true)]
    {
        assert_eq!(Climb::new(start, end, size).is_whole(), left_out, "[{start}, {end}) in {size}");
    }
}
