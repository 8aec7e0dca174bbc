//! Key events: what happens to signers' keys, signed by those who may say so.
//!
//! Each is an entry of the keys log. The log is small and every client reads all of it, so that no
//! revocation can be kept from anybody; [`crate::signers`] replays it.

mod entry;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

use crate::hash::KeyId;
use crate::key::{PublicKey, SecretKey};
use crate::name_pattern::NamePattern;
use crate::signature::NamedSignature;

pub use self::entry::{KeyEntry, MAX_KEY_ENTRY_LEN};

/// The most signatures that an event carries.
pub const MAX_EVENT_SIGNATURES: usize = 2;

/// Why some bytes or parts are no signed event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyEventError {
    /// More bytes than any entry has.
    #[error("an entry of {0} bytes; at most {MAX_KEY_ENTRY_LEN} are allowed")]
    Length(usize),
    /// Not the JSON of an entry.
    #[error("it does not read: {0}")]
    Json(String),
    /// Other bytes than the entry prints to.
    #[error("not the canonical spelling")]
    NonCanonical,
    /// No signature, or more than any event needs.
    #[error("{0} signatures; an event has 1 to {MAX_EVENT_SIGNATURES}")]
    SignatureCount(usize),
    /// The same signature twice.
    #[error("a signature stands there twice")]
    RepeatedSignature,
}

/// What happened to a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyEvent {
    /// A key became a signer: the operator's word, signed by the pool's own key.
    Enrol {
        /// The key and the name it has from now on.
        key: PublicKey,
    },
    /// A name passed on to a new key. The old one adds nothing from here on, and what it signed still
    /// counts. Signed by both.
    Rotate {
        /// The key that is left behind.
        old: KeyId,
        /// Its successor, under the same name.
        key: PublicKey,
    },
    /// A machine's key may attest some paths for a while, in the name of a root key, which signs this.
    Delegate {
        /// The key that answers for the machine. It is not itself a delegate.
        root: KeyId,
        /// The machine's key, under a name of its own.
        key: PublicKey,
        /// The names of the paths that it may attest.
        names: NamePattern,
        /// POSIX seconds; in this second it is still valid.
        not_after: u64,
    },
    /// A key ends, and every key that was delegated by it. Signed by the key itself, by its root if it
    /// is a machine's, or by the pool's own key.
    Revoke {
        /// The key that ends.
        key: KeyId,
        /// Why, hence what becomes of its entries.
        reason: RevokeReason,
    },
}

impl KeyEvent {
    /// The bytes that are signed. No fingerprint of a claim begins like them, and they hold for one
    /// log alone: the keys log called `origin`.
    #[must_use]
    pub fn signed_bytes(&self, origin: &str) -> Vec<u8> {
        let mut out = format!("narpool-key-event/1\n{origin}\n").into_bytes();
        out.extend_from_slice(&self.to_json());
        out
    }

    /// Signs the event for the keys log called `origin`, with every key that must.
    ///
    /// # Errors
    /// No keys, too many, or one twice.
    pub fn sign(self, origin: &str, keys: &[&SecretKey]) -> Result<SignedKeyEvent, KeyEventError> {
        let bytes = self.signed_bytes(origin);
        SignedKeyEvent::new(self, keys.iter().map(|key| key.sign(&bytes)).collect())
    }

    /// The only spelling of the event: JSON without spaces, the fields in the order given here.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_else(|_| unreachable!("texts and numbers always print"))
    }
}

/// Why a key ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RevokeReason {
    /// It is out of use: it adds nothing from here on, and what it signed still counts.
    Retired,
    /// Others may have used it: its entries from a cut on are void, and earlier ones stay.
    Compromised {
        /// Index in the attestations log of the first entry that is void.
        from: u64,
    },
}

/// An event with signatures that nobody has checked yet: [`crate::signers`] knows whose they must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedKeyEvent {
    event: KeyEvent,
    signatures: Vec<NamedSignature>,
}

impl SignedKeyEvent {
    /// Puts signatures to an event, and them in order: that of the bytes of their text.
    ///
    /// # Errors
    /// None, more than [`MAX_EVENT_SIGNATURES`], or one twice.
    pub fn new(
        event: KeyEvent,
        mut signatures: Vec<NamedSignature>,
    ) -> Result<Self, KeyEventError> {
        if signatures.is_empty() || signatures.len() > MAX_EVENT_SIGNATURES {
            return Err(KeyEventError::SignatureCount(signatures.len()));
        }
        signatures.sort_by_cached_key(ToString::to_string);
        if signatures.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(KeyEventError::RepeatedSignature);
        }
        Ok(Self { event, signatures })
    }

    /// What is said to have happened.
    #[must_use]
    pub fn event(&self) -> &KeyEvent {
        &self.event
    }

    /// One or two, sorted.
    #[must_use]
    pub fn signatures(&self) -> &[NamedSignature] {
        &self.signatures
    }
}

#[cfg(test)]
mod tests;
