//! Checkpoints: what a log says its tree is, signed.
//!
//! Source: c2sp.org/tlog-checkpoint@v1.0.0.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::merkle::{EMPTY_ROOT, MAX_TREE_SIZE};
use super::note::{
    MAX_NOTE_NAME_LEN, Note, NoteError, NoteName, NoteSignature, NoteSigner, SignatureKind,
    VerifierKey,
};
use super::spelling::decimal;
use crate::hash::TreeHash;

/// Why something is not a checkpoint, or not the log's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// The origin is not a line, or a long one.
    #[error("not an origin: a line of 1 to {MAX_NOTE_NAME_LEN} bytes")]
    Origin,
    /// The size is not a canonical decimal number, or too large.
    #[error("not the size of a tree")]
    Size,
    /// The root is not the base 64 of 32 bytes, or not that of the empty tree.
    #[error("not the root of a tree of this size")]
    Root,
    /// Fewer than three lines, an empty one, or one without its newline.
    #[error("a checkpoint has three lines or more, none of them empty: origin, size, root")]
    Lines,
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The key is a witness's.
    #[error("{0} is not a log's key: it makes cosignatures")]
    KeyKind(NoteName),
    /// Another log's checkpoint.
    #[error("a checkpoint of {origin}, not of {key}")]
    OtherLog {
        /// Whose it says it is.
        origin: Origin,
        /// The name of the key at hand.
        key: NoteName,
    },
}

/// The name of a log, as its checkpoints begin with it. Logs whose checkpoints are opened here are
/// called like their key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(Box<str>);

impl Origin {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a log of this name is `key`'s.
    #[must_use]
    pub fn is_named(&self, key: &NoteName) -> bool {
        self.as_str() == key.as_str()
    }
}

impl From<&NoteName> for Origin {
    fn from(name: &NoteName) -> Self {
        Self(name.as_str().into())
    }
}

impl FromStr for Origin {
    type Err = CheckpointError;

    fn from_str(line: &str) -> Result<Self, CheckpointError> {
        if !is_line(line) || line.len() > MAX_NOTE_NAME_LEN {
            return Err(CheckpointError::Origin);
        }
        Ok(Self(line.into()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

/// A log's tree at one size. Nobody need have signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: Origin,
    size: u64,
    root: TreeHash,
    extensions: Vec<Box<str>>,
}

impl Checkpoint {
    /// The tree of `size` entries with this root.
    ///
    /// # Errors
    /// [`CheckpointError::Size`] beyond [`MAX_TREE_SIZE`], and [`CheckpointError::Root`] when an
    /// empty tree has another root than it must.
    pub fn new(origin: Origin, size: u64, root: TreeHash) -> Result<Self, CheckpointError> {
        if size > MAX_TREE_SIZE {
            return Err(CheckpointError::Size);
        }
        if size == 0 && root != EMPTY_ROOT {
            return Err(CheckpointError::Root);
        }
        Ok(Self { origin, size, root, extensions: Vec::new() })
    }

    /// Whose tree it is.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How many entries it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> &TreeHash {
        &self.root
    }

    /// Lines that other logs add; ours adds none.
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        self.extensions.iter().map(|line| &**line)
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let lines = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?;
        let mut lines = lines.split('\n');
        let mut line = || lines.next().ok_or(CheckpointError::Lines);
        let (origin, size, root) = (line()?, line()?, line()?);
        let size = decimal(size).ok_or(CheckpointError::Size)?;
        let root = TreeHash::from_base64(root).map_err(|_| CheckpointError::Root)?;
        let checkpoint = Self::new(origin.parse()?, size, root)?;
        let extensions = lines.map(|line| is_line(line).then(|| line.into()));
        let extensions = extensions.collect::<Option<_>>().ok_or(CheckpointError::Lines)?;
        Ok(Self { extensions, ..checkpoint })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A checkpoint with signatures that nobody has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl UnverifiedCheckpoint {
    /// Reads a checkpoint's file.
    ///
    /// # Errors
    /// Not a note, or one whose text is not a checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        Ok(Self { checkpoint: note.text().parse()?, note })
    }

    /// What it says: enough to find the key that must have signed it, and no more.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Checks that the log with this key has signed it.
    ///
    /// # Errors
    /// Another log's checkpoint, or one that the log has not signed.
    pub fn verify(self, log: &VerifierKey) -> Result<SignedCheckpoint, CheckpointError> {
        check_log(&self.checkpoint, log)?;
        self.note.verify([log])?;
        Ok(SignedCheckpoint(self))
    }
}

impl fmt::Display for UnverifiedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

/// A checkpoint that its log has signed, with the signatures of whoever else did. It prints as its
/// file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint(UnverifiedCheckpoint);

impl SignedCheckpoint {
    /// Signs a checkpoint as the log.
    ///
    /// # Errors
    /// [`CheckpointError::OtherLog`] when the key is not called like the log, and
    /// [`NoteError::TooLarge`] with very many extensions.
    pub fn sign(checkpoint: Checkpoint, signer: &NoteSigner) -> Result<Self, CheckpointError> {
        check_log(&checkpoint, signer.verifier())?;
        let note = signer.sign(checkpoint.to_string())?;
        Ok(Self(UnverifiedCheckpoint { checkpoint, note }))
    }

    /// Reads the checkpoint of the log with this key, which must have signed it.
    ///
    /// # Errors
    /// Not a checkpoint, of another log, or not signed.
    pub fn open(bytes: &[u8], log: &VerifierKey) -> Result<Self, CheckpointError> {
        UnverifiedCheckpoint::parse(bytes)?.verify(log)
    }

    /// What was signed.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.0.checkpoint
    }

    /// How many entries the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.checkpoint.size
    }

    /// The tree's root.
    #[must_use]
    pub fn root(&self) -> &TreeHash {
        &self.0.checkpoint.root
    }

    /// The text and the signatures.
    #[must_use]
    pub fn note(&self) -> &Note {
        &self.0.note
    }

    /// The same with the log's own signature and no other: whoever else is said to have signed was not
    /// asked.
    #[must_use]
    pub fn alone(&self, log: &VerifierKey) -> Self {
        let own = self.note().signatures().iter().find(|line| log.is_named_by(line));
        let note = own.and_then(|line| Note::new(self.note().text().to_owned(), line.clone()).ok());
        note.map_or_else(
            || self.clone(),
            |note| Self(UnverifiedCheckpoint { checkpoint: self.0.checkpoint.clone(), note }),
        )
    }

    /// The same, for those who do not trust us to have looked.
    #[must_use]
    pub fn into_unverified(self) -> UnverifiedCheckpoint {
        self.0
    }

    /// Adds the signature of somebody else; the text, and the log's signature, stay.
    pub(super) fn add(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        self.0.note.add(signature)
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn check_log(checkpoint: &Checkpoint, log: &VerifierKey) -> Result<(), CheckpointError> {
    if log.kind() != SignatureKind::Ed25519 {
        return Err(CheckpointError::KeyKind(log.name().clone()));
    }
    if !checkpoint.origin.is_named(log.name()) {
        let origin = checkpoint.origin.clone();
        return Err(CheckpointError::OtherLog { origin, key: log.name().clone() });
    }
    Ok(())
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte >= b' ')
}

#[cfg(test)]
mod tests;
