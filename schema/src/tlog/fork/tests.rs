use super::super::merkle::leaf_hash;
use super::super::merkle::tests::Leaves;
use super::super::proof::consistency;
use super::*;

const LARGEST: u64 = 18;

/// A log whose entries are others from `fork` on.
fn tree(fork: u64) -> Leaves {
    let entry = |at| if at < fork { leaf_hash(&[at as u8]) } else { leaf_hash(&[at as u8, 1]) };
    Leaves((0..LARGEST).map(entry).collect())
}

#[test]
fn it_shows_what_a_tree_begins_with() {
    let honest = tree(LARGEST);
    for fork in 0..=LARGEST {
        let forked = tree(fork);
        for (old, new) in (1..=LARGEST).flat_map(|new| (1..=new).map(move |old| (old, new))) {
            let new_root = root(new, &forked).unwrap();
            let shown = fork_proof(old, new, &forked).unwrap().old_root(old, new, &new_root);
            assert_eq!(shown, Ok(root(old, &forked).unwrap()), "{old} to {new}");
            let signed = root(old, &honest).unwrap();
            assert_eq!(shown == Ok(signed), old <= fork, "{old} to {new}, other from {fork} on");
        }
    }
}

#[test]
fn a_consistency_proof_shows_it_where_the_old_tree_is_not_left_out() {
    let (honest, forked) = (tree(LARGEST), tree(3));
    for (old, new) in (1..=LARGEST).flat_map(|new| (0..=new).map(move |old| (old, new))) {
        for tree in [&honest, &forked] {
            let (old_root, new_root) = (root(old, tree).unwrap(), root(new, tree).unwrap());
            let proof = consistency(old, new, tree).unwrap();
            let shown = proof.old_root(old, new, &new_root);
            let left_out = old == 0 || old == new || old.is_power_of_two();
            assert_eq!(shown, (!left_out).then_some(old_root), "{old} to {new}");
            if !left_out {
                assert_eq!(proof.hashes(), fork_proof(old, new, tree).unwrap().hashes());
            }
        }
        let elsewhere = consistency(old, new, &forked).unwrap();
        let (honest, forked) = (root(new, &honest).unwrap(), root(new, &forked).unwrap());
        assert!(honest == forked || elsewhere.old_root(old, new, &honest).is_none());
    }
}

#[test]
fn other_hashes_show_nothing() {
    let (tree, other) = (tree(LARGEST), leaf_hash(b"another"));
    for (old, new) in (1..=LARGEST).flat_map(|new| (1..=new).map(move |old| (old, new))) {
        let new_root = root(new, &tree).unwrap();
        let proof = fork_proof(old, new, &tree).unwrap();
        let hashes = proof.hashes();
        let shown =
            |hashes: Vec<TreeHash>| ForkProof::from_hashes(hashes)?.old_root(old, new, &new_root);
        for at in 0..hashes.len() {
            let mut changed = hashes.to_vec();
            changed[at] = other;
            assert_eq!(shown(changed), Err(ProofError::Root), "{old} to {new}");
            let fewer = [&hashes[..at], &hashes[at + 1..]].concat();
            assert_eq!(shown(fewer), Err(ProofError::Root), "{old} to {new}");
            let more = [&hashes[..at], &[other], &hashes[at..]].concat();
            assert_eq!(shown(more), Err(ProofError::Root), "{old} to {new}");
        }
        assert_eq!(shown([hashes, &[other]].concat()), Err(ProofError::Root));
        assert_eq!(proof.old_root(old, new, &other), Err(ProofError::Root));
    }
}

#[test]
fn sizes_and_lengths_are_bounded() {
    let (tree, hash) = (tree(0), leaf_hash(b"x"));
    for (part, size) in [(0, 5), (6, 5), (0, 0), (1, MAX_TREE_SIZE + 1)] {
        assert_eq!(fork_proof(part, size, &tree), Err(ProveError::Range { part, size }));
        let proof = ForkProof::from_hashes(vec![hash]).unwrap();
        assert_eq!(proof.old_root(part, size, &hash), Err(ProofError::Range { part, size }));
    }
    assert_eq!(ForkProof::from_hashes(Vec::new()), Err(ProofError::Root));
    assert!(ForkProof::from_hashes(vec![hash; 63]).is_ok());
    assert_eq!(ForkProof::from_hashes(vec![hash; 64]), Err(ProofError::TooLong(64)));
}
