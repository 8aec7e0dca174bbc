//! Reading an answer line by line.

use std::sync::Arc;

use super::known::{LogKeys, open};
use super::path::ShownPath;
use super::{Caught, Known, Tree, Witnessing};
use crate::api::{EvidenceAbsent, EvidenceEnd, EvidenceHead, EvidencePath, MAX_EVIDENCE_PATHS};
use crate::hash::{MapHash, MapKey, TreeHash, from_hex};
use crate::store_path::StorePath;
use crate::tlog::checkpoint::SignedCheckpoint;
use crate::tlog::merkle::{EMPTY_ROOT, leaf_hash};
use crate::tlog::note::VerifierKey;
use crate::tlog::proof::{ConsistencyProof, InclusionProof};
use crate::verifiable_map::{IndexLeaf, ListChain};

/// An answer whose head is in order, and whose end has not come.
#[derive(Debug)]
pub struct Reading {
    known: Known,
    key_entries: Vec<Vec<u8>>,
    as_of: u64,
    map: MapHash,
    covered: u64,
    shown: Vec<Arc<ShownPath>>,
    absent: Vec<StorePath>,
    leaves: Vec<(u64, TreeHash)>,
}

/// A whole answer that is in order.
#[derive(Debug)]
pub struct Proved {
    /// What is known of the logs from now on.
    pub known: Known,
    /// The entries that the keys log has grown by.
    pub key_entries: Vec<Vec<u8>>,
    /// POSIX seconds: the lists are whole as of then. When the k-th witness last said so of the log
    /// that waited longest; without witnesses, when the answer was asked for.
    pub as_of: u64,
    /// How many attestations the lists cover.
    pub covered: u64,
    /// What is said of each path.
    pub shown: Vec<Arc<ShownPath>>,
    /// Paths of which nothing is said.
    pub absent: Vec<StorePath>,
}

impl Known {
    /// Takes the head of an answer that was asked for at `asked_at`, POSIX seconds.
    ///
    /// # Errors
    /// Whatever shows that this is not the ledger that was seen before, and grown.
    pub fn read(
        &self,
        head: &EvidenceHead,
        witnesses: Witnessing<'_>,
        asked_at: u64,
    ) -> Result<Reading, Caught> {
        self.logs().check(head)?;
        let logs = self.logs().clone();
        let keys = open(&head.keys, logs.keys())?;
        let attestations = open(&head.attestations, logs.attestations())?;
        let index = open(&head.index, logs.index())?;
        let mut as_of = None;
        for (log, checkpoint) in logs_with(&logs, [&keys, &attestations, &index]) {
            as_of = witnessed(log, checkpoint, witnesses)?.into_iter().chain(as_of).min();
        }
        // A witness's clock may be ahead of ours, and whoever decides must see by how much.
        let as_of = as_of.unwrap_or(asked_at);
        check_keys_held(logs.keys(), &self.keys, &keys)?;
        grown(logs.attestations(), &self.attestations, &attestations, &head.attestations_proof)?;
        grown(logs.index(), &self.index, &index, &head.index_proof)?;
        let leaf = index_leaf(head, &index)?;
        check_covered(&leaf, &attestations)?;
        let mut known = self.clone();
        known.add_keys(head.key_entries.iter().map(|entry| entry.as_bytes()))?;
        (known.keys, known.attestations) = (Tree::of(keys), Tree::of(attestations));
        known.index = Tree::of(index);
        known.check_keys()?;
        known.check_dates()?;
        let key_entries = head.key_entries.iter().map(|it| it.clone().into_bytes()).collect();
        let (map, covered) = (leaf.map, leaf.size);
        let (shown, absent, leaves) = Default::default();
        Ok(Reading { known, key_entries, as_of, map, covered, shown, absent, leaves })
    }
}

impl Reading {
    /// What was learnt of who may attest.
    #[must_use]
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// Takes what is shown of one path. Nothing of it is known to be in the ledger yet: it is handed
    /// out only so that its signatures can be checked while the rest is read.
    ///
    /// # Errors
    /// Anything but all that the map lists of it.
    pub fn path(&mut self, shown: &EvidencePath) -> Result<Arc<ShownPath>, Caught> {
        self.check_room()?;
        let path = ShownPath::parse(shown)?;
        path.check_list(shown, &self.map, self.covered)?;
        let leaves = path.entries().map(|(index, entry, _)| (index, leaf_hash(&entry.to_bytes())));
        self.leaves.extend(leaves);
        let path = Arc::new(path);
        self.shown.push(Arc::clone(&path));
        Ok(path)
    }

    /// Takes that nothing is said of a path.
    ///
    /// # Errors
    /// When the map lists something of it.
    pub fn absent(&mut self, absent: &EvidenceAbsent) -> Result<(), Caught> {
        self.check_room()?;
        let path = &absent.path;
        let key = MapKey::of_path(&path.key());
        absent
            .proof
            .verify(&self.map, &key, &ListChain::EMPTY)
            .map_err(|error| Caught::Withheld { path: path.clone(), why: error.to_string() })?;
        self.absent.push(path.clone());
        Ok(())
    }

    fn check_room(&self) -> Result<(), Caught> {
        let room = self.shown.len() + self.absent.len() < MAX_EVIDENCE_PATHS;
        let full = || Caught::Malformed(format!("more than {MAX_EVIDENCE_PATHS} paths"));
        if room { Ok(()) } else { Err(full()) }
    }

    /// Takes the end. Only now is anything known.
    ///
    /// # Errors
    /// An entry that is not in the ledger.
    pub fn end(mut self, end: &EvidenceEnd) -> Result<Proved, Caught> {
        self.leaves.sort_unstable_by_key(|(index, _)| *index);
        let tree = &self.known.attestations;
        end.proof.verify(&self.leaves, tree.size(), &tree.root()).map_err(|_| Caught::NotInLog)?;
        let Self { known, key_entries, as_of, covered, shown, absent, .. } = self;
        Ok(Proved { known, key_entries, as_of, covered, shown, absent })
    }
}

fn logs_with<'l>(
    logs: &'l LogKeys,
    [keys, attestations, index]: [&'l SignedCheckpoint; 3],
) -> [(&'l VerifierKey, &'l SignedCheckpoint); 3] {
    [(logs.keys(), keys), (logs.attestations(), attestations), (logs.index(), index)]
}

/// When the k-th of the witnesses last saw the checkpoint as the log's newest. None when nobody need
/// have.
fn witnessed(
    log: &VerifierKey,
    checkpoint: &SignedCheckpoint,
    witnesses: Witnessing<'_>,
) -> Result<Option<u64>, Caught> {
    if witnesses.k == 0 {
        return Ok(None);
    }
    let not_signed = |why: String| Caught::NotSigned { log: log.name().to_string(), why };
    let found = checkpoint
        .cosignatures(witnesses.members)
        .map_err(|error| not_signed(error.to_string()))?;
    let mut times: Vec<u64> = found.iter().map(|it| it.time).collect();
    times.sort_unstable_by(|one, other| other.cmp(one));
    let quorum =
        || Caught::Quorum { log: log.name().to_string(), have: times.len(), k: witnesses.k };
    times.get(witnesses.k - 1).copied().map(Some).ok_or_else(quorum)
}

fn check_shrunk(log: &VerifierKey, known: &Tree, shown: &SignedCheckpoint) -> Result<(), Caught> {
    if shown.size() >= known.size() {
        return Ok(());
    }
    let log = log.name().to_string();
    Err(Caught::Rollback { log, known: known.size(), shown: shown.size() })
}

/// That the keys log is no shorter, nor another of the same size. If it is longer, its entries show
/// what it has grown from.
fn check_keys_held(
    log: &VerifierKey,
    known: &Tree,
    shown: &SignedCheckpoint,
) -> Result<(), Caught> {
    check_shrunk(log, known, shown)?;
    if known.size() < shown.size() || known.root() == *shown.root() {
        return Ok(());
    }
    let log = log.name().to_string();
    Err(Caught::Fork { log, known: known.size(), shown: shown.size() })
}

/// That a log has grown from what was seen of it.
fn grown(
    log: &VerifierKey,
    known: &Tree,
    shown: &SignedCheckpoint,
    proof: &[TreeHash],
) -> Result<(), Caught> {
    check_shrunk(log, known, shown)?;
    let proof = ConsistencyProof::from_hashes(proof.to_vec());
    let held = proof
        .and_then(|proof| proof.verify(known.size(), shown.size(), &known.root(), shown.root()));
    held.map_err(|_| Caught::Fork {
        log: log.name().to_string(),
        known: known.size(),
        shown: shown.size(),
    })
}

/// The leaf that names the map. It is the index log's last: another would hide what came later.
fn index_leaf(head: &EvidenceHead, index: &SignedCheckpoint) -> Result<IndexLeaf, Caught> {
    let wrong = |why: String| Caught::IndexRoot(why);
    let (leaf, last) = match (&head.leaf, index.size().checked_sub(1)) {
        (Some(leaf), Some(last)) => (leaf, last),
        (None, None) => {
            return Ok(IndexLeaf { size: 0, attestations: EMPTY_ROOT, map: MapHash::EMPTY });
        }
        _ => return Err(wrong("its last leaf is not shown".to_owned())),
    };
    let bytes =
        from_hex(leaf.as_bytes()).ok_or_else(|| wrong("its leaf is not in hex".to_owned()))?;
    let leaf = IndexLeaf::parse(&bytes).map_err(|error| wrong(error.to_string()))?;
    let proof = InclusionProof::from_hashes(head.leaf_proof.clone());
    proof
        .and_then(|it| it.verify(last, index.size(), leaf_hash(&bytes), index.root()))
        .map_err(|error| wrong(format!("its leaf is not the last in it: {error}")))?;
    Ok(leaf)
}

/// That the map covers all of the attestations log that is shown: what it does not cover could be held
/// back for as long as the pool likes, under checkpoints that are always new.
fn check_covered(leaf: &IndexLeaf, attestations: &SignedCheckpoint) -> Result<(), Caught> {
    let (covered, size) = (leaf.size, attestations.size());
    if covered != size {
        let why = format!("its leaf covers {covered} attestations, of the {size} shown");
        return Err(Caught::IndexRoot(why));
    }
    if leaf.attestations != *attestations.root() {
        return Err(Caught::IndexRoot("its leaf is of other attestations".to_owned()));
    }
    Ok(())
}
