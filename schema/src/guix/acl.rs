//! Guix's access-control list: whose archives and substitutes a machine takes.
//!
//! Source: Guix `guix/pki.scm`. Any one of the keys will do; there is no k of n in it.

use thiserror::Error;

use super::ecdsa::EcdsaKey;
use super::key_file::{KeyFileError, parse_public_sexp, public_sexp};
use crate::sexp::{Sexp, SexpError};

/// Why a text is no list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AclError {
    /// No s-expression.
    #[error("not an s-expression: {0}")]
    Sexp(#[from] SexpError),
    /// Another expression.
    #[error("not an access-control list: (acl (entry (public-key …) (tag (guix import))) …)")]
    Shape,
    /// A key in it is none.
    #[error("a key in it: {0}")]
    Key(#[from] KeyFileError),
}

/// A key in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AclKey {
    /// One that signs what can be verified here.
    Ecdsa(EcdsaKey),
    /// One of RSA, from an old list: it is carried, and counts for nothing.
    Rsa(Sexp),
}

/// A list of keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acl {
    /// In the order of the list.
    pub keys: Vec<AclKey>,
}

impl Acl {
    /// Reads a list.
    ///
    /// # Errors
    /// Anything but a list of keys that may import, and nothing else.
    pub fn parse(text: &str) -> Result<Self, AclError> {
        let sexp = Sexp::parse_text(text)?;
        let entries = sexp.tagged("acl").ok_or(AclError::Shape)?;
        Ok(Self { keys: entries.iter().map(entry).collect::<Result<_, _>>()? })
    }

    /// The text, as Guix writes it.
    #[must_use]
    pub fn print(&self) -> String {
        let entry = |key: &AclKey| {
            let key = match key {
                AclKey::Ecdsa(key) => public_sexp(key),
                AclKey::Rsa(key) => key.clone(),
            };
            Sexp::tag("entry", [key, tag()])
        };
        Sexp::tag("acl", self.keys.iter().map(entry)).print_text()
    }
}

fn entry(sexp: &Sexp) -> Result<AclKey, AclError> {
    let Some([key, allowed]) = sexp.tagged("entry") else { return Err(AclError::Shape) };
    if *allowed != tag() {
        return Err(AclError::Shape);
    }
    match parse_public_sexp(key) {
        Ok(key) => Ok(AclKey::Ecdsa(key)),
        Err(KeyFileError::Rsa) => Ok(AclKey::Rsa(key.clone())),
        Err(error) => Err(error.into()),
    }
}

fn tag() -> Sexp {
    Sexp::tag("tag", [Sexp::tag("guix", ["import".into()])])
}
