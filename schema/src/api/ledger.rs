//! The logs and what they are asked.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::hash::{ClaimId, MapKey};
use crate::verifiable_map::MapProof;

/// The most claims one request may ask for.
pub const MAX_CLAIMS: usize = 1000;
/// The most indices in one answer to a lookup.
pub const MAX_LOOKUP: usize = 10_000;

/// The keys by which a pool's logs are verified: `name+hash+base64`, as C2SP's signed-note has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogKeys {
    /// Of the log under `/ledger/keys`.
    pub keys: String,
    /// Of the log under `/ledger/attestations`.
    pub attestations: String,
    /// Of the log under `/ledger/index`.
    pub index: String,
    /// By which the pool cosigns the logs of others, at `/witness/add-checkpoint`.
    pub witness: String,
    /// By which it cosigns those that it mirrors, under `/mirror`. Older pools have none.
    #[serde(default)]
    pub mirror: String,
}

/// `POST /api/v1/claims`: what was signed, by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimsRequest {
    /// At most [`MAX_CLAIMS`] of them.
    pub claims: Vec<ClaimId>,
}

/// The answer, in the order asked. It may end early: ask again for the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimsResponse {
    /// At least one of those asked for.
    pub claims: Vec<ClaimAnswer>,
}

/// What is known of one claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimAnswer {
    /// The claim's identity.
    pub claim: ClaimId,
    /// The exact bytes that signers sign; absent when the pool does not have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Entries of the ledger name the claim, and its bytes were collected.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub collected: bool,
}

/// `GET /ledger/index/lookup/{key}`: the indices of every attestation of a path, a NAR or a key, and
/// the proof that there are no others. `key` is a [`MapKey`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lookup {
    /// What was asked for.
    pub key: MapKey,
    /// How many indices there are in all.
    pub len: u64,
    /// At which of them this answer begins.
    pub from: u64,
    /// Indices in the attestations log, ascending, at most [`MAX_LOOKUP`] in one answer. To verify
    /// the proof takes all of them: ask on with a higher `from`, while `leaf` stays the same.
    pub indices: Vec<u64>,
    /// That the map has this list, or that it has none.
    pub proof: MapProof,
    /// The leaf of the index log with the root of that map: 160 hex digits.
    pub leaf: String,
    /// That this leaf is in the index log, in the format `c2sp.org/tlog-proof@v1`.
    pub receipt: String,
}

/// One witness that the pool asks to cosign its checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WitnessReport {
    /// The name of its key.
    pub name: String,
    /// The size of the newest checkpoint of the attestations log that it cosigned.
    pub cosigned: u64,
    /// Why the last attempt failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}
