//! What a ledger answers to those who ask for evidence.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use schema::api::{
    AttestationReport, EvidenceAbsent, EvidenceClaim, EvidenceEnd, EvidenceHead, EvidenceLine,
    EvidencePath, EvidenceRequest, LogSizes,
};
use schema::attestation::Entry;
use schema::hash::{MapKey, TreeHash};
use schema::signature::NamedSignature;
use schema::store_path::{HashPart, StorePath};
use schema::tlog::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use schema::tlog::merkle::{Nodes, leaf_hash, node_hash, root};
use schema::tlog::multi_proof::multi_proof;
use schema::tlog::note::NoteSigner;
use schema::tlog::proof::{consistency, inclusion};
use schema::verifiable_map::IndexLeaf;

use super::super::map::Map;
use super::Ledger;

/// A tree with all its leaves at hand.
pub(super) struct Leaves(Vec<TreeHash>);

impl Leaves {
    pub(super) fn of<'e>(entries: impl Iterator<Item = &'e Entry>) -> Self {
        Self(entries.map(|entry| leaf_hash(&entry.to_bytes())).collect())
    }

    pub(super) fn of_index(leaves: &[IndexLeaf]) -> Self {
        Self(leaves.iter().map(|leaf| leaf_hash(&leaf.to_bytes())).collect())
    }

    pub(super) fn root(&self, size: u64) -> TreeHash {
        match root(size, self) {
            Ok(root) => root,
        }
    }

    /// That the tree of `new` entries begins with that of `old`; nothing when it does not.
    fn grown(&self, old: u64, new: u64) -> Vec<TreeHash> {
        consistency(old, new, self).map_or_else(|_| Vec::new(), |proof| proof.hashes().to_vec())
    }
}

impl Nodes for Leaves {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<TreeHash, Infallible> {
        let Some(below) = level.checked_sub(1) else { return Ok(self.0[index as usize]) };
        Ok(node_hash(&self.node(below, 2 * index)?, &self.node(below, 2 * index + 1)?))
    }
}

/// A state of a ledger.
pub(super) struct Answer<'l> {
    ledger: &'l Ledger,
    sizes: LogSizes,
    words: Leaves,
    covered: u64,
    map: Map,
}

impl<'l> Answer<'l> {
    pub(super) fn new(ledger: &'l Ledger, sizes: LogSizes) -> Self {
        let last = ledger.leaves[..sizes.index as usize].last();
        let covered = last.map_or(0, |leaf| leaf.size);
        Self {
            ledger,
            sizes,
            words: Leaves::of(ledger.entries()),
            covered,
            map: ledger.map(covered),
        }
    }

    pub(super) fn lines(&self, request: &EvidenceRequest) -> Vec<EvidenceLine> {
        let mut lines = vec![EvidenceLine::Head(Box::new(self.head(&request.known)))];
        let mut indices = Vec::new();
        let paths =
            self.ledger.words[..self.covered as usize].iter().map(|(claim, _)| claim.path());
        let paths: Vec<&StorePath> = paths.collect();
        let of_part = |part: &HashPart| -> Vec<StorePath> {
            let found = paths.iter().filter(|path| path.base().hash_part() == *part);
            found.map(|path| StorePath::clone(path)).collect()
        };
        let mut waiting: VecDeque<StorePath> =
            request.hash_parts.iter().flat_map(of_part).collect();
        waiting.extend(request.paths.iter().cloned());
        let mut seen = HashSet::new();
        while let Some(path) = waiting.pop_front() {
            if !seen.insert(path.clone()) {
                continue;
            }
            let (line, listed) = self.path(&path);
            indices.extend(listed.iter().copied());
            lines.push(line);
            for index in listed.iter().filter(|_| request.closure) {
                let references = self.ledger.words[*index as usize].0.references().iter().cloned();
                waiting.extend(references.map(|base| StorePath::new(path.dir().clone(), base)));
            }
        }
        for part in request.hash_parts.iter().filter(|part| of_part(part).is_empty()) {
            lines.push(EvidenceLine::Unknown(*part));
        }
        indices.sort_unstable();
        let proof = multi_proof(&indices, self.sizes.attestations, &self.words);
        let proof = proof.expect("the entries are in the ledger");
        lines.push(EvidenceLine::End(EvidenceEnd { proof }));
        lines
    }

    fn head(&self, known: &LogSizes) -> EvidenceHead {
        let Self { ledger, sizes, words, .. } = self;
        let keys = Leaves(ledger.keys.iter().map(|entry| leaf_hash(entry)).collect());
        let leaves = &ledger.leaves[..sizes.index as usize];
        let index = Leaves::of_index(leaves);
        let leaf_proof =
            sizes.index.checked_sub(1).map(|last| inclusion(last, sizes.index, &index));
        let leaf_proof = leaf_proof.map(|proof| proof.expect("it is there").hashes().to_vec());
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = |entry: &Vec<u8>| String::from_utf8_lossy(entry).into_owned();
        let new_keys = ledger.keys[..sizes.keys as usize].iter().skip(known.keys as usize);
        EvidenceHead {
            origin: ledger.origin.clone(),
            public_key: ledger.pool.public(),
            keys: self.checkpoint("keys", sizes.keys, &keys),
            attestations: self.checkpoint("attestations", sizes.attestations, words),
            index: self.checkpoint("index", sizes.index, &index),
            key_entries: new_keys.map(text).collect(),
            attestations_proof: words.grown(known.attestations, sizes.attestations),
            index_proof: index.grown(known.index, sizes.index),
            leaf: leaves.last().map(|leaf| hex(&leaf.to_bytes())),
            leaf_proof: leaf_proof.unwrap_or_default(),
        }
    }

    fn checkpoint(&self, log: &str, size: u64, leaves: &Leaves) -> String {
        let name = format!("{}/{log}", self.ledger.origin).parse().expect("a log's name");
        let signer =
            NoteSigner::new(name, Arc::clone(&self.ledger.pool)).expect("the key is Ed25519");
        let origin = Origin::from(signer.verifier().name());
        let tree = Checkpoint::new(origin, size, leaves.root(size)).expect("a tree");
        let mut signed = SignedCheckpoint::sign(tree, &signer).expect("its own log");
        for (witness, time) in &self.ledger.witnesses {
            let line = witness.cosign(&signed, *time).expect("a time");
            signed.cosign(line, witness.verifier()).expect("its own line");
        }
        signed.to_string()
    }

    /// What is said of a path, and by which entries.
    fn path(&self, path: &StorePath) -> (EvidenceLine, Vec<u64>) {
        let proof = self.map.proof(&MapKey::of_path(&path.key()));
        let words = (0..self.covered).zip(&self.ledger.words);
        let listed: Vec<_> = words
            .filter(|(index, (claim, _))| {
                claim.path() == path && !self.ledger.unlisted.contains(index)
            })
            .collect();
        let indices = listed.iter().map(|(index, _)| *index).collect();
        if listed.is_empty() {
            let absent = EvidenceAbsent { path: path.clone(), proof };
            return (EvidenceLine::Absent(absent), indices);
        }
        let mut claims: BTreeMap<String, EvidenceClaim> = BTreeMap::new();
        for (index, (claim, entry)) in listed {
            let text = claim.signed_bytes().into_owned();
            let ca = self.ledger.addresses.get(&claim.id()).map(ToString::to_string);
            let told = claims.entry(text.clone());
            let told = told.or_insert(EvidenceClaim { text, ca, file: None, entries: Vec::new() });
            told.entries.push(self.report(index, entry));
        }
        let claims = claims.into_values().collect();
        (EvidenceLine::Path(EvidencePath { claims, proof }), indices)
    }

    fn report(&self, index: u64, entry: &Entry) -> AttestationReport {
        let signer = self.ledger.names[&entry.key_id].clone();
        let signature = NamedSignature::new(signer.clone(), entry.signature);
        let (key_id, logged_at) = (entry.key_id, entry.logged_at);
        AttestationReport { signer, key_id, origin: None, index, logged_at, signature }
    }
}
