//! The sequencer: one thread through which every change passes, in groups that share their syncs.
//!
//! An idle pool answers at once; a busy one takes up what has arrived while the last group was
//! being written. An answer is never a promise: what it says was written, signed and synced before.
//!
//! The keys log and the attestations log are sequenced together: whether a key may attest is
//! decided by the events before, and each event says how many attestations came before it.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;

use schema::api::KeyEventLogged;
use schema::debug_info::BuildId;
use schema::key_event::SignedKeyEvent;
use schema::realisation::VerifiedRealisation;
use schema::tlog::edge::Edge;
use tokio::sync::{mpsc, oneshot};

use super::log::Log;
use super::step::{Step, reached};
use super::{Kept, Vouched};
use crate::index::{DebugInfoRecord, FileRecord, Index, LogAt};
use crate::metrics::Metrics;
use crate::rejected::{Error, Failure, Rejected};
use crate::roll::Roll;

mod clock;
mod group;
mod mirrored;
mod orders;
pub(super) mod replay;
mod retention;
mod withdrawn;
use clock::Clock;
pub(super) use group::origin_taken;
use group::{Group, Stages};
use orders::{Answer, Order, Reply, reply};
pub use retention::{Roots, Unneeded};
pub use withdrawn::Mending;

/// The most attestations that are written together.
pub const MAX_GROUP: usize = 256;
/// Orders that may wait before submitters have to.
const QUEUE: usize = 1024;

/// Where an entry stands in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its index.
    pub index: u64,
    /// Whether it was added just now.
    pub new: bool,
}

/// The logs that are written here.
pub(super) struct Logs {
    pub(super) keys: Log,
    pub(super) attestations: Log,
    /// The right edges of the logs of others.
    pub(super) mirrored: HashMap<LogAt, Edge>,
}

/// The way in for changes. Dropping it waits until the last of them is written: the thread must
/// have let go of the database before the process may end.
pub struct Sequencer {
    // Dropped in this order: the thread ends when there can be no more orders.
    orders: mpsc::Sender<Order>,
    refusal: Option<Rejected>,
    _thread: Joined,
}

impl Sequencer {
    /// Starts the sequencer's thread, which keeps `roll` up to date. With a refusal it logs nothing.
    ///
    /// # Errors
    /// When the thread cannot be started, or the ledger not be read.
    pub(super) fn start(
        index: Arc<Index>,
        logs: Logs,
        roll: Arc<RwLock<Arc<Roll>>>,
        metrics: Arc<Metrics>,
        refusal: Option<Rejected>,
    ) -> Result<Self, Error> {
        let (orders, inbox) = mpsc::channel(QUEUE);
        let clock = Clock::after(&index, &logs)?;
        let worker = Worker { index, logs, roll, metrics, clock, roots: 0 };
        let thread = std::thread::Builder::new()
            .name("sequencer".to_owned())
            .spawn(move || worker.run(inbox))
            .map_err(Error::io("start the sequencer"))?;
        Ok(Self { orders, refusal, _thread: Joined(Some(thread)) })
    }

    /// Adds attestations to the ledger. They are written in groups of [`MAX_GROUP`].
    ///
    /// # Errors
    /// When a signer claims too many things of one path, nothing may be logged, or the database fails.
    pub async fn attest(&self, vouched: Vec<Vouched>) -> Result<Vec<Standing>, Failure> {
        self.check_open()?;
        let mut standings = Vec::with_capacity(vouched.len());
        let mut vouched = vouched.into_iter();
        loop {
            let group: Vec<Vouched> = vouched.by_ref().take(MAX_GROUP).collect();
            if group.is_empty() {
                return Ok(standings);
            }
            standings.extend(self.order(|answer| Order::Attest { vouched: group, answer }).await?);
        }
    }

    /// Remembers NARs that lie in their places. Answers with the files the pool keeps, which are
    /// others where the pool had the NAR before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep(&self, kept: Vec<Kept>) -> Result<Vec<FileRecord>, Failure> {
        self.order(|answer| Order::Keep { kept, answer }).await
    }

    /// Adds an event to the keys log, if its signatures and the rules allow.
    ///
    /// # Errors
    /// What the table of signers has against it, that nothing may be logged, or a failing database.
    pub async fn key_event(&self, event: SignedKeyEvent) -> Result<KeyEventLogged, Failure> {
        self.check_open()?;
        let event = Box::new(event);
        self.order(|answer| Order::KeyEvent { event, answer }).await
    }

    /// Remembers where the debug information of a build id lies, unless it is known of a NAR that
    /// is here. Answers with whether it was taken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_debug_info(
        &self,
        build_id: BuildId,
        record: DebugInfoRecord,
    ) -> Result<bool, Failure> {
        self.order(|answer| Order::KeepDebugInfo { build_id, record, answer }).await
    }

    /// Keeps the signatures over a realisation, all or none. They do not enter the ledger.
    /// Answers with how many are new.
    ///
    /// # Errors
    /// When a signer says too many things of one output, or the database fails.
    pub async fn realise(&self, verified: VerifiedRealisation) -> Result<usize, Failure> {
        self.order(|answer| Order::Realise { verified, answer }).await
    }

    /// Ends the sequencer, once it has written what was ordered before. Its thread has let go of
    /// the database when this returns, so that the process can end without pulling it from under it.
    pub async fn stop(&self) {
        let _ = self.order(|answer| Order::Stop { answer }).await;
    }

    /// Whether anything may be logged.
    ///
    /// # Errors
    /// Why not.
    pub fn check_open(&self) -> Result<(), Rejected> {
        self.refusal.clone().map_or(Ok(()), Err)
    }

    async fn order<T>(&self, order: impl FnOnce(Answer<T>) -> Order) -> Result<T, Failure> {
        let (answer, answered) = oneshot::channel();
        let stopped = || Error::Index("the sequencer has stopped; see the log for why".to_owned());
        self.orders.send(order(answer)).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

/// A thread that is waited for.
struct Joined(Option<JoinHandle<()>>);

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // Should it have panicked, that was reported then.
            let _ = thread.join();
        }
    }
}

struct Worker {
    index: Arc<Index>,
    logs: Logs,
    roll: Arc<RwLock<Arc<Roll>>>,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// How many pins there ever were since it began.
    roots: u64,
}

impl Worker {
    fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        let mut held = None;
        while let Some(first) = held.take().or_else(|| inbox.blocking_recv()) {
            let mut weight = first.weight();
            let mut orders = vec![first];
            while let Ok(next) = inbox.try_recv() {
                weight += next.weight();
                if weight > MAX_GROUP {
                    held = Some(next);
                    break;
                }
                orders.push(next);
            }
            let stop = orders.iter().position(|order| matches!(order, Order::Stop { .. }));
            let mut rest = orders.split_off(stop.unwrap_or(orders.len()));
            self.take(orders);
            if let Some(Order::Stop { answer }) = rest.drain(..).next() {
                drop(self);
                let _ = answer.send(Ok(()));
                return;
            }
        }
    }

    fn take(&mut self, orders: Vec<Order>) {
        let roll = Arc::clone(&self.roll.read().unwrap_or_else(std::sync::PoisonError::into_inner));
        let logs = (&self.logs, self.roots);
        let mut group = Group::new(&self.index, &roll, logs, self.clock.now());
        let answers: Vec<Reply> =
            orders.into_iter().map(|order| order.answer_later(&mut group)).collect();
        // A crash here leaves nothing of the group, and nobody was answered.
        reached(Step::Staged);
        let roll = group.roll();
        let failed = match group.commit() {
            Ok(stages) => self.publish(stages, roll).err(),
            Err(error) => Some(error),
        };
        if let Some(error) = &failed {
            tracing::error!(%error, "a group of changes was not written, or not signed");
        }
        for answer in answers {
            answer(failed.as_ref());
        }
        reached(Step::Answered);
    }

    /// Signs and shows what was written. Should it fail, the entries stay written and unsigned until
    /// the pool is opened anew: what the head's file has then is not known before.
    fn publish(&mut self, stages: Stages, roll: Option<Roll>) -> Result<(), Error> {
        // A crash here leaves the whole group written. The next start signs it; whoever was not
        // answered asks again and is told where it stands.
        reached(Step::Written);
        let size = stages.attestations.size();
        self.metrics.sequencer_batch_size.record((size - self.logs.attestations.size()) as f64);
        self.metrics.ledger_size.set(size as f64);
        self.roots = stages.roots;
        self.logs.keys.written(stages.keys);
        self.logs.attestations.written(stages.attestations);
        for (log, stage) in stages.mirrored {
            self.logs.mirrored.insert(log, stage.into_edge());
        }
        if let Some(roll) = roll {
            *self.roll.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(roll);
        }
        // First the keys: nobody is to see an attestation by a key of which they cannot know.
        let signed = self.logs.keys.sign().and_then(|()| self.logs.attestations.sign());
        signed.map_err(|error| self.index.halt(&error).into())
    }
}

#[cfg(test)]
pub(super) mod crash_tests;
#[cfg(test)]
mod tests;
