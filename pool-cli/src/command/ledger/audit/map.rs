//! The verifiable map, counted from the entries alone, as it was at many sizes of the log.
//!
//! The hashes of subtrees are kept until a key below them changes: a million entries under ten
//! thousand leaves of the index log need not be hashed ten thousand times over.

use schema::attestation::Entry;
use schema::hash::{MapHash, MapKey};
use schema::verifiable_map::{ListChain, NotAscending};

/// The map of the first so many entries. A key takes about 200 bytes, and an entry brings two or
/// three keys at most.
#[derive(Default)]
pub(super) struct Map {
    root: Subtree,
}

impl Map {
    /// Takes in the entry at `index`.
    pub(super) fn add(&mut self, index: u64, entry: &Entry) -> Result<(), NotAscending> {
        MapKey::all_of(entry).iter().try_for_each(|key| self.root.push(0, key, index))
    }

    /// The root of the map.
    pub(super) fn root(&mut self) -> MapHash {
        self.root.hash()
    }
}

/// The keys below one place of the trie.
#[derive(Default)]
enum Subtree {
    #[default]
    Empty,
    One(Box<Listed>),
    Split(Box<Split>),
}

struct Listed {
    key: MapKey,
    list: ListChain,
}

#[derive(Default)]
struct Split {
    halves: [Subtree; 2],
    /// None after a change below.
    hash: Option<MapHash>,
}

impl Subtree {
    fn push(&mut self, depth: usize, key: &MapKey, index: u64) -> Result<(), NotAscending> {
        match self {
            Self::Empty => {
                let list = ListChain::of(&[index])?;
                *self = Self::One(Box::new(Listed { key: *key, list }));
                Ok(())
            }
            Self::One(listed) if listed.key == *key => listed.list.push(index),
            Self::One(listed) => {
                let mut split = Box::<Split>::default();
                let half = usize::from(listed.key.turns_right(depth));
                split.halves[half] = std::mem::take(self);
                *self = Self::Split(split);
                self.push(depth, key, index)
            }
            Self::Split(split) => {
                split.hash = None;
                split.halves[usize::from(key.turns_right(depth))].push(depth + 1, key, index)
            }
        }
    }

    fn hash(&mut self) -> MapHash {
        match self {
            Self::Empty => MapHash::EMPTY,
            Self::One(listed) => MapHash::leaf(&listed.key, &listed.list.hash()),
            Self::Split(split) => {
                let Split { halves: [left, right], hash } = &mut **split;
                *hash.get_or_insert_with(|| MapHash::interior(&left.hash(), &right.hash()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use schema::hash::{ClaimId, KeyId, NarHash, PathKey};
    use schema::signature::Signature;
    use schema::verifiable_map::MapContents;

    use super::*;

    /// Few enough of each that lists grow long, and many enough that the trie is deep.
    fn entry(number: u64) -> Entry {
        let hash = |what: u8, number: u64| {
            *ClaimId::of(&[&[what], &number.to_be_bytes()[..]].concat()).as_bytes()
        };
        Entry {
            dialect: schema::claim::Dialect::Nix,
            logged_at: number,
            subject: NarHash::from_bytes(hash(1, number % 97)),
            path_key: PathKey::from_bytes(hash(2, number / 2)),
            claim: ClaimId::from_bytes(hash(3, number)),
            key_id: KeyId::from_bytes(hash(4, number % 3)),
            signature: Signature::from_bytes([0; 64]),
        }
    }

    #[test]
    fn it_is_the_map_of_all_entries_at_every_size() {
        let (mut map, mut contents) = (Map::default(), MapContents::default());
        assert_eq!(map.root(), contents.root());
        for number in 0..600 {
            map.add(number, &entry(number)).unwrap();
            contents.add(&entry(number)).unwrap();
            assert_eq!(map.root(), contents.root(), "{number}");
        }
        assert!(map.add(599, &entry(599)).is_err(), "an index comes once");
    }
}
