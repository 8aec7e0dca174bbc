//! Vouching: `POST /api/v1/attestations`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::claim::{Claim, ClaimError, Dialect};
use crate::hash::NarHash;
use crate::signature::NamedSignature;
use crate::store_path::{BaseName, StorePath};

/// The most attestations one request may carry.
pub const MAX_ATTESTATIONS: usize = 100_000;

/// `POST /api/v1/attestations`: one signer vouches for many paths. All are taken, or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttestRequest {
    /// At most [`MAX_ATTESTATIONS`] of them.
    pub attestations: Vec<AttestItem>,
}

/// A claim with one signature over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttestItem {
    /// The path.
    pub store_path: StorePath,
    /// Its NAR.
    pub nar_hash: NarHash,
    /// The size of that NAR, uncompressed, in bytes.
    pub nar_size: u64,
    /// Base names of the paths it refers to, itself included where it does.
    pub references: Vec<BaseName>,
    /// The derivation it was built from; not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deriver: Option<BaseName>,
    /// Its content address; not signed, kept only when the path follows from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The text that was signed, where that is not the claim's fingerprint: a narinfo of Guix's up to
    /// its signature. It must say what the fields above do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
    /// The signature over that.
    pub signature: NamedSignature,
}

impl AttestItem {
    /// A claim and a signature over it, with nothing beside it that nobody signs.
    #[must_use]
    pub fn new(claim: &Claim, signature: NamedSignature) -> Self {
        let guix = (claim.dialect() == Dialect::Guix).then(|| claim.signed_bytes().into_owned());
        Self {
            store_path: claim.path().clone(),
            nar_hash: claim.nar_hash(),
            nar_size: claim.nar_size(),
            references: claim.references().to_vec(),
            deriver: None,
            ca: None,
            signed: guix,
            signature,
        }
    }

    /// The claim that was signed.
    ///
    /// # Errors
    /// Fields that make no claim, or a text that says otherwise.
    pub fn claim(&self) -> Result<Claim, ClaimError> {
        let (path, references) = (self.store_path.clone(), self.references.clone());
        let claim = Claim::new(path, self.nar_hash, self.nar_size, references)?;
        let Some(text) = &self.signed else { return Ok(claim) };
        let signed = Claim::parse(text.as_bytes())?;
        if signed.agrees_with(&claim) { Ok(signed) } else { Err(ClaimError::NonCanonical) }
    }
}

/// The answer: where each attestation stands in the ledger, in the order sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestResponse {
    /// One for each that was sent.
    pub logged: Vec<Logged>,
}

/// Where one attestation stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Logged {
    /// Its index in the ledger.
    pub index: u64,
    /// Whether this request brought it; otherwise it stood there before, or the key has said the same
    /// there in so many other words that the latest of those stands for it.
    pub new: bool,
    /// The proof that it stands there, in the format `c2sp.org/tlog-proof@v1`. Absent where it was
    /// not asked for, or while the log's witnesses keep its next checkpoint waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
}
