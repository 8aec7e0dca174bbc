//! The verifiable map over the entries of a ledger, in the plainest way.

use std::collections::BTreeMap;

use schema::attestation::Entry;
use schema::hash::{ListHash, MapHash, MapKey};
use schema::verifiable_map::{ListChain, MapLeaf, MapProof};

/// All keys with what their lists hash to, in order.
pub(super) struct Map(Vec<(MapKey, ListHash)>);

impl Map {
    /// Of these entries with their indices, which ascend.
    pub(super) fn of<'e>(entries: impl Iterator<Item = (u64, &'e Entry)>) -> Self {
        let mut lists: BTreeMap<MapKey, ListChain> = BTreeMap::new();
        for (index, entry) in entries {
            for key in MapKey::all_of(entry) {
                let list = lists.entry(key).or_insert(ListChain::EMPTY);
                list.push(index).expect("the indices ascend");
            }
        }
        Self(lists.into_iter().map(|(key, list)| (key, list.hash())).collect())
    }

    pub(super) fn root(&self) -> MapHash {
        root_below(&self.0, 0)
    }

    /// What the map has of a key, or that it has nothing.
    pub(super) fn proof(&self, key: &MapKey) -> MapProof {
        let (mut below, mut siblings) = (&self.0[..], Vec::new());
        while below.len() > 1 {
            let depth = siblings.len();
            let (left, right) = below.split_at(in_left_half(below, depth));
            let (next, beside) = if key.turns_right(depth) { (right, left) } else { (left, right) };
            siblings.push(root_below(beside, depth + 1));
            below = next;
        }
        let leaf = below.first().map(|(key, list)| MapLeaf { key: *key, list: *list });
        MapProof { siblings, leaf }
    }
}

/// How many of the leaves are in the left half of their subtree.
fn in_left_half(leaves: &[(MapKey, ListHash)], depth: usize) -> usize {
    leaves.partition_point(|(key, _)| !key.turns_right(depth))
}

fn root_below(leaves: &[(MapKey, ListHash)], depth: usize) -> MapHash {
    match leaves {
        [] => MapHash::EMPTY,
        [(key, list)] => MapHash::leaf(key, list),
        _ => {
            let (left, right) = leaves.split_at(in_left_half(leaves, depth));
            MapHash::interior(&root_below(left, depth + 1), &root_below(right, depth + 1))
        }
    }
}
