//! The public key itself, without a name.

use std::fmt;

use ed25519_dalek::{SigningKey, VerifyingKey};

use super::KeyError;
use crate::signature::Signature;

/// An Ed25519 public key: the canonical encoding of a point, and not of small order.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPoint(VerifyingKey);

impl KeyPoint {
    /// The key with these 32 bytes.
    ///
    /// # Errors
    /// [`KeyError::NotAPoint`] and [`KeyError::SmallOrder`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotAPoint)?;
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(KeyError::NotAPoint);
        }
        if key.is_weak() {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self(key))
    }

    pub(super) fn of(secret: &SigningKey) -> Self {
        Self(secret.verifying_key())
    }

    /// The 32 raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Whether `signature` is this key's over `message`, by the strict rules of RFC 8032:
    /// whatever passes here passes in libsodium, hence in Nix.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
        self.0.verify_strict(message, &signature).is_ok()
    }
}

impl fmt::Debug for KeyPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPoint({})", crate::hash::hex(self.as_bytes()))
    }
}
