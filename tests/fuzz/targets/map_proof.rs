//! Whatever reads as a leaf of an index log or as a proof about a map is written so again; and a
//! proof that leads to a root shows there one list of a key and no other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::hash::{MapHash, MapKey};
use schema::verifiable_map::{IndexLeaf, ListChain, MapProof};

fuzz_target!(|data: &[u8]| {
    if let Ok(leaf) = IndexLeaf::parse(data) {
        assert_eq!(leaf.to_bytes(), data);
    }
    let Ok(proof) = serde_json::from_slice::<MapProof>(data) else { return };
    let again = serde_json::to_vec(&proof).expect("a proof has a JSON form");
    assert_eq!(serde_json::from_slice::<MapProof>(&again).ok().as_ref(), Some(&proof));
    let one = ListChain::of(&[data.len() as u64]).expect("one index ascends");
    let other = proof.leaf.map_or(MapKey::from_bytes([0; 32]), |leaf| leaf.key);
    for key in [other, MapKey::of(data)] {
        let root = root(&proof, &key);
        let absent = proof.verify(&root, &key, &ListChain::EMPTY).is_ok();
        let present = proof.verify(&root, &key, &one).is_ok();
        assert!(!(absent && present));
        let listed = proof.leaf.filter(|leaf| leaf.key == key);
        assert_eq!(present && listed.is_none(), false);
        assert_eq!(absent && listed.is_some(), false);
    }
});

/// Where the hashes lead along the path to `key`.
fn root(proof: &MapProof, key: &MapKey) -> MapHash {
    let end = proof.leaf.map_or(MapHash::EMPTY, |leaf| MapHash::leaf(&leaf.key, &leaf.list));
    let steps = proof.siblings.iter().take(256).enumerate().rev();
    steps.fold(end, |below, (depth, sibling)| match key.turns_right(depth) {
        true => MapHash::interior(sibling, &below),
        false => MapHash::interior(&below, sibling),
    })
}
