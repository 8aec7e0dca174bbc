//! Cosignatures: a witness says when it saw a checkpoint as the log's largest consistent one.
//!
//! Source: c2sp.org/tlog-cosignature@v1.0.1, `cosignature/v1` (Ed25519).

use std::sync::Arc;

use thiserror::Error;

use super::checkpoint::SignedCheckpoint;
use super::note::{NoteError, NoteName, NoteSignature, SignatureKind, VerifierKey};
use crate::key::{KeyError, KeyPoint, SecretKey};
use crate::signature::Signature;

/// The last second that a cosignature can tell: 2^63 - 1.
pub const MAX_COSIGNATURE_TIME: u64 = i64::MAX.unsigned_abs();

/// Why a cosignature is not made, or not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CosignatureError {
    /// A time beyond [`MAX_COSIGNATURE_TIME`].
    #[error("{0} is no time for a cosignature")]
    Time(u64),
    /// The key makes other signatures.
    #[error("{0} is not a witness's key: it signs notes without a time")]
    KeyKind(NoteName),
    /// The signature is another key's.
    #[error("not a signature by {0}")]
    OtherKey(NoteName),
    /// The note, or a signature under it.
    #[error(transparent)]
    Note(#[from] NoteError),
}

/// A witness's signature over a checkpoint that was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cosignature<'k> {
    /// The witness.
    pub witness: &'k VerifierKey,
    /// When it signed, by its own clock, POSIX seconds.
    pub time: u64,
}

/// A key that cosigns checkpoints. A copy shares the secret.
#[derive(Debug, Clone)]
pub struct Cosigner {
    verifier: VerifierKey,
    secret: Arc<SecretKey>,
}

impl Cosigner {
    /// Cosigns as `name`, whatever the secret is called elsewhere. No two cosigners may share a
    /// secret: what is signed does not name them.
    ///
    /// # Errors
    /// [`KeyError::NotEd25519`].
    pub fn new(name: NoteName, secret: Arc<SecretKey>) -> Result<Self, KeyError> {
        let point = secret.public().point()?.clone();
        Ok(Self { verifier: VerifierKey::new(name, SignatureKind::Cosignature, point), secret })
    }

    /// The key that verifies these cosignatures.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The line that says: at `time`, POSIX seconds, this was the log's largest tree, and it had
    /// grown from all that were seen before. That is for the caller to have checked.
    ///
    /// # Errors
    /// [`CosignatureError::Time`].
    pub fn cosign(
        &self,
        checkpoint: &SignedCheckpoint,
        time: u64,
    ) -> Result<NoteSignature, CosignatureError> {
        if time > MAX_COSIGNATURE_TIME {
            return Err(CosignatureError::Time(time));
        }
        let signature = self.secret.sign_unnamed(&message(time, checkpoint.note().text()));
        let bytes = [&time.to_be_bytes(), signature.as_bytes().as_slice()].concat();
        Ok(NoteSignature::new(&self.verifier, &bytes))
    }
}

impl SignedCheckpoint {
    /// Adds the cosignature by `witness`, in the place of an earlier one, and answers with its time.
    ///
    /// # Errors
    /// When it is not that witness's over this checkpoint; then the checkpoint is as it was.
    pub fn cosign(
        &mut self,
        line: NoteSignature,
        witness: &VerifierKey,
    ) -> Result<u64, CosignatureError> {
        check_kind(witness)?;
        if !witness.is_named_by(&line) {
            return Err(CosignatureError::OtherKey(witness.name().clone()));
        }
        let time = time_of(witness.point(), self.note().text(), line.bytes())
            .ok_or_else(|| NoteError::BadSignature(witness.name().clone()))?;
        self.add(line)?;
        Ok(time)
    }

    /// The cosignatures by these witnesses, one for each that signed: the latest. There may be none.
    ///
    /// # Errors
    /// A signature in the name of one that does not verify, and a key that is no witness's.
    pub fn cosignatures<'k>(
        &self,
        witnesses: impl IntoIterator<Item = &'k VerifierKey>,
    ) -> Result<Vec<Cosignature<'k>>, CosignatureError> {
        let witnesses: Vec<_> = witnesses.into_iter().collect();
        witnesses.iter().try_for_each(|witness| check_kind(witness))?;
        let mut found: Vec<Cosignature<'k>> = Vec::new();
        for (witness, line) in self.note().verified(witnesses)? {
            let Some((time, _)) = split(line.bytes()) else { continue };
            match found.iter_mut().find(|it| it.witness == witness) {
                Some(earlier) => earlier.time = earlier.time.max(time),
                None => found.push(Cosignature { witness, time }),
            }
        }
        Ok(found)
    }
}

/// Whether the bytes of a signature line are `point`'s cosignature of `text`.
pub(super) fn verifies(point: &KeyPoint, text: &str, bytes: &[u8]) -> bool {
    time_of(point, text, bytes).is_some()
}

fn time_of(point: &KeyPoint, text: &str, bytes: &[u8]) -> Option<u64> {
    let (time, signature) = split(bytes)?;
    (time <= MAX_COSIGNATURE_TIME && point.verifies(&message(time, text), &signature))
        .then_some(time)
}

/// The time and the signature in the 72 bytes of a line.
fn split(bytes: &[u8]) -> Option<(u64, Signature)> {
    let (time, signature) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*time), Signature::from_bytes(signature.try_into().ok()?)))
}

fn message(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

fn check_kind(witness: &VerifierKey) -> Result<(), CosignatureError> {
    if witness.kind() == SignatureKind::Cosignature {
        return Ok(());
    }
    Err(CosignatureError::KeyKind(witness.name().clone()))
}

#[cfg(test)]
mod tests;
