//! What is known of a pool's logs.

use std::sync::Arc;

use super::Caught;
use crate::api::{EvidenceHead, LogSizes};
use crate::hash::TreeHash;
use crate::key::PublicKey;
use crate::key_event::KeyEntry;
use crate::signers::{Applied, Signers};
use crate::tlog::checkpoint::SignedCheckpoint;
use crate::tlog::edge::Edge;
use crate::tlog::merkle::{EMPTY_ROOT, leaf_hash};
use crate::tlog::note::{NoteKeyError, NoteName, SignatureKind, VerifierKey};

/// A pool's logs and by which keys they are verified: all three are signed by the pool's one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKeys {
    origin: Box<str>,
    pool: PublicKey,
    keys: VerifierKey,
    attestations: VerifierKey,
    index: VerifierKey,
}

impl LogKeys {
    /// The logs under `origin` of the pool with this key.
    ///
    /// # Errors
    /// An origin that no log can have, or a key that signs no logs.
    pub fn new(origin: &str, pool: PublicKey) -> Result<Self, NoteKeyError> {
        let key = |log: &str| {
            let name: NoteName = format!("{origin}/{log}").parse()?;
            Ok::<_, NoteKeyError>(VerifierKey::new(
                name,
                SignatureKind::Ed25519,
                pool.point()?.clone(),
            ))
        };
        let (keys, attestations, index) = (key("keys")?, key("attestations")?, key("index")?);
        Ok(Self { origin: origin.into(), keys, attestations, index, pool })
    }

    /// What the names of the logs begin with.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The pool's own key.
    #[must_use]
    pub fn pool(&self) -> &PublicKey {
        &self.pool
    }

    /// The key of the attestations log, as policies name it.
    #[must_use]
    pub fn attestations(&self) -> &VerifierKey {
        &self.attestations
    }

    /// The key of the index log.
    #[must_use]
    pub fn index(&self) -> &VerifierKey {
        &self.index
    }

    /// The key of the keys log.
    #[must_use]
    pub fn keys(&self) -> &VerifierKey {
        &self.keys
    }

    pub(super) fn check(&self, head: &EvidenceHead) -> Result<(), Caught> {
        let called = |origin: &str, key: &PublicKey| format!("{origin} ({key})");
        if *self.origin == *head.origin && self.pool == head.public_key {
            return Ok(());
        }
        let known = called(&self.origin, &self.pool);
        Err(Caught::OtherLog { known, shown: called(&head.origin, &head.public_key) })
    }
}

/// A log's tree, and the checkpoint in which it was signed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree(Option<SignedCheckpoint>);

impl Tree {
    pub(super) fn of(checkpoint: SignedCheckpoint) -> Self {
        Self(Some(checkpoint))
    }

    /// How many entries it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.as_ref().map_or(0, SignedCheckpoint::size)
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> TreeHash {
        self.0.as_ref().map_or(EMPTY_ROOT, |checkpoint| *checkpoint.root())
    }

    /// The file of the checkpoint; none for the empty tree that nobody need sign.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        self.0.as_ref().map(ToString::to_string)
    }
}

/// What was seen of a pool's logs, and must never be taken back.
#[derive(Debug, Clone)]
pub struct Known {
    logs: LogKeys,
    signers: Arc<Signers>,
    pub(super) keys_edge: Edge,
    pub(super) keys: Tree,
    pub(super) attestations: Tree,
    pub(super) index: Tree,
}

impl Known {
    /// Nothing yet.
    #[must_use]
    pub fn new(logs: LogKeys) -> Self {
        let signers = Signers::new(logs.keys.name().as_str(), logs.pool.clone());
        let (keys, attestations, index) = <(Tree, Tree, Tree)>::default();
        let signers = Arc::new(signers);
        Self { logs, signers, keys_edge: Edge::new(), keys, attestations, index }
    }

    /// What was noted down of logs before: the entries of the keys log, and the three checkpoints as
    /// they were, in the order of [`notes`](Self::notes).
    ///
    /// # Errors
    /// What cannot have been seen.
    pub fn resume(
        logs: LogKeys,
        key_entries: &[Vec<u8>],
        notes: &[Option<String>; 3],
    ) -> Result<Self, Caught> {
        let mut known = Self::new(logs);
        known.add_keys(key_entries.iter().map(Vec::as_slice))?;
        let open = |note: &Option<String>, key| match note {
            Some(note) => open(note, key).map(Tree::of),
            None => Ok(Tree::default()),
        };
        known.keys = open(&notes[0], &known.logs.keys)?;
        known.attestations = open(&notes[1], &known.logs.attestations)?;
        known.index = open(&notes[2], &known.logs.index)?;
        known.check_keys()?;
        Ok(known)
    }

    /// The checkpoints: of keys, attestations and index.
    #[must_use]
    pub fn notes(&self) -> [Option<String>; 3] {
        [self.keys.note(), self.attestations.note(), self.index.note()]
    }

    /// Whose logs they are.
    #[must_use]
    pub fn logs(&self) -> &LogKeys {
        &self.logs
    }

    /// Who may attest, and whose entries count.
    #[must_use]
    pub fn signers(&self) -> &Arc<Signers> {
        &self.signers
    }

    /// How far the logs were seen.
    #[must_use]
    pub fn sizes(&self) -> LogSizes {
        let (attestations, index) = (self.attestations.size(), self.index.size());
        LogSizes { keys: self.keys.size(), attestations, index }
    }

    /// The attestations log as it was seen last.
    #[must_use]
    pub fn attestations(&self) -> &Tree {
        &self.attestations
    }

    pub(super) fn add_keys<'e>(
        &mut self,
        entries: impl Iterator<Item = &'e [u8]>,
    ) -> Result<(), Caught> {
        let mut entries = entries.peekable();
        if entries.peek().is_none() {
            return Ok(());
        }
        let signers = Arc::make_mut(&mut self.signers);
        for bytes in entries {
            let wrong = |why: String| Caught::KeyEvent(format!("{}: {why}", signers.events()));
            let entry = KeyEntry::parse(bytes).map_err(|error| wrong(error.to_string()))?;
            match signers.apply(&entry) {
                Ok(Applied::New { .. }) => {}
                Ok(Applied::Already { index, .. }) => {
                    return Err(Caught::KeyEvent(format!("entry {index} stands there twice")));
                }
                Err(error) => return Err(Caught::KeyEvent(error.to_string())),
            }
            self.keys_edge.push(leaf_hash(bytes));
        }
        Ok(())
    }

    /// That no event says that it comes after attestations that are not there: until they are, a key
    /// that was retired would go on counting.
    pub(super) fn check_dates(&self) -> Result<(), Caught> {
        let (dated, size) = (self.signers.attestations(), self.attestations.size());
        if dated <= size {
            return Ok(());
        }
        Err(Caught::KeyEvent(format!(
            "it comes after {dated} attestations, of which {size} are shown"
        )))
    }

    /// That the entries of the keys log are those of its checkpoint.
    pub(super) fn check_keys(&self) -> Result<(), Caught> {
        let (has, signed) = (self.keys_edge.size(), self.keys.size());
        if has != signed {
            return Err(Caught::KeysWithheld(format!("{has} entries, of {signed}")));
        }
        if self.keys_edge.root() != self.keys.root() {
            return Err(Caught::KeysWithheld(format!("other {has} entries")));
        }
        Ok(())
    }
}

pub(super) fn open(note: &str, key: &VerifierKey) -> Result<SignedCheckpoint, Caught> {
    SignedCheckpoint::open(note.as_bytes(), key)
        .map_err(|error| Caught::NotSigned { log: key.name().to_string(), why: error.to_string() })
}
