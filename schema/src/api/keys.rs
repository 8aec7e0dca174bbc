//! Signers and what happens to their keys.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::hash::KeyId;
use crate::key::{KeyName, PublicKey};
use crate::key_event::KeyEvent;
use crate::name_pattern::NamePattern;
use crate::signature::NamedSignature;
use crate::signers::{self, Standing};

/// A signer whom the pool knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Signer {
    /// The name its signatures are shown under, for ever.
    pub name: KeyName,
    /// The key.
    pub public_key: PublicKey,
    /// The key's identity.
    pub key_id: KeyId,
    /// POSIX seconds.
    pub enrolled_at: u64,
    /// Index in the ledger of the first entry that may be this key's.
    #[serde(default)]
    pub since: u64,
    /// Whether it may attest, and if not, why.
    #[serde(default)]
    pub standing: KeyStanding,
    /// Index in the ledger from which on its entries do not count; absent while the key is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// For a machine's key: the root key that answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegated_by: Option<KeyId>,
    /// For a machine's key: the names of the paths that it may attest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<NamePattern>,
    /// For a machine's key: POSIX seconds until which it may attest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<u64>,
}

impl From<&signers::Signer> for Signer {
    fn from(signer: &signers::Signer) -> Self {
        let delegation = signer.delegation.as_ref();
        Self {
            name: signer.key.name().clone(),
            public_key: signer.key.clone(),
            key_id: signer.key_id,
            enrolled_at: signer.enrolled_at,
            since: signer.since,
            standing: signer.standing.into(),
            until: signer.standing.until(),
            delegated_by: delegation.map(|delegation| delegation.root),
            names: delegation.map(|delegation| delegation.names.clone()),
            not_after: delegation.map(|delegation| delegation.not_after),
        }
    }
}

/// How a key stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyStanding {
    /// It may attest; if it is a machine's, until its time is over.
    #[default]
    Active,
    /// A newer key has its name.
    Rotated,
    /// It was revoked, and what it signed before counts.
    Retired,
    /// It was revoked, and its entries from a cut on are void.
    Compromised,
}

impl From<Standing> for KeyStanding {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Active => Self::Active,
            Standing::Rotated { .. } => Self::Rotated,
            Standing::Retired { .. } => Self::Retired,
            Standing::Compromised { .. } => Self::Compromised,
        }
    }
}

/// `GET /api/v1/signers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Signers {
    /// In the order of their enrolment.
    pub signers: Vec<Signer>,
}

/// `POST /api/v1/signers`: enrol a key, by an admin's token or by proof of possession.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// The key and the name it wants.
    pub public_key: PublicKey,
    /// Needed without an admin's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// A signature that shows possession of a key; see [`crate::enrolment`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// POSIX seconds.
    pub made_at: u64,
    /// Over the key's line and that time.
    pub signature: NamedSignature,
}

/// `POST /api/v1/keys/events`: something happened to a key, as those say who signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyEventRequest {
    /// What happened.
    pub event: KeyEvent,
    /// One, or two for a rotation, over the event as [`KeyEvent::signed_bytes`] spells it.
    pub signatures: Vec<NamedSignature>,
}

/// The answer: where the event stands in the keys log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyEventLogged {
    /// Its index there.
    pub index: u64,
    /// POSIX seconds, asserted by the pool.
    pub logged_at: u64,
    /// Whether this request brought it; otherwise it stood there before.
    pub new: bool,
}
