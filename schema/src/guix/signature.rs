//! Signatures as Guix writes them: an s-expression with the hash, two numbers and the key.
//!
//! Sources: Guix `guix/pki.scm` and `guix/narinfo.scm`, read more strictly than there: one hash, one
//! curve, and nothing that is not needed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::ecdsa::{EcdsaKey, EcdsaKeyError, EcdsaSecret, EcdsaSignature};
use crate::sexp::{Sexp, SexpError};

/// Why a text is no signature by a key that counts.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GuixSignatureError {
    /// Not `1;<host>;<base64>`.
    #[error("not of the form 1;<host>;<base64>")]
    Shape,
    /// What is encoded is not UTF-8, of which each character is one of Latin-1.
    #[error("not Latin-1 in UTF-8 in base 64")]
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
    Key(#[from] EcdsaKeyError),
}

/// A signature that nobody has verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuixSignature {
    hash: [u8; 32],
    signature: EcdsaSignature,
    key: EcdsaKey,
}

impl GuixSignature {
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
        let latin = text.and_then(|text| {
            text.chars().map(|char| u8::try_from(u32::from(char)).ok()).collect::<Option<Vec<_>>>()
        });
        Self::parse(&latin.ok_or(GuixSignatureError::Encoding)?)
    }

    /// The value of a `Signature:` line, by a host of this name.
    #[must_use]
    pub fn to_line(&self, host: &str) -> String {
        let text: String = self.to_sexp().print().into_iter().map(char::from).collect();
        format!("1;{host};{}", STANDARD.encode(text))
    }

    /// Reads the s-expression.
    ///
    /// # Errors
    /// As [`parse_line`](Self::parse_line).
    pub fn parse(bytes: &[u8]) -> Result<Self, GuixSignatureError> {
        let sexp = Sexp::parse(bytes)?;
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
            key: parse_key(key)?,
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
                print_key(&self.key),
            ],
        )
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

/// Reads `(public-key (ecc (curve Ed25519) (q …)))`.
///
/// # Errors
/// Any other expression, or a key that is none.
pub fn parse_key(sexp: &Sexp) -> Result<EcdsaKey, GuixSignatureError> {
    let field = GuixSignatureError::Field;
    let Some([ecc]) = sexp.tagged("public-key") else { return Err(field("public-key")) };
    if ecc.tagged("rsa").is_some() {
        return Err(GuixSignatureError::Rsa);
    }
    let Some([curve, q]) = ecc.tagged("ecc") else { return Err(field("ecc")) };
    if !matches!(curve.tagged("curve"), Some([Sexp::Atom(name)]) if name == b"Ed25519") {
        return Err(field("curve"));
    }
    let Some([Sexp::Atom(q)]) = q.tagged("q") else { return Err(field("q")) };
    let bytes: &[u8; 32] = q.as_slice().try_into().map_err(|_| field("q"))?;
    Ok(EcdsaKey::from_bytes(bytes)?)
}

/// The expression of a key.
#[must_use]
pub fn print_key(key: &EcdsaKey) -> Sexp {
    let curve = Sexp::tag("curve", ["Ed25519".into()]);
    let q = Sexp::tag("q", [Sexp::Atom(key.as_bytes().to_vec())]);
    Sexp::tag("public-key", [Sexp::tag("ecc", [curve, q])])
}
