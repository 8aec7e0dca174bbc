//! The verifiable map, against one that is made by the published rules in the plainest way.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;
use schema::attestation::Entry;
use schema::hash::{ClaimId, KeyId, ListHash, MapHash, MapKey, NarHash, PathKey, TreeHash};
use schema::signature::Signature;
use schema::verifiable_map::{
    IndexLeaf, ListChain, MapContents, MapLeaf, MapProof, MapProofError, root_of,
};
use sha2::{Digest, Sha256};

use super::mutation::mutation;

type Lists = BTreeMap<[u8; 32], Vec<u64>>;

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(parts.concat()).into()
}

fn list_hash(list: &[u64]) -> [u8; 32] {
    list.iter().fold([0; 32], |hash, index| sha256(&[&[2], &hash, &index.to_be_bytes()]))
}

/// The keys whose paths begin with these bits.
fn below<'l>(lists: &'l Lists, bits: &[bool]) -> Vec<(&'l [u8; 32], &'l Vec<u64>)> {
    let begins = |key: &[u8; 32]| {
        bits.iter().enumerate().all(|(depth, bit)| (key[depth / 8] << (depth % 8) >= 0x80) == *bit)
    };
    lists.iter().filter(|(key, _)| begins(key)).collect()
}

fn hash_below(lists: &Lists, bits: &[bool]) -> [u8; 32] {
    match below(lists, bits)[..] {
        [] => [0; 32],
        [(key, list)] => sha256(&[&[0], key, &list_hash(list)]),
        _ => {
            let half = |bit| hash_below(lists, &[bits, &[bit]].concat());
            sha256(&[&[1], &half(false), &half(true)])
        }
    }
}

fn root(lists: &Lists) -> MapHash {
    MapHash::from_bytes(hash_below(lists, &[]))
}

fn proof(lists: &Lists, key: &[u8; 32]) -> MapProof {
    let mut bits = Vec::new();
    let mut siblings = Vec::new();
    while below(lists, &bits).len() > 1 {
        let right = key[bits.len() / 8] << (bits.len() % 8) >= 0x80;
        siblings.push(MapHash::from_bytes(hash_below(lists, &[&bits[..], &[!right]].concat())));
        bits.push(right);
    }
    let leaf = below(lists, &bits).first().map(|(key, list)| MapLeaf {
        key: MapKey::from_bytes(**key),
        list: ListHash::from_bytes(list_hash(list)),
    });
    MapProof { siblings, leaf }
}

/// Keys of which many share their first bits, and some all but the last.
fn key() -> impl Strategy<Value = [u8; 32]> {
    let near = (0u8..4, 0usize..32, any::<u8>()).prop_map(|(first, at, byte)| {
        let mut key = [first; 32];
        key[at] ^= byte;
        key
    });
    prop_oneof![any::<[u8; 32]>(), near]
}

fn list() -> impl Strategy<Value = Vec<u64>> {
    let indices = prop_oneof![0u64..50, any::<u64>()];
    prop::collection::btree_set(indices, 1..6).prop_map(|set: BTreeSet<u64>| Vec::from_iter(set))
}

fn lists() -> impl Strategy<Value = Lists> {
    prop::collection::btree_map(key(), list(), 0..24)
}

fn chain(list: &[u64]) -> ListChain {
    ListChain::of(list).expect("the list ascends")
}

/// One of the keys, with what is listed under it; none when there are no keys.
fn chosen(lists: &Lists, at: Index) -> Option<(&[u8; 32], &Vec<u64>)> {
    (!lists.is_empty()).then(|| lists.iter().nth(at.index(lists.len()))).flatten()
}

/// Lists that differ from `list` in one place.
fn other_lists(list: &[u64]) -> Vec<Vec<u64>> {
    let mut others = vec![Vec::new()];
    for at in 0..list.len() {
        let mut shorter = list.to_vec();
        shorter.remove(at);
        others.push(shorter);
        let mut changed = list.to_vec();
        changed[at] ^= 1;
        others.push(changed);
    }
    let last = list.last().copied().unwrap_or_default();
    others.extend(last.checked_add(1).map(|next| [list, &[next]].concat()));
    others.retain(|other| other != list && other.is_sorted_by(|one, next| one < next));
    others
}

proptest! {
    #[test]
    fn the_root_is_that_of_the_published_rules(lists in lists()) {
        let leaves = lists.iter().map(|(key, list)| (MapKey::from_bytes(*key), chain(list).hash()));
        prop_assert_eq!(root_of(leaves), Ok(root(&lists)));
    }

    #[test]
    fn what_is_listed_is_proven_and_nothing_else_is(
        lists in lists(), at in any::<Index>(), other in key(),
    ) {
        let root = root(&lists);
        let Some((key, list)) = chosen(&lists, at) else { return Ok(()) };
        let proof = proof(&lists, key);
        let (key, other) = (MapKey::from_bytes(*key), MapKey::from_bytes(other));
        prop_assert_eq!(proof.verify(&root, &key, &chain(list)), Ok(()));
        for wrong in other_lists(list) {
            prop_assert_eq!(proof.verify(&root, &key, &chain(&wrong)), Err(MapProofError::OtherList));
        }
        prop_assert_eq!(proof.verify(&root, &other, &chain(list)).is_ok(), other == key);
    }

    #[test]
    fn what_is_not_listed_is_proven_to_be_absent(lists in lists(), key in key(), list in list()) {
        prop_assume!(!lists.contains_key(&key));
        let (root, proof) = (root(&lists), proof(&lists, &key));
        let key = MapKey::from_bytes(key);
        prop_assert_eq!(proof.verify(&root, &key, &ListChain::EMPTY), Ok(()));
        prop_assert_eq!(proof.verify(&root, &key, &chain(&list)), Err(MapProofError::Absent));
    }

    /// Whichever part of a proof is changed, and whether or not the key is there.
    #[test]
    fn a_damaged_proof_shows_nothing(
        lists in lists(), at in any::<Index>(), absent in key(), present in any::<bool>(),
        byte in 0usize..32, bit in 0u32..8, place in any::<Index>(),
    ) {
        let key = chosen(&lists, at).filter(|_| present).map_or(absent, |(key, _)| *key);
        let list = lists.get(&key).map_or(ListChain::EMPTY, |list| chain(list));
        let (root, whole) = (root(&lists), proof(&lists, &key));
        let key = MapKey::from_bytes(key);
        let flipped = |bytes: &[u8; 32]| {
            let mut bytes = *bytes;
            bytes[byte] ^= 1 << bit;
            bytes
        };
        let mut damaged = Vec::new();
        if !whole.siblings.is_empty() {
            let at = place.index(whole.siblings.len());
            let mut other = whole.clone();
            other.siblings[at] = MapHash::from_bytes(flipped(whole.siblings[at].as_bytes()));
            damaged.push(other);
            let mut other = whole.clone();
            other.siblings.remove(at);
            damaged.push(other);
        }
        let mut other = whole.clone();
        other.siblings.insert(place.index(whole.siblings.len() + 1), MapHash::EMPTY);
        damaged.push(other);
        if let Some(leaf) = whole.leaf {
            let key = MapLeaf { key: MapKey::from_bytes(flipped(leaf.key.as_bytes())), ..leaf };
            let list = MapLeaf { list: ListHash::from_bytes(flipped(leaf.list.as_bytes())), ..leaf };
            for leaf in [Some(key), Some(list), None] {
                damaged.push(MapProof { leaf, ..whole.clone() });
            }
        }
        prop_assert_eq!(whole.verify(&root, &key, &list), Ok(()));
        for other in damaged {
            prop_assert!(other.verify(&root, &key, &list).is_err(), "{:?}", other);
        }
        let elsewhere = MapHash::from_bytes(flipped(root.as_bytes()));
        prop_assert_eq!(whole.verify(&elsewhere, &key, &list), Err(MapProofError::OtherRoot));
    }

    /// Nobody can make a root, however odd, under which two lists are proven of one key.
    #[test]
    fn a_made_up_root_still_says_one_thing(
        siblings in prop::collection::vec(any::<[u8; 32]>(), 0..5), key in key(), list in list(),
        cut in any::<Index>(),
    ) {
        let key = MapKey::from_bytes(key);
        let list = chain(&list);
        let siblings: Vec<MapHash> = siblings.into_iter().map(MapHash::from_bytes).collect();
        let mut hashes = vec![MapHash::leaf(&key, &list.hash())];
        for (depth, sibling) in siblings.iter().enumerate().rev() {
            let below = hashes[0];
            let node = match key.turns_right(depth) {
                true => MapHash::interior(sibling, &below),
                false => MapHash::interior(&below, sibling),
            };
            hashes.insert(0, node);
        }
        let leaf = Some(MapLeaf { key, list: list.hash() });
        let proof = MapProof { siblings: siblings.clone(), leaf };
        prop_assert_eq!(proof.verify(&hashes[0], &key, &list), Ok(()));
        // An interior node passed off as a leaf, or as nothing.
        let cut = cut.index(siblings.len() + 1);
        let leaves = [None, Some(MapLeaf {
            key: MapKey::from_bytes(*hashes[cut].as_bytes()),
            list: ListHash::from_bytes(*siblings.get(cut).unwrap_or(&MapHash::EMPTY).as_bytes()),
        })];
        for leaf in leaves {
            let other = MapProof { siblings: siblings[..cut].to_vec(), leaf };
            prop_assert!(other.verify(&hashes[0], &key, &ListChain::EMPTY).is_err());
        }
    }

    #[test]
    fn a_proof_in_json_leads_back(lists in lists(), key in key()) {
        let proof = proof(&lists, &key);
        let json = serde_json::to_string(&proof).unwrap();
        prop_assert_eq!(serde_json::from_str::<MapProof>(&json).unwrap(), proof);
    }

    #[test]
    fn an_auditor_finds_every_entry_under_its_three_keys(
        named in prop::collection::vec((0u8..6, 0u8..6, 0u8..3), 0..40),
    ) {
        let mut contents = MapContents::default();
        let mut lists = Lists::new();
        for (index, (path, nar, signer)) in (0..).zip(named) {
            let entry = Entry {
                dialect: schema::claim::Dialect::Nix,
                logged_at: index,
                subject: NarHash::from_bytes([nar; 32]),
                path_key: PathKey::from_bytes([path; 32]),
                claim: ClaimId::from_bytes([0; 32]),
                key_id: KeyId::from_bytes([signer; 32]),
                signature: Signature::from_bytes([0; 64]),
            };
            contents.add(&entry).unwrap();
            for (kind, of) in [("path\0", path), ("nar\0", nar), ("key\0", signer)] {
                lists.entry(sha256(&[kind.as_bytes(), &[of; 32]])).or_default().push(index);
            }
        }
        prop_assert_eq!(contents.root(), root(&lists));
    }

    #[test]
    fn leaves_of_the_index_log_lead_back(
        size in any::<u64>(), roots in any::<[[u8; 32]; 2]>(), mutation in mutation(),
    ) {
        let leaf = IndexLeaf {
            size,
            attestations: TreeHash::from_bytes(roots[0]),
            map: MapHash::from_bytes(roots[1]),
        };
        let bytes = leaf.to_bytes();
        prop_assert_eq!(IndexLeaf::parse(&bytes), Ok(leaf));
        let damaged = mutation.of(&bytes);
        if let Ok(read) = IndexLeaf::parse(&damaged) {
            prop_assert_eq!(&read.to_bytes()[..], &damaged[..]);
            prop_assert_eq!(read == leaf, damaged == bytes);
        }
    }
}
