//! Receipts: all that is needed to check, without asking anybody, that a log has an entry and that
//! witnesses saw it.
//!
//! Source: c2sp.org/tlog-proof, `c2sp.org/tlog-proof@v1`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::checkpoint::{CheckpointError, SignedCheckpoint, UnverifiedCheckpoint};
use super::merkle::leaf_hash;
use super::note::{MAX_NOTE_LEN, NoteName, VerifierKey};
use super::policy::{Policy, QuorumError};
use super::proof::{InclusionProof, MAX_PROOF_LEN, ProofError};
use super::spelling::{above_checkpoint, decimal, print_proof, proof_lines};
use crate::hash::HashError;

/// The most bytes that a receipt may carry for whoever knows what they mean.
pub const MAX_EXTRA_LEN: usize = 16 * 1024;

/// The longest receipt that is read, in bytes.
pub const MAX_RECEIPT_LEN: usize = MAX_NOTE_LEN + MAX_EXTRA_LEN * 4 / 3 + 4096;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// Why something is not a receipt, or proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReceiptError {
    /// More than [`MAX_RECEIPT_LEN`] bytes.
    #[error("a receipt has at most {MAX_RECEIPT_LEN} bytes")]
    TooLong,
    /// Not UTF-8, another first line, or no empty line before the checkpoint.
    #[error("a receipt begins with {FIRST_LINE}, and has an empty line before its checkpoint")]
    Form,
    /// The extra data is not base 64, is empty, or is too much.
    #[error("extra data is the base 64 of 1 to {MAX_EXTRA_LEN} bytes")]
    Extra,
    /// Not `index` and a number.
    #[error("not the index of an entry")]
    Index,
    /// A line of the proof is not a hash.
    #[error("in the proof: {0}")]
    Hash(#[from] HashError),
    /// The proof is not one, or does not lead from the entry to the checkpoint's root.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The checkpoint is not one, or not the log's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The policy names logs, and not this one.
    #[error("the policy does not trust the log {0}")]
    Log(NoteName),
    /// Too few witnesses.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
}

/// An entry's place in a log, with proof. Nothing in it has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    index: u64,
    extra: Box<[u8]>,
    proof: InclusionProof,
    checkpoint: UnverifiedCheckpoint,
}

impl Receipt {
    /// The receipt for entry `index`, which `proof` shows to be in the checkpoint's tree.
    ///
    /// # Errors
    /// [`ProofError::Range`] when the tree is too small for that.
    pub fn new(
        index: u64,
        proof: InclusionProof,
        checkpoint: SignedCheckpoint,
    ) -> Result<Self, ReceiptError> {
        let checkpoint = checkpoint.into_unverified();
        Self { index, extra: Box::default(), proof, checkpoint }.within()
    }

    /// Puts data into the receipt that nothing protects.
    ///
    /// # Errors
    /// [`ReceiptError::Extra`].
    pub fn with_extra(self, extra: &[u8]) -> Result<Self, ReceiptError> {
        if extra.is_empty() || extra.len() > MAX_EXTRA_LEN {
            return Err(ReceiptError::Extra);
        }
        Ok(Self { extra: extra.into(), ..self })
    }

    /// Reads a receipt.
    ///
    /// # Errors
    /// Anything that [`Display`](fmt::Display) would not write.
    pub fn parse(file: &[u8]) -> Result<Self, ReceiptError> {
        if file.len() > MAX_RECEIPT_LEN {
            return Err(ReceiptError::TooLong);
        }
        let text = std::str::from_utf8(file).map_err(|_| ReceiptError::Form)?;
        let (lines, checkpoint) = above_checkpoint(text).ok_or(ReceiptError::Form)?;
        let mut lines = lines.peekable();
        if lines.next() != Some(FIRST_LINE) {
            return Err(ReceiptError::Form);
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra.and_then(|line| line.strip_prefix("extra ")).map(parse_extra);
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal);
        let receipt = Self {
            index: index.ok_or(ReceiptError::Index)?,
            extra: extra.transpose()?.unwrap_or_default(),
            proof: InclusionProof::from_hashes(proof_lines(lines, MAX_PROOF_LEN)?)?,
            checkpoint: UnverifiedCheckpoint::parse(checkpoint.as_bytes())?,
        };
        receipt.within()
    }

    /// The entry's index.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Data that came with it. Nothing vouches for it.
    #[must_use]
    pub fn extra(&self) -> Option<&[u8]> {
        if self.extra.is_empty() { None } else { Some(&self.extra) }
    }

    /// The way from the entry to the root.
    #[must_use]
    pub fn proof(&self) -> &InclusionProof {
        &self.proof
    }

    /// The tree that the entry is said to be in.
    #[must_use]
    pub fn checkpoint(&self) -> &UnverifiedCheckpoint {
        &self.checkpoint
    }

    /// Checks that `entry` is in the log with the key `log`, in a tree that as many witnesses saw
    /// as `policy` asks for. Answers with that tree's checkpoint.
    ///
    /// # Errors
    /// When any of that does not hold, or the policy names logs and not this one.
    pub fn verify(
        &self,
        entry: &[u8],
        log: &VerifierKey,
        policy: &Policy,
    ) -> Result<SignedCheckpoint, ReceiptError> {
        if !policy.logs().is_empty() && !policy.logs().iter().any(|it| it.key() == log) {
            return Err(ReceiptError::Log(log.name().clone()));
        }
        let checkpoint = self.checkpoint.clone().verify(log)?;
        policy.check(&checkpoint)?;
        let leaf = leaf_hash(entry);
        self.proof.verify(self.index, checkpoint.size(), leaf, checkpoint.root())?;
        Ok(checkpoint)
    }

    fn within(self) -> Result<Self, ReceiptError> {
        let size = self.checkpoint.checkpoint().size();
        if self.index >= size {
            return Err(ProofError::Range { part: self.index, size }.into());
        }
        Ok(self)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if let Some(extra) = self.extra() {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        let proof = print_proof(self.proof.hashes());
        write!(f, "index {}\n{proof}\n{}", self.index, self.checkpoint)
    }
}

fn parse_extra(text: &str) -> Result<Box<[u8]>, ReceiptError> {
    let extra = STANDARD.decode(text).map_err(|_| ReceiptError::Extra)?;
    if extra.is_empty() || extra.len() > MAX_EXTRA_LEN {
        return Err(ReceiptError::Extra);
    }
    Ok(extra.into())
}

#[cfg(test)]
mod tests;
