//! Mirroring: what a pool holds of others, and how it is brought.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::compression::Compression;
use crate::hash::{FileHash, NarHash, TreeHash};
use crate::key::PublicKey;

/// The most NARs that one request may ask or tell of.
pub const MAX_NARS: usize = 10_000;
/// The most claims in one request, and the most bytes of them.
pub const MAX_CLAIM_TEXTS: usize = 1000;
/// See [`MAX_CLAIM_TEXTS`].
pub const MAX_CLAIM_BYTES: usize = 8 << 20;

/// `GET /api/v1/ledgers`: the ledgers that a pool holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ledgers {
    /// Its own first, then those it mirrors, in the order in which they came.
    pub ledgers: Vec<LedgerReport>,
    /// NARs that are to come here and have not.
    pub wanted: bool,
}

/// One ledger: three logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LedgerReport {
    /// What the origins of its logs begin with.
    pub origin: String,
    /// The key that signs its logs, and enrolments.
    pub public_key: PublicKey,
    /// Whether this pool writes it.
    pub own: bool,
    /// The keys log, the attestations log and the index log.
    pub logs: Vec<LogReport>,
}

/// One log, and how far it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogReport {
    /// `keys`, `attestations` or `index`.
    pub log: String,
    /// By which it is verified: `name+hash+base64`.
    pub key: String,
    /// Under which its `checkpoint` and tiles are served, from the pool's address on.
    pub address: String,
    /// How many entries are served; absent before any checkpoint is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// How many entries are here.
    pub next: u64,
    /// The size of the newest checkpoint up to which entries may be added.
    pub pending: u64,
    /// Its root.
    pub pending_root: TreeHash,
    /// When word of the log was brought last, POSIX seconds; 0 if never since the pool started.
    pub heard_at: u64,
    /// Who showed what of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<LogSource>,
    /// Evidence that the log has signed two histories: it is not followed any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<LogFork>,
}

/// A pool that showed a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogSource {
    /// Its address.
    pub source: String,
    /// The largest checkpoint that it showed: a signed note.
    pub largest: String,
    /// A smaller one, which it showed after that: a signed note. Until it shows the larger again,
    /// nothing new can be had of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<String>,
}

/// Two checkpoints, signed by one log, of which neither tree begins with the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogFork {
    /// The one that is mirrored: a signed note.
    pub mirrored: String,
    /// The other.
    pub other: String,
    /// The first so many entries are others in the other tree.
    pub size: u64,
    /// Where the sizes alone do not show it: hashes that lead from those entries' root in the other
    /// tree to its root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proof: Vec<String>,
    /// Who showed it.
    pub source: String,
    /// When, POSIX seconds.
    pub met_at: u64,
}

/// `GET /api/v1/ledgers/edges/{origin hash}`: the right edge of all that is here of a mirrored log,
/// which may be more than is served: whoever brings the next entries goes on from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogEdge {
    /// How many entries are here.
    pub size: u64,
    /// The hashes of the tiles that are not full, the lowest level first.
    pub levels: Vec<Vec<TreeHash>>,
}

/// `POST /api/v1/ledgers`: begin to mirror this ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MirrorRequest {
    /// What the origins of its logs begin with.
    pub origin: String,
    /// The key that signs its logs, and enrolments.
    pub public_key: PublicKey,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MirrorAnswer {
    /// Whether it was not mirrored before.
    pub new: bool,
}

/// `POST /api/v1/claims/texts`: what entries of mirrored ledgers are about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimTexts {
    /// The exact bytes that were signed; at most [`MAX_CLAIM_TEXTS`].
    pub texts: Vec<String>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimsKept {
    /// How many were not here before.
    pub new: usize,
}

/// `POST /api/v1/nars/find`: which of these are here, and in which files?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindRequest {
    /// At most [`MAX_NARS`].
    pub nar_hashes: Vec<NarHash>,
}

/// The answer: those that are here, in the order asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindResponse {
    /// Each once.
    pub nars: Vec<NarFound>,
}

/// A NAR and its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NarFound {
    /// The NAR.
    pub nar_hash: NarHash,
    /// Of its file.
    pub compression: Compression,
    /// Of its file.
    pub file_hash: FileHash,
    /// Of its file, in bytes.
    pub file_size: u64,
}

/// `POST /api/v1/nars/elsewhere`: these NARs are not here, but they are somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ElsewhereRequest {
    /// At most [`MAX_NARS`].
    pub nars: Vec<NarElsewhere>,
}

/// A NAR that is elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NarElsewhere {
    /// The NAR.
    pub nar_hash: NarHash,
    /// The address of a pool that has it, or whose ledger speaks of it.
    pub source: String,
    /// Its file there, if that pool has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<NarFound>,
    /// Whether it is to come here.
    pub wanted: bool,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ElsewhereAnswer {
    /// How many of them are not here.
    pub absent: usize,
}

/// `GET /api/v1/nars/wanted`: NARs that are to come here, in the order of their hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WantedNars {
    /// A page of them.
    pub nars: Vec<NarElsewhere>,
    /// Whether there are more, after the last of these.
    pub more: bool,
}
