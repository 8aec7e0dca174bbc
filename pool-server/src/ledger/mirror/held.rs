//! One log of another pool's, as far as it is here.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use schema::hash::OriginHash;
use schema::tlog::checkpoint::{Origin, SignedCheckpoint};
use schema::tlog::cosignature::{CosignatureError, Cosigner};
use schema::tlog::edge::Edge;
use schema::tlog::mirror::origin_hash;
use schema::tlog::note::{NoteSignature, VerifierKey};
use tokio::sync::watch;

use super::source::Sources;
use crate::clock;
use crate::index::{ForkRecord, Index, LogAt};
use crate::ledger::log::resume;
use crate::ledger::shown::{Published, Shown};
use crate::rejected::Error;

/// A log that is mirrored.
pub(super) struct HeldLog {
    pub(super) at: LogAt,
    pub(super) key: VerifierKey,
    /// Where it is served.
    pub(super) address: OriginHash,
    index: Arc<Index>,
    state: Mutex<State>,
    /// What is shown of it, once something is.
    published: OnceLock<(watch::Sender<Arc<Published>>, Shown)>,
    /// Held from the look at the checkpoints until the next is durable.
    pub(super) turn: Mutex<()>,
}

/// How far it is.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// Checkpoints up to which entries may be added, the smallest first.
    pub(super) pending: Vec<SignedCheckpoint>,
    /// Of all the entries that are here.
    pub(super) edge: Edge,
    /// What was shown by whom.
    pub(super) sources: Sources,
    /// How it has forked, if it has.
    pub(super) fork: Option<ForkRecord>,
    /// When somebody last brought word of it, POSIX seconds.
    pub(super) heard_at: u64,
    /// When it was last known that nothing newer is signed than what is shown here, POSIX seconds.
    pub(super) whole_at: u64,
}

impl State {
    /// How large the log is known to be.
    pub(super) fn pending_size(&self) -> u64 {
        self.pending.last().map_or(0, SignedCheckpoint::size)
    }
}

impl HeldLog {
    pub(super) fn open(
        at: LogAt,
        key: VerifierKey,
        index: &Arc<Index>,
        cosigner: &Cosigner,
    ) -> Result<Self, Error> {
        let open = |note: Vec<u8>| {
            SignedCheckpoint::open(&note, &key)
                .map_err(|error| Error::Damaged(format!("a checkpoint of the log {at}: {error}")))
        };
        let pending = index.pending_checkpoints(at)?.into_iter().map(open);
        let state = State {
            pending: pending.collect::<Result<_, _>>()?,
            edge: resume(at, index, index.log_size(at)?)?,
            sources: Sources::open(index.mirror_sources(at)?),
            fork: index.fork(at)?,
            heard_at: 0,
            whole_at: 0,
        };
        let address = origin_hash(&Origin::from(key.name()));
        let held = Self {
            at,
            address,
            index: Arc::clone(index),
            state: Mutex::new(state),
            published: OnceLock::new(),
            turn: Mutex::new(()),
            key,
        };
        if let Some(note) = index.mirror_checkpoint(held.at)? {
            let (checkpoint, cosigned_at) = open_cosigned(&note, &held.key, cosigner)?;
            let edge = held.whole(&checkpoint)?;
            held.publish(checkpoint, edge);
            held.state().whole_at = cosigned_at;
        }
        Ok(held)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log as its readers see it.
    pub(super) fn shown(&self) -> Option<Shown> {
        self.published.get().map(|(_, shown)| shown.clone())
    }

    /// The edge of what is here up to a checkpoint.
    ///
    /// # Errors
    /// When the entries are not those of the checkpoint.
    pub(super) fn whole(&self, checkpoint: &SignedCheckpoint) -> Result<Edge, Error> {
        let (size, at) = (checkpoint.size(), self.at);
        let edge = self.state().edge.clone();
        let edge = if edge.size() == size { edge } else { resume(at, &self.index, size)? };
        if edge.root() != *checkpoint.root() {
            return Err(Error::Damaged(format!("the log {at} is not its checkpoint of {size}")));
        }
        Ok(edge)
    }

    /// Shows what is whole, durable and cosigned.
    pub(super) fn publish(&self, checkpoint: SignedCheckpoint, edge: Edge) {
        let published = Arc::new(Published::new(checkpoint, Arc::new(edge)));
        let (sender, _) = self.published.get_or_init(|| {
            let (sender, receiver) = watch::channel(Arc::clone(&published));
            (sender, Shown::new(self.at, Arc::clone(&self.index), receiver))
        });
        sender.send_replace(published);
    }
}

/// A checkpoint that this mirror cosigned, and when. After the mirror was renamed it cosigns again.
fn open_cosigned(
    note: &[u8],
    key: &VerifierKey,
    cosigner: &Cosigner,
) -> Result<(SignedCheckpoint, u64), Error> {
    let damaged = |why: String| Error::Damaged(format!("the mirrored log {}: {why}", key.name()));
    let mut checkpoint =
        SignedCheckpoint::open(note, key).map_err(|error| damaged(error.to_string()))?;
    let times = checkpoint.cosignatures([cosigner.verifier()]);
    let times = times.map_err(|error| damaged(error.to_string()))?;
    let time = match times.first() {
        Some(cosignature) => cosignature.time,
        None => cosign(&mut checkpoint, cosigner).map_err(|error| damaged(error.to_string()))?.0,
    };
    Ok((checkpoint, time))
}

/// Cosigns a checkpoint of which everything is durable. Answers with when, and with the line.
pub(super) fn cosign(
    checkpoint: &mut SignedCheckpoint,
    cosigner: &Cosigner,
) -> Result<(u64, NoteSignature), CosignatureError> {
    let line = cosigner.cosign(checkpoint, clock::now())?;
    Ok((checkpoint.cosign(line.clone(), cosigner.verifier())?, line))
}
