//! Being a witness: the pool cosigns checkpoints of logs that only grow.
//!
//! Source: c2sp.org/tlog-witness, "add-checkpoint".

use std::sync::{Arc, Mutex, PoisonError};

use schema::tlog::checkpoint::{CheckpointError, SignedCheckpoint};
use schema::tlog::cosignature::Cosigner;
use schema::tlog::note::VerifierKey;
use schema::tlog::proof::ConsistencyProof;
use schema::tlog::witness::{AddCheckpoint, print_cosignatures};

use crate::clock;
use crate::index::Index;
use crate::rejected::{Error, Rejected};

/// The witness that a pool is.
pub struct Witness {
    cosigner: Cosigner,
    logs: Vec<VerifierKey>,
    index: Arc<Index>,
    /// Held from the look at what was cosigned last until the next is durable: of two requests,
    /// the second sees the first.
    turn: Mutex<()>,
}

/// Why a checkpoint is not cosigned. Each has a status of its own in the protocol.
#[derive(Debug)]
pub enum Unwitnessed {
    /// 400: not a request.
    Malformed(String),
    /// 403: not signed by the log's key.
    Unsigned(String),
    /// 404: not a log that this pool witnesses.
    UnknownLog(String),
    /// 409: this witness has another checkpoint than the sender thinks: the size of it.
    Conflict(u64),
    /// 422: the log has not grown from what this witness saw.
    Inconsistent(String),
    /// As the rest of the pool puts it.
    Rejected(Rejected),
    /// Our fault.
    Failed(Error),
}

impl From<Error> for Unwitnessed {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Witness {
    pub(super) fn new(cosigner: Cosigner, logs: Vec<VerifierKey>, index: Arc<Index>) -> Self {
        Self { cosigner, logs, index, turn: Mutex::new(()) }
    }

    /// Takes a request's body, and answers with the lines of the cosignature. What is cosigned is
    /// durable before: nothing smaller, and nothing else of this size, ever will be.
    ///
    /// # Errors
    /// Why not.
    pub fn add_checkpoint(&self, body: &[u8]) -> Result<String, Unwitnessed> {
        let request = AddCheckpoint::parse(body)
            .map_err(|error| Unwitnessed::Malformed(error.to_string()))?;
        let key = self.key_of(&request)?;
        let checkpoint = request.checkpoint().clone().verify(key).map_err(unsigned)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.last(key)?;
        let last_size = last.as_ref().map_or(0, SignedCheckpoint::size);
        if request.old() != last_size {
            return Err(Unwitnessed::Conflict(last_size));
        }
        if let Some(last) = &last {
            check_growth(last, &checkpoint, request.proof())?;
        }
        let line = self
            .cosigner
            .cosign(&checkpoint, clock::now())
            .map_err(|error| Error::Damaged(format!("a cosignature cannot be made: {error}")))?;
        let mut batch = self.index.batch();
        batch.put_witnessed(key.name().as_str(), checkpoint.note().to_string().as_bytes())?;
        // A crash before this is done loses a cosignature that nobody has seen. One after it leaves
        // a log that was not answered: it is told 409 and the size, and asks again.
        batch.commit()?;
        Ok(print_cosignatures(&[line]))
    }

    fn key_of(&self, request: &AddCheckpoint) -> Result<&VerifierKey, Unwitnessed> {
        let origin = request.checkpoint().checkpoint().origin();
        let key = self.logs.iter().find(|key| origin.is_named(key.name()));
        key.ok_or_else(|| Unwitnessed::UnknownLog(format!("{origin} is not witnessed here")))
    }

    fn last(&self, key: &VerifierKey) -> Result<Option<SignedCheckpoint>, Error> {
        let last = self.index.witnessed(key.name().as_str())?;
        let open = |note: Vec<u8>| SignedCheckpoint::open(&note, key);
        last.map(open).transpose().map_err(|error| {
            Error::Damaged(format!("the last checkpoint of {} does not read: {error}", key.name()))
        })
    }
}

/// A log of one size has one root, and a larger one begins as the smaller.
fn check_growth(
    last: &SignedCheckpoint,
    next: &SignedCheckpoint,
    proof: &ConsistencyProof,
) -> Result<(), Unwitnessed> {
    if last.size() == next.size() && last.root() != next.root() {
        let origin = next.checkpoint().origin();
        tracing::error!(%origin, size = next.size(), "a log that is witnessed here has forked");
        return Err(Unwitnessed::Conflict(last.size()));
    }
    proof.verify(last.size(), next.size(), last.root(), next.root()).map_err(|error| {
        let origin = next.checkpoint().origin();
        tracing::error!(%origin, %error, "a log that is witnessed here does not grow from itself");
        Unwitnessed::Inconsistent(error.to_string())
    })
}

fn unsigned(error: CheckpointError) -> Unwitnessed {
    Unwitnessed::Unsigned(error.to_string())
}
