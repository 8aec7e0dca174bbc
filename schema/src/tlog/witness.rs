//! What a log and a witness say to each other.
//!
//! Source: c2sp.org/tlog-witness@v1.0.0, "add-checkpoint".

use std::fmt;

use thiserror::Error;

use super::checkpoint::{CheckpointError, SignedCheckpoint, UnverifiedCheckpoint};
use super::note::{MAX_NOTE_LEN, NoteError, NoteSignature, parse_lines};
use super::proof::{ConsistencyProof, MAX_PROOF_LEN, ProofError};
use super::spelling::{above_checkpoint, decimal, print_proof, proof_lines};
use crate::hash::{HashError, TreeHash};

/// The longest request that is read, in bytes: a size, 63 hashes and a note.
pub const MAX_ADD_CHECKPOINT_LEN: usize = MAX_NOTE_LEN + 4096;

/// The type of the body that says how large the tree is that a witness saw last.
pub const TREE_SIZE_MEDIA_TYPE: &str = "text/x.tlog.size";

/// Why bytes are not what a log or a witness says: a request like this is answered with 400.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WitnessError {
    /// More than [`MAX_ADD_CHECKPOINT_LEN`] bytes.
    #[error("a request has at most {MAX_ADD_CHECKPOINT_LEN} bytes")]
    TooLong,
    /// Not UTF-8, or without an empty line before the checkpoint.
    #[error("a request is a size, a proof, an empty line, and a checkpoint")]
    Form,
    /// Not `old` and a size, or not a size.
    #[error("not the size of a tree")]
    Size,
    /// A line of the proof is not a hash.
    #[error("in the proof: {0}")]
    Hash(#[from] HashError),
    /// The proof is not one.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The checkpoint is not one.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The answer is not signature lines.
    #[error(transparent)]
    Answer(#[from] NoteError),
    /// The old tree is larger than the new one.
    #[error("from {old} entries to {new}: a log does not shrink")]
    Shrinks {
        /// The size before.
        old: u64,
        /// The size of the checkpoint.
        new: u64,
    },
}

/// The body of `add-checkpoint`: please cosign this tree, which has grown from the one you know.
/// Nothing in it has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    old: u64,
    proof: ConsistencyProof,
    checkpoint: UnverifiedCheckpoint,
}

impl AddCheckpoint {
    /// Asks a witness that has seen the log with `old` entries.
    ///
    /// # Errors
    /// [`WitnessError::Shrinks`].
    pub fn new(
        old: u64,
        proof: ConsistencyProof,
        checkpoint: SignedCheckpoint,
    ) -> Result<Self, WitnessError> {
        Self { old, proof, checkpoint: checkpoint.into_unverified() }.growing()
    }

    /// Reads a request.
    ///
    /// # Errors
    /// Anything that [`Display`](fmt::Display) would not write.
    pub fn parse(body: &[u8]) -> Result<Self, WitnessError> {
        let (old, hashes, checkpoint) = parse_request(body)?;
        Self { old, proof: ConsistencyProof::from_hashes(hashes)?, checkpoint }.growing()
    }

    /// How large the log was when the witness saw it last, as far as the asker knows.
    #[must_use]
    pub fn old(&self) -> u64 {
        self.old
    }

    /// That the new tree has grown from that one.
    #[must_use]
    pub fn proof(&self) -> &ConsistencyProof {
        &self.proof
    }

    /// The new tree.
    #[must_use]
    pub fn checkpoint(&self) -> &UnverifiedCheckpoint {
        &self.checkpoint
    }

    fn growing(self) -> Result<Self, WitnessError> {
        let new = self.checkpoint.checkpoint().size();
        if self.old > new {
            return Err(WitnessError::Shrinks { old: self.old, new });
        }
        Ok(self)
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "old {}\n{}\n{}", self.old, print_proof(self.proof.hashes()), self.checkpoint)
    }
}

/// Reads a size, the hashes of a proof, and a checkpoint.
pub(super) fn parse_request(
    body: &[u8],
) -> Result<(u64, Vec<TreeHash>, UnverifiedCheckpoint), WitnessError> {
    if body.len() > MAX_ADD_CHECKPOINT_LEN {
        return Err(WitnessError::TooLong);
    }
    let text = std::str::from_utf8(body).map_err(|_| WitnessError::Form)?;
    let (mut lines, checkpoint) = above_checkpoint(text).ok_or(WitnessError::Form)?;
    let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(decimal);
    let old = old.ok_or(WitnessError::Size)?;
    let hashes = proof_lines(lines, MAX_PROOF_LEN)?;
    Ok((old, hashes, UnverifiedCheckpoint::parse(checkpoint.as_bytes())?))
}

/// Reads a witness's answer: one signature line or more, for [`SignedCheckpoint::cosign`].
///
/// # Errors
/// [`WitnessError::TooLong`], [`WitnessError::Form`] and [`WitnessError::Answer`].
pub fn parse_cosignatures(body: &[u8]) -> Result<Vec<NoteSignature>, WitnessError> {
    if body.len() > MAX_NOTE_LEN {
        return Err(WitnessError::TooLong);
    }
    let text = std::str::from_utf8(body).map_err(|_| WitnessError::Form)?;
    Ok(parse_lines(text)?)
}

/// The body that answers with signature lines.
#[must_use]
pub fn print_cosignatures(lines: &[NoteSignature]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Reads the size in a witness's answer 409: how large the log was that it saw last.
///
/// # Errors
/// [`WitnessError::Size`].
pub fn parse_tree_size(body: &[u8]) -> Result<u64, WitnessError> {
    let text = std::str::from_utf8(body).map_err(|_| WitnessError::Size)?;
    text.strip_suffix('\n').and_then(decimal).ok_or(WitnessError::Size)
}

/// The body of answer 409.
#[must_use]
pub fn print_tree_size(size: u64) -> String {
    format!("{size}\n")
}

#[cfg(test)]
mod tests;
