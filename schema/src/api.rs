//! The JSON that travels between a pool and its clients, under `/api/v1`.
//!
//! Each type is published as a JSON schema beside this file, and in `openapi.json`.

mod attest;
mod divergence;
mod evidence;
mod gc;
mod keys;
mod ledger;
mod mirror;
mod mirrors;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::claim::Dialect;
use crate::compression::Compression;
use crate::hash::{ClaimId, FileHash, KeyId, NarHash};
use crate::key::{KeyName, PublicKey};
use crate::signature::NamedSignature;
use crate::store_path::{BaseName, HashPart, StoreDir, StorePath};

pub use self::attest::{AttestItem, AttestRequest, AttestResponse, Logged, MAX_ATTESTATIONS};
pub use self::divergence::{
    ChallengeAnswer, ChallengeRequest, ChallengeResponse, ChallengedClaim, ChallengedPath,
    ClaimSigners, Divergence, Divergences, MAX_CHALLENGED, MAX_DIVERGENCES, MAX_DIVERGENT_CLAIMS,
};
pub use self::evidence::{
    EvidenceAbsent, EvidenceClaim, EvidenceEnd, EvidenceHead, EvidenceLine, EvidencePath,
    EvidenceRequest, LogSizes, MAX_EVIDENCE_ASKED, MAX_EVIDENCE_PATHS,
};
pub use self::gc::{
    Deletion, DeletionRequest, Deletions, GcFate, GcLine, GcNar, GcRequest, GcSummary,
    MAX_DELETIONS, MAX_PINNED, MAX_REASON_LEN, Pin, PinRequest, Pins, Unpinned,
};
pub use self::keys::{
    EnrolRequest, KeyEventLogged, KeyEventRequest, KeyStanding, Proof, Signer, Signers,
};
pub use self::ledger::{
    ClaimAnswer, ClaimsRequest, ClaimsResponse, LogKeys, Lookup, MAX_CLAIMS, MAX_LOOKUP,
    WitnessReport,
};
pub use self::mirror::{
    ClaimTexts, ClaimsKept, ElsewhereAnswer, ElsewhereRequest, FindRequest, FindResponse,
    LedgerReport, Ledgers, LogEdge, LogFork, LogReport, LogSource, MAX_CLAIM_BYTES,
    MAX_CLAIM_TEXTS, MAX_NARS, MirrorAnswer, MirrorRequest, NarElsewhere, NarFound, WantedNars,
};
pub use self::mirrors::{
    MAX_MIRROR_ANNOUNCEMENT_LEN, MAX_MIRRORS, MirrorAnnouncement, MirrorReport, Mirrors,
};

/// The published description of the API, OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("openapi.json");

/// The most NAR hashes one `missing` request may ask about.
pub const MAX_MISSING: usize = 100_000;

/// `GET /api/v1/info`: what this pool is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Info {
    /// The server's version.
    pub version: String,
    /// The name of this pool in its logs; they are `<origin>/keys`, `<origin>/attestations` and
    /// `<origin>/index`.
    pub origin: String,
    /// By which those are verified.
    pub logs: LogKeys,
    /// The pool's own key. It signs who is a signer here; it never vouches for a build.
    pub public_key: PublicKey,
    /// The store directory that the pool serves.
    pub store_dir: StoreDir,
    /// Attestations in the ledger.
    pub attestations: u64,
    /// Whether anybody may enrol a key by proving possession of it.
    pub open_enrolment: bool,
    /// The largest NAR that is accepted, uncompressed, in bytes.
    pub max_nar_size: u64,
}

/// `POST /api/v1/nars/missing`: which of these does the pool not have?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MissingRequest {
    /// At most [`MAX_MISSING`] of them.
    pub nar_hashes: Vec<NarHash>,
}

/// The answer: those that would have to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MissingResponse {
    /// In the order asked.
    pub missing: Vec<NarHash>,
}

/// `PUT /api/v1/nars/{nar_hash}`: what the pool has after the upload, which may be what another
/// uploader sent first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NarStored {
    /// The NAR.
    pub nar_hash: NarHash,
    /// Its uncompressed size in bytes.
    pub nar_size: u64,
    /// How the pool keeps it.
    pub compression: Compression,
    /// Hash of the file the pool keeps.
    pub file_hash: FileHash,
    /// Size of the file the pool keeps, in bytes.
    pub file_size: u64,
    /// Whether this upload brought it; otherwise the pool had it.
    pub new: bool,
}

/// `POST /api/v1/nars`, a batch as [`crate::nar_batch`] lays it out: what the pool has of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NarsStored {
    /// In the order sent.
    pub stored: Vec<NarStored>,
}

/// `GET /api/v1/paths/{hash_part}`: all that the pool knows of a store path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PathReport {
    /// The hash part asked for.
    pub hash_part: HashPart,
    /// Whether signers claim different things.
    pub disagreement: bool,
    /// Why the pool's default view shows no narinfo; absent when it shows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// Every claim, the oldest first.
    pub claims: Vec<ClaimReport>,
}

/// One claim and who stands behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimReport {
    /// The claim's identity.
    pub claim: ClaimId,
    /// In whose words it is made. The same in others is no disagreement.
    #[serde(default)]
    pub dialect: Dialect,
    /// The path.
    pub store_path: StorePath,
    /// Its NAR.
    pub nar_hash: NarHash,
    /// The size of that NAR, uncompressed, in bytes.
    pub nar_size: u64,
    /// Base names of the paths it refers to.
    pub references: Vec<BaseName>,
    /// The derivation it was built from; nobody signed this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deriver: Option<BaseName>,
    /// The content address, checked against the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The file the pool keeps; absent when it has no such NAR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileReport>,
    /// What a scan of the NAR says of the references; absent without a NAR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<ScanReport>,
    /// Who signed, in the order of the ledger.
    pub attestations: Vec<AttestationReport>,
}

/// The file in which the pool keeps a NAR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileReport {
    /// Relative to the address of any view.
    pub url: String,
    /// Of that file.
    pub compression: Compression,
    /// Of that file.
    pub file_hash: FileHash,
    /// Of that file, in bytes.
    pub file_size: u64,
}

/// References claimed against references found. Either list may be legitimate: text files with
/// context, `unsafeDiscardReferences`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScanReport {
    /// Claimed, but the NAR does not contain their hash parts.
    pub not_found: Vec<BaseName>,
    /// Hash parts of paths the pool knows, contained in the NAR but not claimed.
    pub not_claimed: Vec<HashPart>,
    /// The NAR holds more candidates than are kept, so the lists may be short.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
}

/// One signer's word for a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestationReport {
    /// The name the signer was enrolled with.
    pub signer: KeyName,
    /// The key's identity.
    pub key_id: KeyId,
    /// In the ledger of another pool, which is mirrored here: what the origins of its logs begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Index in the ledger.
    pub index: u64,
    /// POSIX seconds, asserted by that ledger's pool.
    pub logged_at: u64,
    /// The signature over the claim's fingerprint.
    pub signature: NamedSignature,
}

/// `GET /api/v1/nars/{nar_hash}`: a NAR and what is claimed of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NarReport {
    /// The NAR.
    pub nar_hash: NarHash,
    /// Its uncompressed size in bytes; absent when the pool has no such NAR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nar_size: Option<u64>,
    /// The file the pool keeps; absent when it has no such NAR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileReport>,
    /// Store paths that some signer says have this NAR; at most 1000 are listed.
    pub paths: Vec<HashPart>,
}

/// Why a view shows no narinfo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refused {
    /// For programs.
    pub code: RefusedCode,
    /// For people.
    pub detail: String,
}

/// The reasons a view may have to show no narinfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusedCode {
    /// Nobody ever attested this path here.
    NeverSeen,
    /// It is attested, but its NAR was never uploaded.
    NoNar,
    /// It is attested, and its NAR was here: it was collected, because nobody asked for it any more.
    Collected,
    /// The operator took it down.
    Deleted,
    /// Its NAR was found damaged, and waits to be brought again.
    Damaged,
    /// Too few of the view's signers attested it.
    NotEnoughSigners,
    /// Enough of the view's signers attested it, but not the same claim.
    SignersDisagree,
    /// The view names a signer whom nobody enrolled.
    UnknownSigner,
    /// The view's policy says no.
    PolicyDenies,
    /// By the view's policy, too little is known of the path, or of something that it refers to.
    PolicyUndecided,
    /// The pool holds no policy of that name.
    UnknownPolicy,
}

impl RefusedCode {
    /// The code as it is spelled in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverSeen => "never_seen",
            Self::NoNar => "no_nar",
            Self::Collected => "collected",
            Self::Deleted => "deleted",
            Self::Damaged => "damaged",
            Self::NotEnoughSigners => "not_enough_signers",
            Self::SignersDisagree => "signers_disagree",
            Self::UnknownSigner => "unknown_signer",
            Self::PolicyDenies => "policy_denies",
            Self::PolicyUndecided => "policy_undecided",
            Self::UnknownPolicy => "unknown_policy",
        }
    }
}

/// One line of the answer to a batch of narinfos: either `narinfo` or `refused` is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchLine {
    /// The hash part asked for, or met in the closure.
    pub hash_part: HashPart,
    /// The narinfo's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub narinfo: Option<String>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

/// An error, as RFC 9457 lays it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `about:blank`, or an address that says more.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status.
    pub status: u16,
    /// Short, the same for every error of this code.
    pub title: String,
    /// For programs: stable, in snake case.
    pub code: String,
    /// What was wrong, and where.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
