//! The text of a token, and its hash, which is all that is kept of it.

use std::fmt;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Token;
use crate::rejected::Error;

/// What every token begins with, so that a leaked one is recognised.
const PREFIX: &str = "npt_";
const RANDOM_LEN: usize = 32;

/// The text of a token: whoever has it may do what the token allows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one.
    pub(super) fn generate() -> Result<Self, Error> {
        let bytes = random::<RANDOM_LEN>()?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// Absent when the text cannot be a token. Never tell the text in an error.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        (bytes.len() == RANDOM_LEN).then(|| Self(text.to_owned()))
    }

    /// The text itself, to be shown once to whoever asked for a token.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(&self.0).into())
    }

    /// The token with this text. Takes as long wherever it stands, and if it is not there.
    pub(super) fn find<'a>(&self, tokens: &'a [Token]) -> Option<&'a Token> {
        let hash = self.hash();
        let mut found = None;
        for token in tokens {
            if token.hash.0.ct_eq(&hash.0).into() {
                found = Some(token);
            }
        }
        found
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// SHA-256 of a token's text. The text has 256 random bits, so a slow hash would add nothing.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct SecretHash([u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

impl From<SecretHash> for String {
    fn from(hash: SecretHash) -> Self {
        format!("sha256-{}", STANDARD.encode(hash.0))
    }
}

impl TryFrom<String> for SecretHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let bytes = text.strip_prefix("sha256-").and_then(|digits| STANDARD.decode(digits).ok());
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("not sha256- and the base 64 of 32 bytes")
    }
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|why| Error::io("read random bytes")(io::Error::other(why)))?;
    Ok(bytes)
}
