//! Signed notes: a text, and lines with signatures over it.
//!
//! Source: c2sp.org/signed-note@v1.0.0.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

mod key;

pub use key::{MAX_NOTE_NAME_LEN, NoteKeyError, NoteName, NoteSigner, SignatureKind, VerifierKey};

/// The longest note that is read, in bytes.
pub const MAX_NOTE_LEN: usize = 64 * 1024;

/// The most signatures in a note.
pub const MAX_NOTE_SIGNATURES: usize = 16;

/// Why something is not a note, or is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoteError {
    /// Too long, or too many signatures.
    #[error("a note has at most {MAX_NOTE_LEN} bytes and {MAX_NOTE_SIGNATURES} signatures")]
    TooLarge,
    /// Not UTF-8, or with a control character other than a newline.
    #[error("a note is UTF-8 without control characters")]
    Characters,
    /// The text does not end with a newline.
    #[error("the text of a note ends with a newline")]
    Unterminated,
    /// No empty line with signatures behind it.
    #[error("a note has an empty line and then signatures, each with its newline")]
    NoSignatures,
    /// A line that should be a signature is none.
    #[error("not a signature line: — <key name> <base64 of key id and signature>")]
    SignatureLine,
    /// A signature by a known key that does not verify.
    #[error("the signature by {0} does not verify")]
    BadSignature(NoteName),
    /// No known key has signed.
    #[error("signed by no known key")]
    NotSigned,
}

/// A text with one signature at least. Having one says nothing about its being valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// Puts a signature under `text`.
    ///
    /// # Errors
    /// When no note has this text.
    pub fn new(text: String, signature: NoteSignature) -> Result<Self, NoteError> {
        check_characters(&text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::Unterminated);
        }
        let note = Self { text, signatures: vec![signature] };
        note.check_size()?;
        Ok(note)
    }

    /// Reads a note.
    ///
    /// # Errors
    /// Anything that [`Display`](fmt::Display) would not write.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_LEN {
            return Err(NoteError::TooLarge);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Characters)?;
        check_characters(note)?;
        let empty_line = note.rfind("\n\n").ok_or(NoteError::NoSignatures)?;
        let (text, signatures) = (&note[..=empty_line], &note[empty_line + 2..]);
        Ok(Self { text: text.to_owned(), signatures: parse_lines(signatures)? })
    }

    /// The text that is signed, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature, in the place of one by the same key if there is one.
    ///
    /// # Errors
    /// [`NoteError::TooLarge`], and then the note is as it was.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        let mut note = self.clone();
        let same = |it: &NoteSignature| it.name == signature.name && it.key_id == signature.key_id;
        note.signatures.retain(|it| !same(it));
        note.signatures.push(signature);
        note.check_size()?;
        *self = note;
        Ok(())
    }

    /// Which of the `known` keys have signed. Signatures by others are not looked at.
    ///
    /// # Errors
    /// [`NoteError::NotSigned`] by any of them, or a [`NoteError::BadSignature`] in the name of one.
    pub fn verify<'k>(
        &self,
        known: impl IntoIterator<Item = &'k VerifierKey>,
    ) -> Result<Vec<&'k VerifierKey>, NoteError> {
        let mut keys = Vec::new();
        for (key, _) in self.verified(known)? {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        if keys.is_empty() { Err(NoteError::NotSigned) } else { Ok(keys) }
    }

    /// The signatures by `known` keys, of which there may be none, each with its key.
    pub(super) fn verified<'k>(
        &self,
        known: impl IntoIterator<Item = &'k VerifierKey>,
    ) -> Result<Vec<(&'k VerifierKey, &NoteSignature)>, NoteError> {
        let known: Vec<_> = known.into_iter().collect();
        let mut verified = Vec::new();
        for signature in &self.signatures {
            let mut named = known.iter().filter(|key| key.is_named_by(signature)).peekable();
            if named.peek().is_none() {
                continue;
            }
            let key = named.find(|key| key.verifies(&self.text, &signature.bytes));
            let key = key.ok_or_else(|| NoteError::BadSignature(signature.name.clone()))?;
            verified.push((*key, signature));
        }
        Ok(verified)
    }

    fn check_size(&self) -> Result<(), NoteError> {
        let lines: usize = self.signatures.iter().map(NoteSignature::line_len).sum();
        if self.text.len() + 1 + lines > MAX_NOTE_LEN || self.signatures.len() > MAX_NOTE_SIGNATURES
        {
            return Err(NoteError::TooLarge);
        }
        Ok(())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

/// A line under a note: who signed, and the signature. It need not be valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: NoteName,
    key_id: u32,
    bytes: Box<[u8]>,
}

impl NoteSignature {
    pub(super) fn new(key: &VerifierKey, bytes: &[u8]) -> Self {
        Self { name: key.name().clone(), key_id: key.id(), bytes: bytes.into() }
    }

    /// The name of the key that is said to have signed.
    #[must_use]
    pub fn name(&self) -> &NoteName {
        &self.name
    }

    /// The id of that key.
    #[must_use]
    pub fn key_id(&self) -> u32 {
        self.key_id
    }

    /// What the key's algorithm made: one byte at least.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// With its newline.
    fn line_len(&self) -> usize {
        "— ".len() + self.name.as_str().len() + 1 + (self.bytes.len() + 4).div_ceil(3) * 4 + 1
    }
}

impl FromStr for NoteSignature {
    type Err = NoteError;

    fn from_str(line: &str) -> Result<Self, NoteError> {
        let line = line.strip_prefix("— ").ok_or(NoteError::SignatureLine)?;
        let (name, encoded) = line.split_once(' ').ok_or(NoteError::SignatureLine)?;
        let decoded = STANDARD.decode(encoded).map_err(|_| NoteError::SignatureLine)?;
        match decoded.split_first_chunk() {
            Some((key_id, bytes)) if !bytes.is_empty() => Ok(Self {
                name: name.parse().map_err(|_| NoteError::SignatureLine)?,
                key_id: u32::from_be_bytes(*key_id),
                bytes: bytes.into(),
            }),
            _ => Err(NoteError::SignatureLine),
        }
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.key_id.to_be_bytes(), &*self.bytes].concat();
        write!(f, "— {} {}", self.name, STANDARD.encode(bytes))
    }
}

/// One signature line or more, each with its newline.
pub(super) fn parse_lines(text: &str) -> Result<Vec<NoteSignature>, NoteError> {
    let lines = text.strip_suffix('\n').ok_or(NoteError::NoSignatures)?;
    if lines.split('\n').count() > MAX_NOTE_SIGNATURES {
        return Err(NoteError::TooLarge);
    }
    lines.split('\n').map(str::parse).collect()
}

fn check_characters(text: &str) -> Result<(), NoteError> {
    if text.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return Err(NoteError::Characters);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
