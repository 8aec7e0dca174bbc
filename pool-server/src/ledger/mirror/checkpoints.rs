//! Checkpoints that are brought: entries may be added up to one that has grown from those before, and
//! one that has not is evidence.

use std::sync::Arc;

use schema::hash::TreeHash;
use schema::tlog::checkpoint::{SignedCheckpoint, UnverifiedCheckpoint};
use schema::tlog::fork::AddFork;
use schema::tlog::merkle::{self, EMPTY_ROOT};
use schema::tlog::mirror::MirrorInfo;
use schema::tlog::witness::AddCheckpoint;

use super::Mirror;
use super::held::{HeldLog, State};
use crate::clock;
use crate::index::ForkRecord;
use crate::ledger::shown::{full_hashes, unreadable};
use crate::rejected::{Error, Rejected};

/// Whoever does not say from whom a checkpoint is.
const UNNAMED: &str = "somebody";
/// Checkpoints up to which entries may be added: of more, the smallest is forgotten.
const MAX_PENDING: usize = 8;

/// Why a checkpoint, or entries up to one, are not taken. Each has a status of its own in the protocol.
#[derive(Debug)]
pub enum Unmirrored {
    /// 400: not a request.
    Malformed(String),
    /// 403: not signed by the log's key.
    Unsigned(String),
    /// 404: not a log that is mirrored here.
    UnknownLog(String),
    /// 409: another checkpoint than the sender thinks is the newest: the size of it.
    Conflict(u64),
    /// 409: entries that do not come next, or up to no checkpoint: what would.
    Behind(MirrorInfo),
    /// 422: the log has not grown from what was seen of it, or has forked.
    Inconsistent(String),
    /// As the rest of the pool puts it.
    Rejected(Rejected),
    /// Our fault.
    Failed(Error),
}

impl From<Error> for Unmirrored {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Mirror {
    /// Allows entries up to a checkpoint that the log has signed and that has grown from the one
    /// before. `source` is the address of whoever showed it, if that is told.
    ///
    /// # Errors
    /// Why not.
    pub fn add_checkpoint(&self, body: &[u8], source: Option<&str>) -> Result<(), Unmirrored> {
        let request =
            AddCheckpoint::parse(body).map_err(|error| Unmirrored::Malformed(error.to_string()))?;
        let (log, shown) = self.shown_of(request.checkpoint())?;
        let _turn = log.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut state = log.state().clone();
        refuse_forked(&log, &state)?;
        self.look_for_fork(&log, &state, &shown, source.unwrap_or(UNNAMED))?;
        let mut batch = self.index.batch();
        if let Some(source) = source
            && let Some(record) = state.sources.learn(source, &shown)
        {
            batch.put_mirror_source(log.at, source, record)?;
        }
        let size = shown.size();
        let newest = state.pending_size();
        let grown = check_growth(&request, &state, &shown, newest);
        if grown.is_ok() && (shown.size() > newest || state.pending.is_empty()) {
            let note = shown.note().to_string();
            batch.put_pending(log.at, shown.size(), note.as_bytes())?;
            state.pending.push(shown);
            while state.pending.len() > MAX_PENDING {
                batch.delete_pending(log.at, state.pending.remove(0).size())?;
            }
        }
        // What is pending is durable before anybody adds to it: nothing else of this size ever will be.
        batch.commit()?;
        let published = log.shown().map(|shown| shown.published().size());
        let mut held = log.state();
        (held.pending, held.sources, held.heard_at) = (state.pending, state.sources, clock::now());
        if grown.is_ok() && published == Some(size) {
            held.whole_at = held.heard_at;
        }
        drop(held);
        self.measure(&log);
        grown
    }

    /// Takes the proof that a log has signed another history than the one that is mirrored here. The
    /// log is not followed any more; what was verified of it goes on being served.
    ///
    /// # Errors
    /// When that is not proven.
    pub fn add_fork(&self, body: &[u8], source: Option<&str>) -> Result<(), Unmirrored> {
        let request =
            AddFork::parse(body).map_err(|error| Unmirrored::Malformed(error.to_string()))?;
        let (log, shown) = self.shown_of(request.checkpoint())?;
        let _turn = log.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let state = log.state().clone();
        refuse_forked(&log, &state)?;
        let size = request.old();
        let proof = request.proof();
        let theirs = proof.old_root(size, shown.size(), shown.root()).map_err(|error| {
            Unmirrored::Inconsistent(format!("it proves nothing of the first {size}: {error}"))
        })?;
        let ours = self.root_here(&log, &state, size)?;
        if ours == Some(theirs) || ours.is_none() {
            let why = format!("the log's first {size} entries are no others than those here");
            return Err(Unmirrored::Inconsistent(why));
        }
        let proof = proof.hashes().iter().map(ToString::to_string).collect();
        self.keep_fork(&log, &state, (&shown, size, proof), source.unwrap_or(UNNAMED))
    }

    /// A checkpoint that its log has signed, and the log. Signatures of others are left out: anybody could
    /// add some, and they may be no signatures.
    fn shown_of(
        &self,
        checkpoint: &UnverifiedCheckpoint,
    ) -> Result<(Arc<HeldLog>, SignedCheckpoint), Unmirrored> {
        let origin = checkpoint.checkpoint().origin();
        let log = self
            .log_of(origin)
            .ok_or_else(|| Unmirrored::UnknownLog(format!("{origin} is not mirrored here")))?;
        let shown = checkpoint.clone().verify(&log.key);
        let shown = shown.map_err(|error| Unmirrored::Unsigned(error.to_string()))?;
        let shown = shown.alone(&log.key);
        Ok((log, shown))
    }

    /// A tree no larger than what is here must be what is here.
    fn look_for_fork(
        &self,
        log: &HeldLog,
        state: &State,
        shown: &SignedCheckpoint,
        source: &str,
    ) -> Result<(), Unmirrored> {
        let ours = self.root_here(log, state, shown.size())?;
        if ours.is_none_or(|ours| ours == *shown.root()) {
            return Ok(());
        }
        self.keep_fork(log, state, (shown, shown.size(), Vec::new()), source)?;
        refuse_forked(log, &log.state().clone())
    }

    /// The root of the log's first `size` entries, if so many are here or a checkpoint tells it.
    pub(super) fn root_here(
        &self,
        log: &HeldLog,
        state: &State,
        size: u64,
    ) -> Result<Option<TreeHash>, Error> {
        if let Some(pending) = state.pending.iter().find(|pending| pending.size() == size) {
            return Ok(Some(*pending.root()));
        }
        if size > state.edge.size() {
            return Ok(None);
        }
        let nodes = state.edge.nodes(|tile| full_hashes(&self.index, log.at, &tile));
        merkle::root(size, &nodes).map(Some).map_err(unreadable)
    }

    fn keep_fork(
        &self,
        log: &HeldLog,
        state: &State,
        (shown, size, proof): (&SignedCheckpoint, u64, Vec<String>),
        source: &str,
    ) -> Result<(), Unmirrored> {
        let origin = shown.checkpoint().origin();
        // The one of our own that has these entries; there is one, for they were proven by it.
        let mirrored = state.pending.iter().find(|pending| pending.size() >= size);
        let published = log.shown().map(|shown| shown.published().checkpoint.clone());
        let mirrored = mirrored.cloned().or(published).map(|it| it.note().to_string());
        let fork = ForkRecord {
            mirrored: mirrored.unwrap_or_default(),
            other: shown.note().to_string(),
            size,
            proof,
            source: source.to_owned(),
            met_at: clock::now(),
        };
        let mut batch = self.index.batch();
        batch.put_fork(log.at, &fork)?;
        batch.commit()?;
        tracing::error!(%origin, size, source, "a log that is mirrored here has forked");
        log.state().fork = Some(fork);
        self.measure(log);
        Ok(())
    }
}

/// What this request says must follow from what was said last.
fn check_growth(
    request: &AddCheckpoint,
    state: &State,
    shown: &SignedCheckpoint,
    newest: u64,
) -> Result<(), Unmirrored> {
    if shown.size() < newest || request.old() != newest {
        return Err(Unmirrored::Conflict(newest));
    }
    let last = state.pending.last().map_or(&EMPTY_ROOT, SignedCheckpoint::root);
    let grown = request.proof().verify(newest, shown.size(), last, shown.root());
    grown.map_err(|error| Unmirrored::Inconsistent(error.to_string()))
}

pub(super) fn refuse_forked(log: &HeldLog, state: &State) -> Result<(), Unmirrored> {
    let Some(fork) = &state.fork else { return Ok(()) };
    let name = log.key.name();
    Err(Unmirrored::Inconsistent(format!(
        "the log {name} has forked: {} showed another history of its first {} entries than the one \
         that is mirrored here, and it has signed both",
        fork.source, fork.size
    )))
}
