//! What was heard of paths, in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use schema::attestation::Entry;
use schema::claim::Claim;
use schema::evidence::ShownPath;
use schema::statement::Statement;
use schema::store_path::{HashPart, StorePath};

/// Hash parts that are remembered; beyond that all are forgotten, and asked for again.
const MAX_HEARD: usize = 200_000;

/// Paths with one hash part that are remembered; nobody makes a second by accident.
const MAX_NAMESAKES: usize = 64;

/// What one ledger has of one path: all of it.
#[derive(Debug)]
pub(super) struct Heard {
    /// The path.
    pub(super) path: StorePath,
    /// The list was whole as of then, POSIX seconds.
    pub(super) as_of: u64,
    /// When the pool was asked, POSIX seconds.
    pub(super) asked_at: u64,
    /// How many attestations the list covers.
    pub(super) covered: u64,
    /// What was shown; nothing is, of a path that nobody spoke of.
    pub(super) shown: Option<Arc<ShownPath>>,
    /// What that says, by keys that the policy knows and by others.
    pub(super) statements: Vec<Statement>,
}

/// Everything that was heard of one ledger.
#[derive(Debug, Default)]
pub(super) struct Memory {
    paths: HashMap<HashPart, Vec<Arc<Heard>>>,
    /// Hash parts of which the pool knew no path, and when it was asked.
    unknown: HashMap<HashPart, u64>,
}

impl Memory {
    /// Every path with a hash part that was spoken of or asked for.
    pub(super) fn with(&self, hash_part: &HashPart) -> &[Arc<Heard>] {
        self.paths.get(hash_part).map_or(&[], Vec::as_slice)
    }

    /// One path.
    pub(super) fn of(&self, path: &StorePath) -> Option<&Arc<Heard>> {
        self.with(&path.base().hash_part()).iter().find(|heard| heard.path == *path)
    }

    /// These entries of the ledger, and what they attest.
    pub(super) fn attested(&self, entries: &BTreeSet<u64>) -> BTreeMap<u64, (Entry, Arc<Claim>)> {
        let shown = self.paths.values().flatten().filter_map(|heard| heard.shown.as_ref());
        let entry = shown.flat_map(|shown| shown.entries());
        let asked = entry.filter(|(index, ..)| entries.contains(index));
        asked.map(|(index, entry, claim)| (index, (entry.clone(), Arc::clone(claim)))).collect()
    }

    /// When the pool was asked for a hash part of which it knew nothing.
    pub(super) fn unknown(&self, hash_part: &HashPart) -> Option<u64> {
        self.unknown.get(hash_part).copied()
    }

    /// Remembers what was heard, in the place of what was heard before.
    pub(super) fn hear(&mut self, heard: Heard) {
        self.make_room();
        let hash_part = heard.path.base().hash_part();
        self.unknown.remove(&hash_part);
        let paths = self.paths.entry(hash_part).or_default();
        paths.retain(|other| other.path != heard.path);
        paths.truncate(MAX_NAMESAKES - 1);
        paths.push(Arc::new(heard));
    }

    /// Remembers that the pool knew of no path with a hash part.
    pub(super) fn miss(&mut self, hash_part: HashPart, asked_at: u64) {
        self.make_room();
        self.unknown.insert(hash_part, asked_at);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn make_room(&mut self) {
        if self.paths.len() + self.unknown.len() >= MAX_HEARD {
            self.clear();
        }
    }
}
