//! Who signs notes: names, keys to verify with, keys to sign with.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{Note, NoteError, NoteSignature};
use crate::key::{KeyError, KeyPoint, SecretKey};
use crate::signature::Signature;
use crate::tlog::cosignature;
use crate::wire_text::wire_text;

/// The longest name of a key that signs notes, in bytes.
pub const MAX_NOTE_NAME_LEN: usize = 255;

/// Why a text is not the name of a key, or the key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoteKeyError {
    /// Empty, too long, or with spaces, `+` or control characters.
    #[error(
        "not a key name: 1 to {MAX_NOTE_NAME_LEN} bytes without spaces, + and control characters"
    )]
    Name,
    /// Not name, id and key with `+` between them.
    #[error("not a verifier key: write <name>+<id, 8 lower-case hex digits>+<base64>")]
    Form,
    /// The last part is not the canonical base 64 of an algorithm's number and 32 bytes.
    #[error("not the base64 of an algorithm's number and a key of 32 bytes")]
    Base64,
    /// An algorithm that is not known here.
    #[error("signatures of type {0} are not known: only 1, Ed25519, and 4, cosignature/v1")]
    Kind(u8),
    /// The key itself is not one to trust.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The id is another key's.
    #[error("the id does not belong to this name and key")]
    Id,
}

/// The name of a key that signs notes, such as `pool.example/attestations`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoteName(Box<str>);

impl NoteName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NoteName {
    type Err = NoteKeyError;

    fn from_str(text: &str) -> Result<Self, NoteKeyError> {
        let refused = |char: char| char.is_whitespace() || char < ' ' || char == '+';
        if text.is_empty() || text.len() > MAX_NOTE_NAME_LEN || text.contains(refused) {
            return Err(NoteKeyError::Name);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for NoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key's signatures are made over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureKind {
    /// Type 1: the text.
    Ed25519,
    /// Type 4, c2sp.org/tlog-cosignature: a time and the text.
    Cosignature,
}

impl SignatureKind {
    fn number(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::Cosignature => 4,
        }
    }
}

/// A key that verifies notes: its name, its kind and its point.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: NoteName,
    kind: SignatureKind,
    point: KeyPoint,
    id: u32,
}

impl VerifierKey {
    /// Names a key.
    #[must_use]
    pub fn new(name: NoteName, kind: SignatureKind, point: KeyPoint) -> Self {
        let digest = Sha256::new()
            .chain_update(name.as_str())
            .chain_update([b'\n', kind.number()])
            .chain_update(point.as_bytes())
            .finalize();
        let id = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        Self { name, kind, point, id }
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &NoteName {
        &self.name
    }

    /// What its signatures are made over.
    #[must_use]
    pub fn kind(&self) -> SignatureKind {
        self.kind
    }

    /// The key itself.
    #[must_use]
    pub fn point(&self) -> &KeyPoint {
        &self.point
    }

    /// The first four bytes of the hash of all that: a hint, not an identity.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Whether a signature says that it is this key's.
    #[must_use]
    pub fn is_named_by(&self, signature: &NoteSignature) -> bool {
        *signature.name() == self.name && signature.key_id() == self.id
    }

    pub(super) fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        match self.kind {
            SignatureKind::Ed25519 => signature.try_into().is_ok_and(|bytes| {
                self.point.verifies(text.as_bytes(), &Signature::from_bytes(bytes))
            }),
            SignatureKind::Cosignature => cosignature::verifies(&self.point, text, signature),
        }
    }
}

impl FromStr for VerifierKey {
    type Err = NoteKeyError;

    fn from_str(text: &str) -> Result<Self, NoteKeyError> {
        let (name, rest) = text.split_once('+').ok_or(NoteKeyError::Form)?;
        let (id, encoded) = rest.split_once('+').ok_or(NoteKeyError::Form)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| NoteKeyError::Base64)?;
        let kind = match bytes.first() {
            Some(1) => SignatureKind::Ed25519,
            Some(4) => SignatureKind::Cosignature,
            Some(other) => return Err(NoteKeyError::Kind(*other)),
            None => return Err(NoteKeyError::Base64),
        };
        let point = bytes[1..].try_into().map_err(|_| NoteKeyError::Base64)?;
        let key = Self::new(name.parse()?, kind, KeyPoint::from_bytes(point)?);
        if format!("{:08x}", key.id) == id { Ok(key) } else { Err(NoteKeyError::Id) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[self.kind.number()], self.point.as_bytes().as_slice()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(bytes))
    }
}

/// A key that signs notes, with Ed25519 over the text. A copy shares the secret.
#[derive(Debug, Clone)]
pub struct NoteSigner {
    verifier: VerifierKey,
    secret: Arc<SecretKey>,
}

impl NoteSigner {
    /// Signs notes as `name`, whatever the secret is called elsewhere.
    ///
    /// # Errors
    /// [`KeyError::NotEd25519`].
    pub fn new(name: NoteName, secret: Arc<SecretKey>) -> Result<Self, KeyError> {
        let point = secret.public().point()?.clone();
        Ok(Self { verifier: VerifierKey::new(name, SignatureKind::Ed25519, point), secret })
    }

    /// The key that verifies these notes.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs `text`.
    ///
    /// # Errors
    /// When no note has this text.
    pub fn sign(&self, text: String) -> Result<Note, NoteError> {
        let signature = self.secret.sign_unnamed(text.as_bytes());
        Note::new(text, NoteSignature::new(&self.verifier, signature.as_bytes()))
    }
}

wire_text!(NoteName, "pool.example/attestations");
wire_text!(VerifierKey, "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
