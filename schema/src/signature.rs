//! Detached signatures as a narinfo's `Sig:` lines carry them.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::key::{KeyError, KeyName};
use crate::wire_text::wire_text;

/// Why a text is not a signature.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// There is no colon between name and signature.
    #[error("no colon between the key's name and the signature")]
    NoColon,
    /// The name is no [`KeyName`].
    #[error(transparent)]
    Name(#[from] KeyError),
    /// The part after the colon is not the canonical base 64 of 64 bytes.
    #[error("not the canonical base 64 of 64 bytes")]
    Base64,
}

/// The 64 bytes of an Ed25519 signature. Having one says nothing about its being valid.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 64]);

impl Signature {
    /// The signature with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// Appends the base 64 to `out`.
    pub fn encode_to(&self, out: &mut String) {
        STANDARD.encode_string(self.0, out);
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", STANDARD.encode(self.0))
    }
}

/// A signature and the name of the key that is said to have made it: `name:base64`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NamedSignature {
    name: KeyName,
    signature: Signature,
}

impl NamedSignature {
    /// Puts a name to a signature.
    #[must_use]
    pub fn new(name: KeyName, signature: Signature) -> Self {
        Self { name, signature }
    }

    /// The name of the key.
    #[must_use]
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }
}

impl FromStr for NamedSignature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let (name, encoded) = text.split_once(':').ok_or(SignatureError::NoColon)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| SignatureError::Base64)?;
        let bytes: [u8; 64] = bytes.try_into().map_err(|_| SignatureError::Base64)?;
        Ok(Self { name: name.parse()?, signature: Signature(bytes) })
    }
}

impl fmt::Display for NamedSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, STANDARD.encode(self.signature.0))
    }
}

wire_text!(
    NamedSignature,
    "alice-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_of_64_bytes_is_read() {
        let line = NamedSignature::new("a-1".parse().unwrap(), Signature([0xab; 64])).to_string();
        assert_eq!(line.parse::<NamedSignature>().unwrap().to_string(), line);
        let short = format!("a-1:{}", STANDARD.encode([0; 63]));
        let long = format!("a-1:{}", STANDARD.encode([0; 65]));
        let unpadded = line.trim_end_matches('=').to_owned();
        let spare_bits = line.replace("qw==", "qx==");
        for bad in [&short, &long, &unpadded, &format!("{line}\n"), &spare_bits] {
            assert_eq!(bad.parse::<NamedSignature>(), Err(SignatureError::Base64), "{bad}");
        }
        assert_eq!("nothing".parse::<NamedSignature>(), Err(SignatureError::NoColon));
    }
}
