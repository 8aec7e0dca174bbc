use super::super::merkle::tests::{ENTRIES, Leaves};
use super::super::merkle::{leaf_hash, node_hash, root};
use super::*;

fn tree() -> Leaves {
    Leaves(ENTRIES.map(leaf_hash).to_vec())
}

fn hexes(hashes: &[TreeHash]) -> Vec<String> {
    hashes.iter().map(TreeHash::to_hex).collect()
}

/// From the test data that implementations of RFC 6962 share.
#[test]
fn proofs_are_those_that_others_made() {
    let nodes = tree();
    assert_eq!(
        hexes(inclusion(5, 8, &nodes).unwrap().hashes()),
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
    assert_eq!(
        hexes(inclusion(2, 3, &nodes).unwrap().hashes()),
        ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]
    );
    assert_eq!(
        hexes(consistency(6, 8, &nodes).unwrap().hashes()),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
    assert_eq!(
        hexes(consistency(2, 5, &nodes).unwrap().hashes()),
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ]
    );
}

#[test]
fn a_proof_holds_for_its_own_tree_and_place_alone() {
    let nodes = tree();
    for size in 1..=8 {
        let tree = root(size, &nodes).unwrap();
        for index in 0..size {
            let leaf = nodes.node(0, index).unwrap();
            let proof = inclusion(index, size, &nodes).unwrap();
            for (other, at) in (1..=8).flat_map(|other| (0..other).map(move |at| (other, at))) {
                let same = (other, at) == (size, index);
                let holds = proof.verify(at, other, leaf, &tree).is_ok();
                // The way up may be the same in trees of other sizes: then the root tells them
                // apart.
                assert!(holds || !same, "{index} in {size}");
                let root_differs = root(other, &nodes).unwrap() != tree;
                assert!(!holds || same || root_differs, "{index} in {size} as {at} in {other}");
            }
            let mut long = proof.hashes().to_vec();
            long.push(leaf);
            let long = InclusionProof::from_hashes(long).unwrap();
            assert_eq!(long.verify(index, size, leaf, &tree), Err(ProofError::Root));
        }
    }
}

#[test]
fn a_smaller_tree_is_only_the_beginning_of_its_own() {
    let nodes = tree();
    let root = |size| root(size, &nodes).unwrap();
    for (old, new) in (0..=8).flat_map(|new| (0..=new).map(move |old| (old, new))) {
        let proof = consistency(old, new, &nodes).unwrap();
        assert_eq!(proof.verify(old, new, &root(old), &root(new)), Ok(()), "{old} {new}");
        let other = TreeHash::of(b"another root");
        assert_eq!(proof.verify(old, new, &other, &root(new)), Err(ProofError::Root));
        if old > 0 {
            assert_eq!(proof.verify(old, new, &root(old), &other), Err(ProofError::Root));
        }
        let mut long = proof.hashes().to_vec();
        long.push(other);
        let long = ConsistencyProof::from_hashes(long).unwrap();
        assert_eq!(long.verify(old, new, &root(old), &root(new)), Err(ProofError::Root));
    }
}

#[test]
fn what_is_not_in_a_tree_is_not_proved() {
    let nodes = tree();
    assert!(matches!(inclusion(8, 8, &nodes), Err(ProveError::Range { part: 8, size: 8 })));
    assert!(matches!(inclusion(0, 0, &nodes), Err(ProveError::Range { .. })));
    assert!(matches!(consistency(8, 7, &nodes), Err(ProveError::Range { part: 8, size: 7 })));
    let beyond = MAX_TREE_SIZE + 1;
    assert!(matches!(inclusion(0, beyond, &nodes), Err(ProveError::Range { .. })));
    assert!(matches!(consistency(0, beyond, &nodes), Err(ProveError::Range { .. })));
    let (none, hash) = (ConsistencyProof::from_hashes(Vec::new()).unwrap(), EMPTY_ROOT);
    assert!(matches!(none.verify(1, beyond, &hash, &hash), Err(ProofError::Range { .. })));
    assert_eq!(none.verify(0, 0, &hash, &TreeHash::of(b"x")), Err(ProofError::Root));
    assert_eq!(InclusionProof::from_hashes(vec![hash; 64]), Err(ProofError::TooLong(64)));
    assert!(ConsistencyProof::from_hashes(vec![hash; 63]).is_ok());
}

/// In the largest tree the longest proof has 62 or 63 hashes, which verify without overflow.
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
    let size = MAX_TREE_SIZE - 1;
    let (tree, leaf) = (root(size, &Same).unwrap(), leaf_hash(b"the same entry"));
    for index in [0, 1, size / 2, size - 1] {
        let proof = inclusion(index, size, &Same).unwrap();
        assert!(proof.hashes().len() <= 62);
        assert_eq!(proof.verify(index, size, leaf, &tree), Ok(()));
    }
    for old in [1, 3, size / 2, size - 2, size - 1, size] {
        let proof = consistency(old, size, &Same).unwrap();
        assert!(proof.hashes().len() <= MAX_PROOF_LEN);
        let before = root(old, &Same).unwrap();
        assert_eq!(proof.verify(old, size, &before, &tree), Ok(()), "{old}");
    }
}
