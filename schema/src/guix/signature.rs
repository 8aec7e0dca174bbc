//! Signatures as Guix writes them: an s-expression with the hash, two numbers and the key.
//!
//! Sources: Guix `guix/pki.scm` and `guix/narinfo.scm`, read more strictly than there: one hash, one
//! curve, and nothing that is not needed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::ecdsa::{EcdsaKey, EcdsaSecret, EcdsaSignature};
use super::key_file::{KeyFileError, parse_public_sexp, public_sexp};
use crate::sexp::{Sexp, SexpError};

/// Why a text is no signature by a key that counts.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GuixSignatureError {
    /// Not `1;<host>;<base64>`.
    #[error("not of the form 1;<host>;<base64>")]
    Shape,
    /// Not a text in base 64.
    #[error("not UTF-8 in base 64")]
    Encoding,
    /// No s-expression.
    #[error("not an s-expression: {0}")]
    Sexp(#[from] SexpError),
    /// Another expression.
    #[error("not a signature: {0} is missing, or is not as Guix writes it")]
    Field(&'static str),
    /// By a key of RSA: it is carried, and counts for nothing.
    #[error("signed with RSA, which counts for nothing here")]
    Rsa,
    /// The key is none.
    #[error("the key: {0}")]
    Key(KeyFileError),
}

impl From<KeyFileError> for GuixSignatureError {
    fn from(error: KeyFileError) -> Self {
        match error {
            KeyFileError::Rsa => Self::Rsa,
            KeyFileError::Field(field) => Self::Field(field),
            error => Self::Key(error),
        }
    }
}

/// A signature that nobody has verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuixSignature {
    hash: [u8; 32],
    signature: EcdsaSignature,
    key: EcdsaKey,
}

impl GuixSignature {
    /// The signature that a key is said to have made over bytes with this SHA-256 hash.
    #[must_use]
    pub fn new(hash: [u8; 32], signature: EcdsaSignature, key: EcdsaKey) -> Self {
        Self { hash, signature, key }
    }

    /// Signs bytes with this SHA-256 hash.
    #[must_use]
    pub fn sign(secret: &EcdsaSecret, hash: [u8; 32]) -> Self {
        Self { hash, signature: secret.sign(&hash), key: secret.public() }
    }

    /// Reads the value of a `Signature:` line.
    ///
    /// # Errors
    /// Anything but a signature by a key of Guix's own algorithm.
    pub fn parse_line(value: &str) -> Result<Self, GuixSignatureError> {
        let mut fields = value.splitn(3, ';');
        let (Some("1"), Some(_), Some(encoded)) = (fields.next(), fields.next(), fields.next())
        else {
            return Err(GuixSignatureError::Shape);
        };
        let text = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        Self::of_sexp(&Sexp::parse_text(&text.ok_or(GuixSignatureError::Encoding)?)?)
    }

    /// The value of a `Signature:` line, by a host of this name.
    #[must_use]
    pub fn to_line(&self, host: &str) -> String {
        format!("1;{host};{}", STANDARD.encode(self.to_sexp().print_text()))
    }

    /// Reads the s-expression.
    ///
    /// # Errors
    /// As [`parse_line`](Self::parse_line).
    pub fn parse(bytes: &[u8]) -> Result<Self, GuixSignatureError> {
        Self::of_sexp(&Sexp::parse(bytes)?)
    }

    fn of_sexp(sexp: &Sexp) -> Result<Self, GuixSignatureError> {
        let field = GuixSignatureError::Field;
        let Some([data, value, key]) = sexp.tagged("signature") else {
            return Err(field("signature"));
        };
        let Some([flags, hash]) = data.tagged("data") else { return Err(field("data")) };
        let Some([numbers]) = value.tagged("sig-val") else { return Err(field("sig-val")) };
        if numbers.tagged("rsa").is_some() {
            return Err(GuixSignatureError::Rsa);
        }
        if !matches!(flags.tagged("flags"), Some([Sexp::Atom(flag)]) if flag == b"rfc6979") {
            return Err(field("flags"));
        }
        let hash = match hash.tagged("hash") {
            Some([Sexp::Atom(name), Sexp::Atom(hash)]) if name == b"sha256" => hash,
            _ => return Err(field("hash")),
        };
        let Some([r, s]) = numbers.tagged("ecdsa") else { return Err(field("ecdsa")) };
        let number = |sexp: &Sexp, name| match sexp.tagged(name) {
            Some([Sexp::Atom(bytes)]) => Some(bytes.clone()),
            _ => None,
        };
        let numbers = number(r, "r").zip(number(s, "s"));
        let signature = numbers.and_then(|(r, s)| EcdsaSignature::new(&r, &s));
        Ok(Self {
            hash: hash.as_slice().try_into().map_err(|_| field("hash"))?,
            signature: signature.ok_or(field("ecdsa"))?,
            key: parse_public_sexp(key)?,
        })
    }

    /// The expression, as Guix has libgcrypt print it.
    #[must_use]
    pub fn to_sexp(&self) -> Sexp {
        let atom = |bytes: &[u8]| Sexp::Atom(bytes.to_vec());
        let [r, s] = self.signature.numbers();
        let hash = Sexp::tag("hash", ["sha256".into(), atom(&self.hash)]);
        let numbers = [Sexp::tag("r", [atom(&r)]), Sexp::tag("s", [atom(&s)])];
        Sexp::tag(
            "signature",
            [
                Sexp::tag("data", [Sexp::tag("flags", ["rfc6979".into()]), hash]),
                Sexp::tag("sig-val", [Sexp::tag("ecdsa", numbers)]),
                public_sexp(&self.key),
            ],
        )
    }

    /// The two numbers.
    #[must_use]
    pub fn signature(&self) -> &EcdsaSignature {
        &self.signature
    }

    /// By whom it says it is.
    #[must_use]
    pub fn key(&self) -> &EcdsaKey {
        &self.key
    }

    /// Whether it is that key's over bytes with this SHA-256 hash.
    #[must_use]
    pub fn holds(&self, hash: &[u8; 32]) -> bool {
        self.hash == *hash && self.key.verifies(hash, &self.signature)
    }
}
