//! What happens to keys, signed by the pool: an operator's word for who is a signer here.

use schema::key::{KeyName, PublicKey, SecretKey};
use schema::signature::NamedSignature;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What happened to a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyEvent {
    /// A key became a signer.
    Enrol {
        /// POSIX seconds.
        at: u64,
        /// The key and the name it has from now on.
        key: PublicKey,
    },
}

impl KeyEvent {
    /// The only spelling of the event: JSON without spaces, the fields in this order.
    fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_else(|_| unreachable!("texts and numbers always print"))
    }
}

/// An event and the pool's signature over its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedEvent {
    event: KeyEvent,
    signature: NamedSignature,
}

/// Why bytes are no event of this pool.
#[derive(Debug, Error)]
pub enum KeyEventError {
    /// Not the JSON of an event.
    #[error("it does not read: {0}")]
    Json(#[from] serde_json::Error),
    /// Other bytes than the event prints to.
    #[error("not the canonical spelling")]
    NonCanonical,
    /// Not signed by this pool.
    #[error("the signature is not by {0}, which this pool has")]
    Signature(KeyName),
}

impl SignedEvent {
    /// Signs an event with the pool's key.
    #[must_use]
    pub fn sign(event: KeyEvent, pool: &SecretKey) -> Self {
        let signature = pool.sign(&event.to_json());
        Self { event, signature }
    }

    /// Reads an event that `pool` has signed.
    ///
    /// # Errors
    /// Anything that the pool would not have written.
    pub fn parse(bytes: &[u8], pool: &PublicKey) -> Result<KeyEvent, KeyEventError> {
        let signed: Self = serde_json::from_slice(bytes)?;
        if signed.to_json() != bytes {
            return Err(KeyEventError::NonCanonical);
        }
        let named = signed.signature.name() == pool.name();
        if named && pool.verifies(&signed.event.to_json(), signed.signature.signature()) {
            Ok(signed.event)
        } else {
            Err(KeyEventError::Signature(pool.name().clone()))
        }
    }

    /// The only spelling of the signed event.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_else(|_| unreachable!("texts and numbers always print"))
    }
}
