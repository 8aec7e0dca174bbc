//! Evidence about many paths at once, for those who decide by themselves whom to believe.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AttestationReport, FileReport};
use crate::hash::TreeHash;
use crate::key::PublicKey;
use crate::store_path::{HashPart, StorePath};
use crate::tlog::multi_proof::MultiProof;
use crate::verifiable_map::MapProof;

/// The most paths one request may name.
pub const MAX_EVIDENCE_ASKED: usize = 10_000;
/// The most paths one answer tells of. What it met beyond them, the asker sees from the references, and
/// asks for.
pub const MAX_EVIDENCE_PATHS: usize = 20_000;

/// `POST /api/v1/evidence`: everything that the ledger has about some paths, with the proofs that it is
/// so and that there is no more. The answer is a line of JSON for each [`EvidenceLine`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceRequest {
    /// Paths of which the asker knows no more. At most [`MAX_EVIDENCE_ASKED`] with those in `paths` and
    /// `entries`.
    #[serde(default)]
    pub hash_parts: Vec<HashPart>,
    /// Full paths: that nobody spoke of one is proved, too.
    #[serde(default)]
    pub paths: Vec<StorePath>,
    /// Entries of the attestations log: told is of the paths that they are about. Each counts as one
    /// path asked about.
    #[serde(default)]
    pub entries: Vec<u64>,
    /// Whether the references that anybody claims are followed.
    #[serde(default)]
    pub closure: bool,
    /// How far the asker has seen the logs; zeros for the first time.
    #[serde(default)]
    pub known: LogSizes,
}

/// Sizes of the three logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSizes {
    /// Of the log under `/ledger/keys`.
    pub keys: u64,
    /// Of the log under `/ledger/attestations`.
    pub attestations: u64,
    /// Of the log under `/ledger/index`.
    pub index: u64,
}

/// One line of the answer: first the head, then a line a path, and at last the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceLine {
    /// The state of the ledger that all of the answer is of.
    Head(Box<EvidenceHead>),
    /// What is said of one path.
    Path(EvidencePath),
    /// That nothing is said of one full path.
    Absent(EvidenceAbsent),
    /// Nobody ever spoke of a path with this hash part here.
    Unknown(HashPart),
    /// What shows that all of it is in the ledger. Without it, an answer is not whole.
    End(EvidenceEnd),
}

/// The logs, and that they have grown from what the asker has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceHead {
    /// What the names of the logs begin with.
    pub origin: String,
    /// The pool's own key, which signs the logs.
    pub public_key: PublicKey,
    /// The checkpoint of the keys log: a signed note, as the other two.
    pub keys: String,
    /// The checkpoint of the attestations log: of as many entries as the map covers.
    pub attestations: String,
    /// The checkpoint of the index log.
    pub index: String,
    /// The entries of the keys log that the asker has not seen: all up to its checkpoint.
    pub key_entries: Vec<String>,
    /// That the attestations log has grown from what the asker has seen.
    pub attestations_proof: Vec<TreeHash>,
    /// That the index log has grown from what the asker has seen.
    pub index_proof: Vec<TreeHash>,
    /// The last leaf of the index log, which names the map: 160 hex digits. Absent while that log is
    /// empty, as are the proofs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<String>,
    /// That it is the last of the index log.
    pub leaf_proof: Vec<TreeHash>,
}

/// Everything that was ever claimed of one full store path, up to what the map covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidencePath {
    /// The claims, at least one.
    pub claims: Vec<EvidenceClaim>,
    /// That the map lists these entries under the path, and no others.
    pub proof: MapProof,
}

/// That nobody ever claimed anything of a full store path, as far as the map covers the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceAbsent {
    /// The path.
    pub path: StorePath,
    /// That the map lists nothing under it.
    pub proof: MapProof,
}

/// One claim, and every entry that attests it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceClaim {
    /// The exact text that signers sign.
    pub text: String,
    /// The content address, if the path follows from it; not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The file the pool keeps; absent when it has no such NAR. Not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileReport>,
    /// The entries. The bytes of each follow from the claim and from this.
    pub entries: Vec<AttestationReport>,
}

/// The end of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceEnd {
    /// That every entry spoken of is in the tree of the attestations log's checkpoint: the hashes
    /// beside their paths, from left to right.
    pub proof: MultiProof,
}
