//! Where signers disagree.
//!
//! Signers are counted as views count them: keys of one name are one signer's, a machine speaks
//! under the name of its root, and what does not count (a key that was compromised by then) is left
//! out, as if it had never been said.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::FileReport;
use crate::hash::{ClaimId, NarHash};
use crate::key::KeyName;
use crate::store_path::{BaseName, HashPart, StorePath};

/// The most rows of the feed that one page goes through.
pub const MAX_DIVERGENCES: usize = 1000;
/// The most claims that are told of one path in the feed.
pub const MAX_DIVERGENT_CLAIMS: usize = 100;
/// The most paths that one request may challenge.
pub const MAX_CHALLENGED: usize = 1000;

/// `GET /api/v1/divergence`: a page of the feed of paths about which signers disagree.
///
/// Each path is there once, in the place of the ledger's entry by which two claims first stood. To
/// follow the feed, ask on from `next`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Divergences {
    /// In the order of the ledger. A page may be empty and not the last: entries that do not count
    /// any more are passed over.
    pub divergences: Vec<Divergence>,
    /// From which index on to ask for the next page, now or later.
    pub next: u64,
    /// Whether there is a next page by now.
    pub more: bool,
}

/// One path about which signers disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Divergence {
    /// Index in the ledger of the entry that made the path diverge.
    pub index: u64,
    /// The hash part of the path.
    pub hash_part: HashPart,
    /// The path.
    pub store_path: StorePath,
    /// How many different things are claimed of it; at least two.
    pub claim_count: u64,
    /// What is claimed, the oldest first; the first 100 of them.
    pub claims: Vec<ClaimSigners>,
}

/// One claim and who stands behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimSigners {
    /// The claim's identity.
    pub claim: ClaimId,
    /// The NAR that it says the path has. Two claims may differ in their references only.
    pub nar_hash: NarHash,
    /// By name, each once.
    pub signers: Vec<KeyName>,
}

/// `POST /api/v1/divergence`: what do signers say of these paths?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChallengeRequest {
    /// At most [`MAX_CHALLENGED`] of them.
    pub hash_parts: Vec<HashPart>,
}

/// The answer, in the order asked. It may end early: ask again for the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChallengeResponse {
    /// At least one of those asked for.
    pub answers: Vec<ChallengeAnswer>,
}

/// What is said of the paths with one hash part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChallengeAnswer {
    /// The hash part asked for.
    pub hash_part: HashPart,
    /// None when no word about it counts; more than one only if signers spell the name differently.
    pub paths: Vec<ChallengedPath>,
}

/// What is said of one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChallengedPath {
    /// The path.
    pub store_path: StorePath,
    /// Every claim that somebody stands behind, the oldest first. More than one is a disagreement.
    pub claims: Vec<ChallengedClaim>,
}

/// One claim, who stands behind it, and where its NAR is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChallengedClaim {
    /// The claim's identity.
    pub claim: ClaimId,
    /// The NAR that it says the path has.
    pub nar_hash: NarHash,
    /// The size of that NAR, uncompressed, in bytes.
    pub nar_size: u64,
    /// Base names of the paths it refers to.
    pub references: Vec<BaseName>,
    /// The file the pool keeps; absent when it has no such NAR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileReport>,
    /// By name, each once.
    pub signers: Vec<KeyName>,
}
