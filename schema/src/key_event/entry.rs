//! Entries of the keys log.

use serde::{Deserialize, Serialize};

use super::{KeyEvent, KeyEventError, SignedKeyEvent};
use crate::signature::NamedSignature;

/// The longest entry, in bytes. The longest event, with the longest names, stays well below.
pub const MAX_KEY_ENTRY_LEN: usize = 8 * 1024;

/// One entry of the keys log: a signed event, and when the log took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// POSIX seconds, asserted by the log, never decreasing.
    pub logged_at: u64,
    /// Entries in the attestations log when the event was taken. What stands there from this index on
    /// came after the event.
    pub attestations: u64,
    /// What happened, and who says so.
    pub signed: SignedKeyEvent,
}

impl KeyEntry {
    /// The only spelling of the entry: JSON without spaces, the fields always in the same order.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let written = Written {
            logged_at: self.logged_at,
            attestations: self.attestations,
            event: &self.signed.event,
            signatures: &self.signed.signatures,
        };
        serde_json::to_vec(&written)
            .unwrap_or_else(|_| unreachable!("texts and numbers always print"))
    }

    /// Reads an entry. Its signatures are not checked here.
    ///
    /// # Errors
    /// Anything that [`to_json`](Self::to_json) would not write.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyEventError> {
        if bytes.len() > MAX_KEY_ENTRY_LEN {
            return Err(KeyEventError::Length(bytes.len()));
        }
        let read: Read = serde_json::from_slice(bytes)
            .map_err(|error| KeyEventError::Json(error.to_string()))?;
        let signed = SignedKeyEvent::new(read.event, read.signatures)?;
        let entry = Self { logged_at: read.logged_at, attestations: read.attestations, signed };
        if entry.to_json() == bytes { Ok(entry) } else { Err(KeyEventError::NonCanonical) }
    }
}

#[derive(Serialize)]
struct Written<'e> {
    logged_at: u64,
    attestations: u64,
    event: &'e KeyEvent,
    signatures: &'e [NamedSignature],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    logged_at: u64,
    attestations: u64,
    event: KeyEvent,
    signatures: Vec<NamedSignature>,
}
