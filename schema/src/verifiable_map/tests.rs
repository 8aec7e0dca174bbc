use sha2::{Digest, Sha256};

use super::*;
use crate::hash::TreeHash;
use crate::signature::Signature;

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(parts.concat()).into()
}

/// A key whose path begins with these bits.
fn key(first: u8) -> MapKey {
    let mut bytes = [0; 32];
    bytes[0] = first;
    MapKey::from_bytes(bytes)
}

fn list(indices: &[u64]) -> ListChain {
    ListChain::of(indices).unwrap()
}

fn leaf(key: &MapKey, list: &ListChain) -> MapLeaf {
    MapLeaf { key: *key, list: list.hash() }
}

fn entry() -> Entry {
    Entry {
        dialect: crate::claim::Dialect::Nix,
        logged_at: 1,
        subject: NarHash::from_bytes([1; 32]),
        path_key: PathKey::from_bytes([2; 32]),
        claim: crate::hash::ClaimId::from_bytes([3; 32]),
        key_id: KeyId::from_bytes([4; 32]),
        signature: Signature::from_bytes([5; 64]),
    }
}

#[test]
fn keys_say_what_kind_of_thing_they_are_of() {
    let [path, nar, signer] = MapKey::all_of(&entry());
    assert_eq!(*path.as_bytes(), sha256(&[b"path\0", &[2; 32]]));
    assert_eq!(*nar.as_bytes(), sha256(&[b"nar\0", &[1; 32]]));
    assert_eq!(*signer.as_bytes(), sha256(&[b"key\0", &[4; 32]]));
    // By `printf 'path\0' | cat - <(head -c 32 /dev/zero | tr '\0' '\2') | sha256sum`.
    assert_eq!(path.to_hex(), "9e023175f62ea0627ac38d0918a04e44a7430430f6c30b1070c2664ef1b2c9e9");
}

#[test]
fn a_list_is_chained_from_zero() {
    let one = sha256(&[&[2], &[0; 32], &7u64.to_be_bytes()]);
    let two = sha256(&[&[2], &one, &300u64.to_be_bytes()]);
    assert_eq!(*list(&[]).hash().as_bytes(), [0; 32]);
    assert_eq!(*list(&[7]).hash().as_bytes(), one);
    assert_eq!(*list(&[7, 300]).hash().as_bytes(), two);
    assert_eq!((list(&[7, 300]).len(), list(&[7, 300]).last()), (2, Some(300)));
    let (whole, noted) = (list(&[0, 5, 9]), list(&[0, 5]));
    let mut resumed = ListChain::resume(noted.len(), 5, noted.hash());
    resumed.push(9).unwrap();
    assert_eq!(resumed, whole);
}

#[test]
fn a_list_ascends() {
    assert_eq!(ListChain::of(&[3, 3]), Err(NotAscending { last: 3, index: 3 }));
    assert_eq!(ListChain::of(&[0, 0]), Err(NotAscending { last: 0, index: 0 }));
    assert_eq!(ListChain::of(&[1, 4, 2]), Err(NotAscending { last: 4, index: 2 }));
}

/// ```text
///        root
///       /    \
///     x        1100… (c)
///   /   \
/// zero   y
///       / \
///  0100…   0110…
///  (a)     (b)
/// ```
#[test]
fn a_map_of_three_keys_has_the_published_shape() {
    let (a, b, c) = (key(0b0100_0000), key(0b0110_0000), key(0b1100_0000));
    let (one, two, three) = (list(&[0]), list(&[1, 2]), list(&[3]));
    let leaf_hash =
        |key: &MapKey, list: &ListChain| sha256(&[&[0], key.as_bytes(), list.hash().as_bytes()]);
    let y = sha256(&[&[1], &leaf_hash(&a, &one), &leaf_hash(&b, &two)]);
    let x = sha256(&[&[1], &[0; 32], &y]);
    let expected = MapHash::from_bytes(sha256(&[&[1], &x, &leaf_hash(&c, &three)]));
    let leaves = [(a, one.hash()), (b, two.hash()), (c, three.hash())];
    assert_eq!(root_of(leaves), Ok(expected));

    let of_a = MapProof {
        siblings: [leaf_hash(&c, &three), [0; 32], leaf_hash(&b, &two)]
            .map(MapHash::from_bytes)
            .to_vec(),
        leaf: Some(leaf(&a, &one)),
    };
    assert_eq!(of_a.verify(&expected, &a, &one), Ok(()));
    // Beside a on the same path, and under the empty half of x.
    assert_eq!(of_a.verify(&expected, &key(0b0101_0000), &list(&[])), Ok(()));
    let nothing = MapProof {
        siblings: [leaf_hash(&c, &three), y].map(MapHash::from_bytes).to_vec(),
        leaf: None,
    };
    assert_eq!(nothing.verify(&expected, &key(0b0011_1111), &list(&[])), Ok(()));
    assert_eq!(nothing.verify(&expected, &a, &list(&[])), Err(MapProofError::OtherRoot));
}

#[test]
fn the_smallest_maps() {
    assert_eq!(root_of([]), Ok(MapHash::EMPTY));
    let nothing = MapProof { siblings: vec![], leaf: None };
    assert_eq!(nothing.verify(&MapHash::EMPTY, &key(9), &list(&[])), Ok(()));
    assert_eq!(nothing.verify(&MapHash::EMPTY, &key(9), &list(&[1])), Err(MapProofError::Absent));

    let (one, of_one) = (key(1), list(&[4]));
    let root = root_of([(one, of_one.hash())]).unwrap();
    assert_eq!(root, MapHash::leaf(&one, &of_one.hash()));
    let proof = MapProof { siblings: vec![], leaf: Some(leaf(&one, &of_one)) };
    assert_eq!(proof.verify(&root, &one, &of_one), Ok(()));
    assert_eq!(proof.verify(&root, &key(2), &list(&[])), Ok(()));
    for wrong in [list(&[]), list(&[5]), list(&[3, 4])] {
        assert_eq!(proof.verify(&root, &one, &wrong), Err(MapProofError::OtherList));
    }
    assert_eq!(proof.verify(&root, &key(2), &of_one), Err(MapProofError::Absent));
}

/// Even where the hashes lead to the root: such a root is not of a map that anybody should write.
#[test]
fn paths_that_no_map_has_are_refused() {
    let (one, of_one) = (key(0), list(&[4]));
    let alone = Some(leaf(&one, &of_one));
    let pushed_down = MapHash::interior(&MapHash::leaf(&one, &of_one.hash()), &MapHash::EMPTY);
    let detour = MapProof { siblings: vec![MapHash::EMPTY], leaf: alone };
    assert_eq!(detour.verify(&pushed_down, &one, &of_one), Err(MapProofError::Detour));
    let hollow = MapHash::interior(&MapHash::EMPTY, &MapHash::EMPTY);
    let nothing = MapProof { siblings: vec![MapHash::EMPTY], leaf: None };
    assert_eq!(nothing.verify(&hollow, &one, &list(&[])), Err(MapProofError::Detour));
    let astray = MapProof { siblings: vec![MapHash::leaf(&one, &of_one.hash())], leaf: alone };
    assert_eq!(astray.verify(&pushed_down, &key(0x80), &list(&[])), Err(MapProofError::Elsewhere));
    let deep = MapProof { siblings: vec![pushed_down; 257], leaf: None };
    assert_eq!(deep.verify(&hollow, &one, &list(&[])), Err(MapProofError::TooDeep(257)));
}

#[test]
fn the_deepest_path_is_that_of_two_keys_that_differ_in_the_last_bit() {
    let left = MapKey::from_bytes([0xff; 32]);
    let mut bytes = [0xff; 32];
    bytes[31] = 0xfe;
    let (left, right) = (MapKey::from_bytes(bytes), left);
    let of_both = list(&[8]);
    let root = root_of([(left, of_both.hash()), (right, of_both.hash())]).unwrap();
    let mut siblings = vec![MapHash::EMPTY; 255];
    siblings.push(MapHash::leaf(&left, &of_both.hash()));
    let proof = MapProof { siblings, leaf: Some(leaf(&right, &of_both)) };
    assert_eq!(proof.verify(&root, &right, &of_both), Ok(()));
}

#[test]
fn an_auditor_counts_for_itself() {
    let mut contents = MapContents::default();
    let [path, nar, signer] = MapKey::all_of(&entry());
    contents.add(&entry()).unwrap();
    let mut other = entry();
    other.path_key = PathKey::from_bytes([9; 32]);
    contents.add(&other).unwrap();
    assert_eq!(contents.size(), 2);
    assert_eq!(contents.list(&path), list(&[0]));
    assert_eq!(contents.list(&nar), list(&[0, 1]));
    assert_eq!(contents.list(&MapKey::of_path(&other.path_key)), list(&[1]));
    let mut leaves = [path, nar, signer, MapKey::of_path(&other.path_key)]
        .map(|key| (key, contents.list(&key).hash()));
    leaves.sort_unstable();
    assert_eq!(root_of(leaves), Ok(contents.root()));
    leaves.swap(1, 2);
    assert_eq!(root_of(leaves), Err(UnsortedKeys(leaves[2].0)));
}

#[test]
fn a_leaf_of_the_index_log_has_the_published_layout() {
    let leaf = IndexLeaf {
        size: 0x0102,
        attestations: TreeHash::from_bytes([7; 32]),
        map: MapHash::from_bytes([8; 32]),
    };
    let bytes = leaf.to_bytes();
    assert_eq!(&bytes[..16], b"NPX1\0\0\0\0\0\0\0\0\0\0\x01\x02");
    assert_eq!((&bytes[16..48], &bytes[48..]), (&[7; 32][..], &[8; 32][..]));
    assert_eq!(IndexLeaf::parse(&bytes), Ok(leaf));
    assert_eq!(IndexLeaf::parse(&bytes[..79]), Err(IndexLeafError::Length(79)));
    for at in 0..8 {
        let mut bad = bytes;
        bad[at] ^= 1;
        assert!(IndexLeaf::parse(&bad).is_err(), "byte {at}");
    }
}

#[test]
fn a_proof_travels_as_json() {
    let zeros = "0".repeat(64);
    let nothing = MapProof { siblings: vec![MapHash::EMPTY], leaf: None };
    let json = format!(r#"{{"siblings":["{zeros}"]}}"#);
    assert_eq!(serde_json::to_string(&nothing).unwrap(), json);
    assert_eq!(serde_json::from_str::<MapProof>(&json).unwrap(), nothing);

    let one = MapProof { siblings: vec![], leaf: Some(leaf(&key(0x1f), &list(&[]))) };
    let json =
        format!(r#"{{"siblings":[],"leaf":{{"key":"1f{}","list":"{zeros}"}}}}"#, &zeros[2..]);
    assert_eq!(serde_json::to_string(&one).unwrap(), json);
    assert_eq!(serde_json::from_str::<MapProof>(&json).unwrap(), one);
    assert!(serde_json::from_str::<MapProof>(&json.replace("1f", "1F")).is_err());
}
