//! Key files as Guix keeps them: `/etc/guix/signing-key.pub` and `signing-key.sec`, an s-expression
//! each. A key has no name there.
//!
//! Sources: Guix `guix/pki.scm` and `guix/scripts/archive.scm`.

use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use super::ecdsa::{EcdsaKey, EcdsaKeyError, EcdsaSecret};
use crate::sexp::{Sexp, SexpError};

/// Why a text is no key. It is never part of the message: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyFileError {
    /// No s-expression.
    #[error("not an s-expression: {0}")]
    Sexp(#[from] SexpError),
    /// Another expression.
    #[error("not a key of Guix's: {0} is missing, or is not as Guix writes it")]
    Field(&'static str),
    /// A key of RSA: it is carried, and counts for nothing.
    #[error("a key of RSA, which counts for nothing here")]
    Rsa,
    /// The numbers are no key.
    #[error(transparent)]
    Key(#[from] EcdsaKeyError),
    /// The public half of a secret key is another key's.
    #[error("the public half does not belong to the secret half")]
    Halves,
}

/// Reads the text of a public key.
///
/// # Errors
/// Anything but a public key of Guix's own algorithm.
pub fn parse_public(text: &str) -> Result<EcdsaKey, KeyFileError> {
    parse_public_sexp(&Sexp::parse_text(text)?)
}

/// Reads `(public-key (ecc (curve Ed25519) (q …)))`.
///
/// # Errors
/// As [`parse_public`].
pub fn parse_public_sexp(sexp: &Sexp) -> Result<EcdsaKey, KeyFileError> {
    match ecc(sexp, "public-key")? {
        [q] => public(q),
        _ => Err(KeyFileError::Field("q")),
    }
}

/// The expression of a public key.
#[must_use]
pub fn public_sexp(key: &EcdsaKey) -> Sexp {
    let curve = Sexp::tag("curve", ["Ed25519".into()]);
    let q = Sexp::tag("q", [Sexp::Atom(key.as_bytes().to_vec())]);
    Sexp::tag("public-key", [Sexp::tag("ecc", [curve, q])])
}

/// The text of a public key, as Guix prints it.
#[must_use]
pub fn print_public(key: &EcdsaKey) -> String {
    public_sexp(key).print_text()
}

/// Reads the text of a secret key.
///
/// # Errors
/// Anything but a secret key of Guix's own algorithm, whose halves belong together.
pub fn parse_secret(text: &str) -> Result<EcdsaSecret, KeyFileError> {
    let mut sexp = Sexp::parse_text(text)?;
    let secret = secret(&sexp);
    sexp.zeroize();
    secret
}

fn secret(sexp: &Sexp) -> Result<EcdsaSecret, KeyFileError> {
    let [q, d] = ecc(sexp, "private-key")? else { return Err(KeyFileError::Field("d")) };
    let Some([Sexp::Atom(d)]) = d.tagged("d") else { return Err(KeyFileError::Field("d")) };
    // A number: libgcrypt writes a zero before a first byte of 0x80 or more, and none otherwise.
    let digits = d.strip_prefix(&[0]).unwrap_or(d);
    let mut bytes = Zeroizing::new([0; 32]);
    let at = 32_usize.checked_sub(digits.len()).ok_or(KeyFileError::Field("d"))?;
    bytes[at..].copy_from_slice(digits);
    let secret = EcdsaSecret::from_bytes(&bytes)?;
    if secret.public() == public(q)? { Ok(secret) } else { Err(KeyFileError::Halves) }
}

/// The text of a secret key. Nobody but its holder may see it.
#[must_use]
pub fn print_secret(key: &EcdsaSecret) -> Zeroizing<String> {
    // Always in hex digits, which libgcrypt reads as well as what it would print itself.
    let hex = |bytes: &[u8]| -> Zeroizing<String> {
        Zeroizing::new(bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect())
    };
    let (q, d) = (hex(key.public().as_bytes()), hex(key.as_bytes()));
    Zeroizing::new(format!(
        "(private-key \n (ecc \n  (curve Ed25519)\n  (q #{}#)\n  (d #{}#)\n  )\n )\n",
        *q, *d
    ))
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or_default().to_ascii_uppercase()
}

/// What follows the curve in a key of this kind.
fn ecc<'s>(sexp: &'s Sexp, kind: &'static str) -> Result<&'s [Sexp], KeyFileError> {
    let Some([key]) = sexp.tagged(kind) else { return Err(KeyFileError::Field(kind)) };
    if key.tagged("rsa").is_some() {
        return Err(KeyFileError::Rsa);
    }
    let Some([curve, rest @ ..]) = key.tagged("ecc") else {
        return Err(KeyFileError::Field("ecc"));
    };
    if !matches!(curve.tagged("curve"), Some([Sexp::Atom(name)]) if name == b"Ed25519") {
        return Err(KeyFileError::Field("curve"));
    }
    Ok(rest)
}

fn public(q: &Sexp) -> Result<EcdsaKey, KeyFileError> {
    let Some([Sexp::Atom(q)]) = q.tagged("q") else { return Err(KeyFileError::Field("q")) };
    let bytes: &[u8; 32] = q.as_slice().try_into().map_err(|_| KeyFileError::Field("q"))?;
    Ok(EcdsaKey::from_bytes(bytes)?)
}
