//! What the pool remembers, and the questions it asks of that.
//!
//! The index is derived: ledger entries, claims and blobs are the truth, and it could be rebuilt
//! from them. Each question is a method of [`Index`] named after it; each change goes through a
//! [`Batch`], which is taken whole or not at all.

mod checks;
mod families;
mod lease;
mod mirror;
mod pins;
mod record;
mod rocks;
mod side_documents;

use std::collections::HashMap;
use std::fmt;

use schema::attestation::{Entry, Verified};
use schema::claim::Claim;
use schema::compression::Compression;
use schema::content_address::ContentAddress;
use schema::hash::{ClaimId, FileHash, KeyId};
use schema::signature::Signature;
use schema::store_path::{BaseName, HashPart, StorePath};

pub use checks::{LostRecord, PassRecord};
pub use lease::{LeaseRecord, Listing, UnlistedRecord, Why};
pub use mirror::{ElsewhereRecord, ForkRecord, LedgerRecord, SourceRecord};
pub use pins::{DeletionRecord, PinRecord};
pub use rocks::{Batch, GrownMap, Index, Listed, MapNow, MapState, Marks, Met, Part, Row};
pub use side_documents::{DebugInfoRecord, RealisationRecord, SignatureRecord, VariantRecord};

/// All that is known of one store path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathRecord {
    /// What was claimed of it, the oldest claim first.
    pub claims: Vec<ClaimRecord>,
}

impl PathRecord {
    /// Indices of the entries of the pool's own ledger by which different things are claimed of one
    /// path: of each entry about it from the second thing on, ascending.
    #[must_use]
    pub fn divergent_entries(&self) -> Vec<u64> {
        let mut diverged = Vec::new();
        let mut seen: HashMap<&StorePath, usize> = HashMap::new();
        for agreeing in by_meaning(&self.claims) {
            let path = agreeing[0].claim.path();
            let meanings = seen.entry(path).or_default();
            *meanings += 1;
            // What is claimed stands in the order in which it came.
            let first = agreeing[0].attestations.iter().find(|word| word.ledger.is_own());
            if let Some(first) = first.filter(|_| *meanings == 2) {
                let of_path = self.claims.iter().filter(|it| it.claim.path() == path);
                let words = of_path.flat_map(|it| &it.attestations).filter(|it| it.ledger.is_own());
                diverged.extend(words.map(|word| word.index).filter(|it| *it >= first.index));
            }
        }
        diverged.sort_unstable();
        diverged
    }

    /// How many different things are claimed of this very path, whatever the words?
    #[must_use]
    pub fn meanings_of(&self, path: &StorePath) -> usize {
        by_meaning(self.claims.iter().filter(|record| record.claim.path() == path)).len()
    }
}

/// Those that say the same, together, in the order in which the first of each came.
pub fn by_meaning<'r>(
    claims: impl IntoIterator<Item = &'r ClaimRecord>,
) -> Vec<Vec<&'r ClaimRecord>> {
    let mut all: Vec<Vec<&ClaimRecord>> = Vec::new();
    let mut places = HashMap::new();
    for record in claims {
        let claim = &record.claim;
        let said = (claim.path(), claim.nar_hash(), claim.nar_size(), claim.references());
        let place = *places.entry(said).or_insert(all.len());
        match all.get_mut(place) {
            Some(agreeing) => agreeing.push(record),
            None => all.push(vec![record]),
        }
    }
    all
}

/// One claim, who stands behind it, and the file of its NAR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRecord {
    /// The claim.
    pub claim: Claim,
    /// Unsigned; the first that a submitter named.
    pub deriver: Option<BaseName>,
    /// Unsigned, but the path follows from it.
    pub content_address: Option<ContentAddress>,
    /// Where the NAR lies, once it does.
    pub file: Option<FileRecord>,
    /// Who signed, in the order of the ledger.
    pub attestations: Vec<AttestationRecord>,
}

impl ClaimRecord {
    /// A claim that nobody stands behind yet.
    #[must_use]
    pub fn new(claim: Claim) -> Self {
        Self { claim, deriver: None, content_address: None, file: None, attestations: Vec::new() }
    }

    /// Whether this signer stands behind it, in the pool's own ledger.
    #[must_use]
    pub fn signed_by(&self, key_id: &KeyId) -> bool {
        let is_its = |word: &AttestationRecord| word.ledger.is_own() && word.key_id == *key_id;
        self.attestations.iter().any(is_its)
    }
}

/// The file that holds a NAR. Its name follows from the NAR's hash and the compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRecord {
    /// Of the file.
    pub compression: Compression,
    /// Of the file.
    pub file_hash: FileHash,
    /// Of the file, in bytes.
    pub file_size: u64,
}

/// One signer's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttestationRecord {
    /// In which ledger.
    pub ledger: LedgerId,
    /// Who.
    pub key_id: KeyId,
    /// Index in that ledger.
    pub index: u64,
    /// POSIX seconds.
    pub logged_at: u64,
    /// Over the claim.
    pub signature: Signature,
}

impl AttestationRecord {
    /// What was said before what: by the time that the ledgers assert, and in one ledger by its order.
    #[must_use]
    pub fn order(&self) -> (u64, LedgerId, u64) {
        (self.logged_at, self.ledger, self.index)
    }

    /// Of the entry with this index.
    #[must_use]
    pub fn of_entry(ledger: LedgerId, index: u64, entry: &Entry) -> Self {
        let Entry { key_id, logged_at, signature, .. } = *entry;
        Self { ledger, key_id, index, logged_at, signature }
    }

    /// The entry of the ledger that attests `claim`, whose record this is.
    #[must_use]
    pub fn entry(&self, claim: &Claim) -> Entry {
        Entry {
            dialect: claim.dialect(),
            logged_at: self.logged_at,
            subject: claim.nar_hash(),
            path_key: claim.path().key(),
            claim: claim.id(),
            key_id: self.key_id,
            signature: self.signature,
        }
    }
}

/// A NAR the pool keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRecord {
    /// Its uncompressed size in bytes.
    pub nar_size: u64,
    /// The file it lies in.
    pub file: FileRecord,
    /// POSIX seconds.
    pub stored_at: u64,
    /// Hash parts of store paths that the NAR seems to hold.
    pub candidates: Candidates,
}

/// Hash parts that a scan of a NAR met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Sorted, each once.
    pub hash_parts: Vec<HashPart>,
    /// There were more than are kept.
    pub truncated: bool,
}

impl Candidates {
    /// Whether the scan met this hash part.
    #[must_use]
    pub fn contains(&self, hash_part: &HashPart) -> bool {
        self.hash_parts.binary_search(hash_part).is_ok()
    }
}

/// A ledger that the pool holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerId(u32);

impl LedgerId {
    /// The pool's own.
    pub const OWN: Self = Self(0);

    /// The number of another's, in the order in which they came: from 1 on.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Whether this pool writes it.
    #[must_use]
    pub const fn is_own(self) -> bool {
        self.0 == 0
    }
}

/// A log of some ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogAt {
    /// Whose.
    pub ledger: LedgerId,
    /// Which of the three.
    pub log: LogId,
}

impl From<LogId> for LogAt {
    fn from(log: LogId) -> Self {
        Self { ledger: LedgerId::OWN, log }
    }
}

impl fmt::Display for LogAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ledger {
            LedgerId::OWN => write!(f, "{}", self.log),
            LedgerId(number) => write!(f, "{} of mirrored ledger {number}", self.log),
        }
    }
}

/// One of the logs of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogId {
    /// What happened to keys.
    Keys,
    /// Every attestation.
    Attestations,
    /// What the ledger holds of each path, NAR and key.
    Index,
}

impl LogId {
    /// Every log.
    pub const ALL: [Self; 3] = [Self::Keys, Self::Attestations, Self::Index];

    /// As in addresses, and at the end of the log's origin.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Attestations => "attestations",
            Self::Index => "index",
        }
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// By what the ledger tells whether it has an attestation already. The kind of narinfo is not
/// part of it: the signed bytes, and so their hash, tell the kinds apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LoggedKey {
    claim: ClaimId,
    key_id: KeyId,
}

impl LoggedKey {
    /// Of an attestation.
    #[must_use]
    pub fn of(attestation: &Verified) -> Self {
        Self { claim: attestation.claim_id(), key_id: attestation.key_id() }
    }

    /// Of the attestation that an entry is of.
    #[must_use]
    pub fn of_entry(entry: &Entry) -> Self {
        Self { claim: entry.claim, key_id: entry.key_id }
    }
}
