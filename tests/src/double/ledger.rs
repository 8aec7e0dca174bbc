//! A ledger in memory, whose operator has its key.

mod answer;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use schema::api::{EvidenceLine, EvidenceRequest, LogSizes};
use schema::attestation::{Entry, Signed};
use schema::claim::Claim;
use schema::content_address::ContentAddress;
use schema::evidence::LogKeys;
use schema::hash::{ClaimId, KeyId, TreeHash};
use schema::key::{KeyName, PublicKey, SecretKey};
use schema::key_event::{KeyEntry, KeyEvent};
use schema::store_path::StorePath;
use schema::tlog::cosignature::Cosigner;
use schema::tlog::merkle::EMPTY_ROOT;
use schema::tlog::proof::inclusion;
use schema::verifiable_map::IndexLeaf;

use super::map::Map;
use crate::nar::key;
use answer::Leaves;

/// When the ledger begins, POSIX seconds. Each entry comes a second after the one before it.
const EPOCH: u64 = 1_800_000_000;

/// The three logs of a pool and everything they are about. It takes whatever it is told to; a clone
/// can grow into another history.
#[derive(Clone)]
pub struct Ledger {
    origin: String,
    pool: Arc<SecretKey>,
    keys: Vec<Vec<u8>>,
    words: Vec<(Arc<Claim>, Entry)>,
    leaves: Vec<IndexLeaf>,
    names: HashMap<KeyId, KeyName>,
    addresses: HashMap<ClaimId, ContentAddress>,
    unlisted: BTreeSet<u64>,
    witnesses: Vec<(Cosigner, u64)>,
    now: u64,
}

impl Ledger {
    /// An empty ledger of a pool whose key comes from `seed`.
    ///
    /// # Panics
    /// When no pool can be called `origin`.
    #[must_use]
    pub fn new(origin: &str, seed: u8) -> Self {
        Self {
            origin: origin.to_owned(),
            pool: Arc::new(key("pool-1", seed)),
            keys: Vec::new(),
            words: Vec::new(),
            leaves: Vec::new(),
            names: HashMap::new(),
            addresses: HashMap::new(),
            unlisted: BTreeSet::new(),
            witnesses: Vec::new(),
            now: EPOCH,
        }
    }

    /// By what its logs are verified.
    ///
    /// # Panics
    /// Never: the origin was tried before.
    #[must_use]
    pub fn logs(&self) -> LogKeys {
        LogKeys::new(&self.origin, self.pool.public()).expect("an origin")
    }

    /// The pool's own key.
    #[must_use]
    pub fn pool(&self) -> &SecretKey {
        &self.pool
    }

    /// How long the logs are.
    #[must_use]
    pub fn sizes(&self) -> LogSizes {
        LogSizes {
            keys: self.keys.len() as u64,
            attestations: self.leaves.last().map_or(0, |leaf| leaf.size),
            index: self.leaves.len() as u64,
        }
    }

    /// Has every checkpoint cosigned by this witness, who says that it was at `time`.
    pub fn witnessed_by(&mut self, witness: Cosigner, time: u64) {
        self.witnesses.push((witness, time));
    }

    /// Has no checkpoint cosigned by anybody.
    pub fn forget_witnesses(&mut self) {
        self.witnesses.clear();
    }

    /// Tells what a key is called, whoever has it.
    pub fn names(&mut self, key: &PublicKey) {
        self.names.insert(key.id(), key.name().clone());
    }

    /// Makes a key a signer.
    pub fn enrol(&mut self, key: &PublicKey) {
        self.names.insert(key.id(), key.name().clone());
        let pool = Arc::clone(&self.pool);
        self.happens(KeyEvent::Enrol { key: key.clone() }, &[&pool]);
    }

    /// Logs an event, whether or not it may happen.
    ///
    /// # Panics
    /// When it has too few or too many signatures.
    pub fn happens(&mut self, event: KeyEvent, signers: &[&SecretKey]) {
        if let KeyEvent::Rotate { key, .. } | KeyEvent::Delegate { key, .. } = &event {
            self.names.insert(key.id(), key.name().clone());
        }
        let signed = event.sign(&format!("{}/keys", self.origin), signers).expect("it is signed");
        let attestations = self.words.len() as u64;
        let entry = KeyEntry { logged_at: self.tick(), attestations, signed };
        self.keys.push(entry.to_json());
    }

    /// Logs bytes as if they were a key event.
    pub fn happens_as(&mut self, bytes: &[u8]) {
        self.keys.push(bytes.to_vec());
    }

    /// The entries of the keys log.
    #[must_use]
    pub fn key_entries(&self) -> &[Vec<u8>] {
        &self.keys
    }

    /// Logs what `signer` says.
    ///
    /// # Panics
    /// Never: what is signed here verifies.
    pub fn attest(&mut self, signer: &SecretKey, claim: &Claim) -> u64 {
        let signature = signer.sign(claim.signed_bytes().as_bytes());
        let verified = Signed::new(claim.clone(), signature).verify(&signer.public());
        let entry = verified.expect("it is signed").entry(self.tick());
        self.takes(claim, entry)
    }

    /// Logs any entry, and says that it is about this claim. Answers with its index.
    pub fn takes(&mut self, claim: &Claim, entry: Entry) -> u64 {
        self.words.push((Arc::new(claim.clone()), entry));
        self.words.len() as u64 - 1
    }

    /// Says beside a claim what its path follows from.
    pub fn addresses(&mut self, claim: &Claim, address: ContentAddress) {
        self.addresses.insert(claim.id(), address);
    }

    /// Has no later map list this entry.
    pub fn unlist(&mut self, index: u64) {
        self.unlisted.insert(index);
    }

    /// Logs the map of everything so far.
    pub fn index(&mut self) {
        let size = self.words.len() as u64;
        self.names_map(self.leaf(size));
    }

    /// The leaf of the index log for the first `size` attestations.
    #[must_use]
    pub fn leaf(&self, size: u64) -> IndexLeaf {
        let attestations =
            if size == 0 { EMPTY_ROOT } else { Leaves::of(self.entries()).root(size) };
        IndexLeaf { size, attestations, map: self.map(size).root() }
    }

    /// That a leaf is in the index log as it is now.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn leaf_proof(&self, number: u64) -> Vec<TreeHash> {
        let proof = inclusion(number, self.leaves.len() as u64, &Leaves::of_index(&self.leaves));
        proof.expect("it is there").hashes().to_vec()
    }

    /// Logs any leaf.
    pub fn names_map(&mut self, leaf: IndexLeaf) {
        self.leaves.push(leaf);
    }

    /// Rewrites a leaf of the index log.
    pub fn remap(&mut self, number: usize, leaf: IndexLeaf) {
        self.leaves[number] = leaf;
    }

    /// All that is asked for, as it is.
    #[must_use]
    pub fn answer(&self, request: &EvidenceRequest) -> Vec<EvidenceLine> {
        self.answer_as_of(request, self.sizes())
    }

    /// All that is asked for, as it was when the logs had these sizes.
    #[must_use]
    pub fn answer_as_of(&self, request: &EvidenceRequest, sizes: LogSizes) -> Vec<EvidenceLine> {
        answer::Answer::new(self, sizes).lines(request)
    }

    /// Whether anything was said of a path.
    #[must_use]
    pub fn knows(&self, path: &StorePath) -> bool {
        self.words.iter().any(|(claim, _)| claim.path() == path)
    }

    /// The attestations.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.words.iter().map(|(_, entry)| entry)
    }

    /// What the attestations are said to be about.
    pub fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.words.iter().map(|(claim, _)| &**claim)
    }

    /// The leaves of the index log.
    #[must_use]
    pub fn leaves(&self) -> &[IndexLeaf] {
        &self.leaves
    }

    fn map(&self, size: u64) -> Map {
        let entries = (0..size).zip(self.entries());
        Map::of(entries.filter(|(index, _)| !self.unlisted.contains(index)))
    }

    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }
}
