//! The map as an auditor builds it: from every entry, in memory.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{ListChain, NotAscending};
use crate::attestation::Entry;
use crate::hash::{ListHash, MapHash, MapKey};

/// All keys of a map with what their lists hash to. A key takes about 120 bytes, whatever the
/// length of its list, and an entry brings two or three keys at most: a ledger of a million
/// entries takes a quarter of a gigabyte. For a ledger too large for that, sort (key, index) pairs
/// on disk, and give the lists to [`root_of`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MapContents {
    size: u64,
    lists: BTreeMap<MapKey, ListChain>,
}

impl MapContents {
    /// Takes in the next entry of the ledger.
    ///
    /// # Errors
    /// Only when there are more entries than numbers.
    pub fn add(&mut self, entry: &Entry) -> Result<(), NotAscending> {
        for key in MapKey::all_of(entry) {
            self.lists.entry(key).or_insert(ListChain::EMPTY).push(self.size)?;
        }
        self.size = self.size.saturating_add(1);
        Ok(())
    }

    /// How many entries were taken in.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The list of this key, empty when there is none.
    #[must_use]
    pub fn list(&self, key: &MapKey) -> ListChain {
        self.lists.get(key).copied().unwrap_or(ListChain::EMPTY)
    }

    /// The root of the map.
    #[must_use]
    pub fn root(&self) -> MapHash {
        let mut path = RightmostPath::default();
        for (key, list) in &self.lists {
            path.append(key, &list.hash());
        }
        path.root()
    }
}

/// A key that does not come after the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the key {0} does not come after the one before it")]
pub struct UnsortedKeys(pub MapKey);

/// The root of the map that has these keys, with what their lists hash to. It holds no more than
/// one path of the trie, 10 kB at most.
///
/// # Errors
/// When the keys do not ascend.
pub fn root_of(
    leaves: impl IntoIterator<Item = (MapKey, ListHash)>,
) -> Result<MapHash, UnsortedKeys> {
    let mut path = RightmostPath::default();
    for (key, list) in leaves {
        if path.last.is_some_and(|last| last.key >= key) {
            return Err(UnsortedKeys(key));
        }
        path.append(&key, &list);
    }
    Ok(path.root())
}

/// The trie of the keys so far, but for what no later key can change.
#[derive(Default)]
struct RightmostPath {
    /// Subtrees that are finished and turn left, by their depths, which ascend.
    finished: Vec<(usize, MapHash)>,
    last: Option<Last>,
}

#[derive(Clone, Copy)]
struct Last {
    key: MapKey,
    leaf: MapHash,
    /// Where its leaf stands, if no later key pushes it further down.
    depth: usize,
}

impl RightmostPath {
    /// Adds a key that comes after all before it.
    fn append(&mut self, key: &MapKey, list: &ListHash) {
        let mut depth = 0;
        if let Some(last) = self.last {
            depth = last.key.shared_depth(key) + 1;
            let hash = self.climb(&last, depth);
            self.finished.push((depth, hash));
        }
        self.last = Some(Last { key: *key, leaf: MapHash::leaf(key, list), depth });
    }

    fn root(mut self) -> MapHash {
        self.last.map_or(MapHash::EMPTY, |last| self.climb(&last, 0))
    }

    /// The hash of the subtree at depth `to` of which `last` is the rightmost key. When that is
    /// below the leaf, the leaf has been pushed down there.
    fn climb(&mut self, last: &Last, to: usize) -> MapHash {
        (to..last.depth).rev().fold(last.leaf, |below, depth| {
            if !last.key.turns_right(depth) {
                return MapHash::interior(&below, &MapHash::EMPTY);
            }
            let left = self.finished.pop_if(|(at, _)| *at == depth + 1);
            MapHash::interior(&left.map_or(MapHash::EMPTY, |(_, hash)| hash), &below)
        })
    }
}
