//! What the order of the entries tells: times and repeats, and what the index log says of them.
//!
//! It goes through the whole copy at each visit, and answers for what is new. An entry takes about
//! 50 bytes of memory here to notice repeats, and those of its keys in the [map](super::map).

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use anyhow::Result;
use schema::attestation::Entry;
use schema::signers::Signers;
use schema::tlog::edge::Edge;
use schema::tlog::merkle::leaf_hash;
use schema::verifiable_map::IndexLeaf;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use super::map::Map;
use super::report::Findings;
use super::sync::Synced;
use super::visit::Sizes;
use super::{ATTESTATIONS, INDEX};
use crate::ledger_reader::{Code, Finding};

/// What was found on the way.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) findings: Findings,
    /// Entries that do not count, as their keys were compromised.
    pub(super) void: u64,
    /// Attestations that the newest leaf of the index log is about.
    pub(super) covered: u64,
}

/// Starts on a thread of its own. What was `checked` before is not told again.
pub(super) fn start(
    attestations: &Synced,
    index: &Synced,
    checked: Sizes,
    signers: Signers,
) -> Result<JoinHandle<Result<Replayed>>> {
    let (entries, leaves) = (attestations.copy.entries()?, index.copy.entries()?);
    let whole = attestations.whole;
    Ok(tokio::task::spawn_blocking(move || replay(entries, whole, leaves, checked, &signers)))
}

/// Goes through the entries of both logs, from the first on. `whole` tells whether there are no
/// more attestations than those.
pub(super) fn replay(
    entries: impl Iterator<Item = Result<Vec<u8>>>,
    whole: bool,
    leaves: impl Iterator<Item = Result<Vec<u8>>>,
    checked: Sizes,
    signers: &Signers,
) -> Result<Replayed> {
    let mut replay = Replay::new(checked);
    let leaves = replay.read_leaves(leaves)?;
    let mut leaves = leaves.into_iter().peekable();
    for (index, bytes) in (0..).zip(entries) {
        while let Some((number, leaf)) = leaves.next_if(|(_, leaf)| leaf.size == index) {
            replay.compare(number, &leaf);
        }
        replay.take(index, &bytes?, signers);
    }
    let size = replay.edge.size();
    for (number, leaf) in leaves {
        if leaf.size == size {
            replay.compare(number, &leaf);
        } else if whole {
            let why = format!("it is about {} attestations, but there are {size}", leaf.size);
            replay.found(Finding::new(INDEX, Code::IndexRoot, why).at(number));
        }
    }
    Ok(replay.done)
}

struct Replay {
    checked: Sizes,
    edge: Edge,
    /// None once an entry was none.
    map: Option<Map>,
    /// What was attested by whom, in 16 bytes of a hash, and where that stands.
    attested: HashMap<[u8; 16], u64>,
    logged_at: u64,
    done: Replayed,
}

impl Replay {
    fn new(checked: Sizes) -> Self {
        Self {
            checked,
            edge: Edge::new(),
            map: Some(Map::default()),
            attested: HashMap::new(),
            logged_at: 0,
            done: Replayed::default(),
        }
    }

    /// The leaves that nobody has checked yet; their sizes ascend.
    fn read_leaves(
        &mut self,
        leaves: impl Iterator<Item = Result<Vec<u8>>>,
    ) -> Result<Vec<(u64, IndexLeaf)>> {
        let mut unchecked = Vec::new();
        for (number, bytes) in (0..).zip(leaves) {
            let (code, why) = match IndexLeaf::parse(&bytes?) {
                Ok(leaf) if number == 0 || leaf.size > self.done.covered => {
                    self.done.covered = leaf.size;
                    if number >= self.checked.index {
                        unchecked.push((number, leaf));
                    }
                    continue;
                }
                Ok(leaf) => {
                    let (last, size) = (self.done.covered, leaf.size);
                    let why = format!("it is about {size} attestations, and the one before {last}");
                    (Code::GoesBack, why)
                }
                Err(why) => (Code::Malformed, why.to_string()),
            };
            self.found(Finding::new(INDEX, code, why).at(number));
        }
        Ok(unchecked)
    }

    fn take(&mut self, index: u64, bytes: &[u8], signers: &Signers) {
        self.edge.push(leaf_hash(bytes));
        let entry = match Entry::parse(bytes) {
            Ok(entry) => entry,
            Err(why) => {
                self.map = None;
                return self
                    .found(Finding::new(ATTESTATIONS, Code::Malformed, why.to_string()).at(index));
            }
        };
        if let Some(map) = &mut self.map {
            map.add(index, &entry).unwrap_or_else(|_| unreachable!("each index comes once"));
        }
        let standing = signers.by_id(&entry.key_id).map(|signer| signer.standing);
        if standing.and_then(schema::signers::Standing::until).is_some_and(|until| until <= index) {
            self.done.void += 1;
        }
        self.check_repeat(index, &entry);
        if entry.logged_at < self.logged_at {
            let why = format!("logged at {}, after {}", entry.logged_at, self.logged_at);
            self.found_new(index, Code::GoesBack, why);
        }
        self.logged_at = self.logged_at.max(entry.logged_at);
    }

    fn check_repeat(&mut self, index: u64, entry: &Entry) {
        let digest = Sha256::new()
            .chain_update(entry.claim.as_bytes())
            .chain_update(entry.key_id.as_bytes())
            .finalize();
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        let first = match self.attested.entry(short) {
            Slot::Vacant(slot) => {
                slot.insert(index);
                return;
            }
            Slot::Occupied(slot) => *slot.get(),
        };
        self.found_new(
            index,
            Code::Duplicate,
            format!("entry {first} once more: the same signer and claim"),
        );
    }

    /// Whether the leaf tells of the log as it is at this point.
    fn compare(&mut self, number: u64, leaf: &IndexLeaf) {
        let about = format!("the first {} attestations", leaf.size);
        if leaf.attestations != self.edge.root() {
            let why = format!("it has another root of {about} than they have");
            self.found(Finding::new(INDEX, Code::IndexRoot, why).at(number));
        }
        if self.map.as_mut().is_some_and(|map| map.root() != leaf.map) {
            let why = format!("its map is not that of {about}");
            self.found(Finding::new(INDEX, Code::MapRoot, why).at(number));
        }
    }

    fn found_new(&mut self, index: u64, code: Code, why: String) {
        if index >= self.checked.attestations {
            self.found(Finding::new(ATTESTATIONS, code, why).at(index));
        }
    }

    fn found(&mut self, finding: Finding) {
        self.done.findings.push(finding);
    }
}
