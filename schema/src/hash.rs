//! SHA-256 digests, one type for each thing that is hashed, so that none stands in for another.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::base32::{self, Base32Error};
use crate::wire_text::wire_text;

/// Why a text is not a SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HashError {
    /// Another algorithm, or none named. Only SHA-256 is a content address here.
    #[error("not a SHA-256 hash: write sha256:<base-32 or hex> or sha256-<base-64>")]
    Algorithm,
    /// The digits after `sha256:` are not 52 base-32 digits.
    #[error(transparent)]
    Base32(#[from] Base32Error),
    /// The digits are not 64 lower-case hex digits.
    #[error("not 64 lower-case hex digits")]
    Hex,
    /// What should be the padded base 64 of 32 bytes is not.
    #[error("not the base 64 of 32 bytes")]
    Base64,
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The digest with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Hashes `data`.
            #[must_use]
            pub fn of(data: &[u8]) -> Self {
                Self(Sha256::digest(data).into())
            }

            /// The raw digest.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// 64 lower-case hex digits.
            #[must_use]
            pub fn to_hex(&self) -> String {
                hex(&self.0)
            }
        }
    };
}

/// A digest that Nix and Guix write: `sha256:` and 52 base-32 digits.
macro_rules! content_digest {
    ($name:ident) => {
        impl $name {
            /// 52 base-32 digits, as in file names and URLs.
            #[must_use]
            pub fn to_nix32(&self) -> String {
                base32::encode(&self.0)
            }

            /// Reads 52 base-32 digits.
            ///
            /// # Errors
            /// Anything but the canonical spelling.
            pub fn from_nix32(text: &str) -> Result<Self, HashError> {
                Ok(Self(base32::decode(text.as_bytes())?))
            }

            /// The Subresource Integrity form, `sha256-` and padded base 64.
            #[must_use]
            pub fn to_sri(&self) -> String {
                format!("sha256-{}", STANDARD.encode(self.0))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("sha256:")?;
                f.write_str(&self.to_nix32())
            }
        }

        impl FromStr for $name {
            type Err = HashError;

            fn from_str(text: &str) -> Result<Self, HashError> {
                parse_content(text).map(Self)
            }
        }
    };
}

macro_rules! hex_digest {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }

        impl FromStr for $name {
            type Err = HashError;

            fn from_str(text: &str) -> Result<Self, HashError> {
                parse_hex(text).map(Self)
            }
        }
    };
}

digest! {
    /// SHA-256 of an uncompressed NAR: the key under which the pool keeps it.
    NarHash
}
content_digest!(NarHash);
wire_text!(NarHash, "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73");

digest! {
    /// SHA-256 of a NAR as it is stored and sent, in whatever compression.
    FileHash
}
content_digest!(FileHash);
wire_text!(FileHash, "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73");

digest! {
    /// SHA-256 of the exact bytes that signers of a claim sign.
    ClaimId
}
hex_digest!(ClaimId);
wire_text!(ClaimId, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

digest! {
    /// SHA-256 of a full store path, by which the ledger names it.
    PathKey
}
hex_digest!(PathKey);
wire_text!(PathKey, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

digest! {
    /// SHA-256 of the algorithm's number and the raw public key: a signer's identity, whatever its name.
    KeyId
}
hex_digest!(KeyId);
wire_text!(KeyId, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

digest! {
    /// A key of the verifiable map: SHA-256 of what is looked for and what kind of thing that is.
    MapKey
}
hex_digest!(MapKey);
wire_text!(MapKey, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

digest! {
    /// What a subtree of the verifiable map hashes to; the whole map's is its root.
    MapHash
}
hex_digest!(MapHash);
wire_text!(MapHash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

digest! {
    /// What a list of ledger indices hashes to in the verifiable map.
    ListHash
}
hex_digest!(ListHash);
wire_text!(ListHash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

digest! {
    /// SHA-256 of a log's origin, by which mirrors name the log in their addresses.
    OriginHash
}
hex_digest!(OriginHash);
wire_text!(OriginHash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

digest! {
    /// A node of a Merkle tree over a log's entries, or its root. Logs write it in base 64.
    TreeHash
}
wire_text!(TreeHash, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");

impl TreeHash {
    /// 44 characters of padded base 64, as in checkpoints and proofs.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Reads 44 characters of padded base 64.
    ///
    /// # Errors
    /// Anything but the canonical spelling of 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, HashError> {
        parse_base64(text).map(Self)
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}

impl FromStr for TreeHash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        Self::from_base64(text)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

fn parse_content(text: &str) -> Result<[u8; 32], HashError> {
    if let Some(digits) = text.strip_prefix("sha256:") {
        return if digits.len() == 64 {
            parse_hex(digits)
        } else {
            Ok(base32::decode(digits.as_bytes())?)
        };
    }
    let sri = text.strip_prefix("sha256-").ok_or(HashError::Algorithm)?;
    parse_base64(sri)
}

fn parse_base64(text: &str) -> Result<[u8; 32], HashError> {
    let bytes = STANDARD.decode(text).map_err(|_| HashError::Base64)?;
    bytes.try_into().map_err(|_| HashError::Base64)
}

fn parse_hex(text: &str) -> Result<[u8; 32], HashError> {
    let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| HashError::Hex)?;
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_value(pair[0])? << 4 | hex_value(pair[1])?;
    }
    Ok(out)
}

/// The bytes that pairs of hex digits spell, in either case.
pub(crate) fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    text.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

fn hex_value(digit: u8) -> Result<u8, HashError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(HashError::Hex),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_spellings_are_one_hash() {
        let hash = NarHash::of(b"");
        let spellings = [
            "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        ];
        for spelling in spellings {
            assert_eq!(spelling.parse(), Ok(hash), "{spelling}");
        }
        assert_eq!(hash.to_string(), spellings[0]);
        assert_eq!(hash.to_sri(), spellings[2]);
    }

    #[test]
    fn other_algorithms_and_loose_spellings_are_refused() {
        for (text, error) in [
            ("sha512:00", HashError::Algorithm),
            ("0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73", HashError::Algorithm),
            (
                "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
                HashError::Hex,
            ),
            ("sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", HashError::Base64),
            ("sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=", HashError::Base64),
        ] {
            assert_eq!(text.parse::<NarHash>(), Err(error), "{text}");
        }
    }
}
