//! The sequencer: one thread through which every change passes, in groups that share one fsync.
//!
//! An idle pool answers at once; a busy one takes up what has arrived while the last group was
//! being written. An answer is never a promise: what it says was written and synced before.

use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use schema::debug_info::BuildId;
use schema::key::{PublicKey, SecretKey};
use schema::realisation::VerifiedRealisation;
use tokio::sync::{mpsc, oneshot};

use super::signers::Signers;
use super::{Kept, Vouched};
use crate::index::{DebugInfoRecord, FileRecord, Index};
use crate::metrics::Metrics;
use crate::rejected::{Error, Failure};

mod group;
use group::Group;

/// The most attestations that are written together.
pub const MAX_GROUP: usize = 256;
/// Orders that may wait before submitters have to.
const QUEUE: usize = 1024;

/// Where an attestation stands in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its index.
    pub index: u64,
    /// Whether it was added just now.
    pub new: bool,
}

type Answer<T> = oneshot::Sender<Result<T, Failure>>;

enum Order {
    Attest { vouched: Vec<Vouched>, answer: Answer<Vec<Standing>> },
    Keep { kept: Vec<Kept>, answer: Answer<Vec<FileRecord>> },
    Enrol { key: PublicKey, answer: Answer<u64> },
    Stop { answer: Answer<()> },
    KeepDebugInfo { build_id: BuildId, record: DebugInfoRecord, answer: Answer<bool> },
    Realise { verified: VerifiedRealisation, answer: Answer<usize> },
}

impl Order {
    fn weight(&self) -> usize {
        match self {
            Self::Attest { vouched, .. } => vouched.len(),
            Self::Realise { verified, .. } => verified.signatures().len(),
            Self::Keep { kept, .. } => kept.len(),
            Self::Enrol { .. } | Self::KeepDebugInfo { .. } | Self::Stop { .. } => 1,
        }
    }
}

/// The way in for changes. Dropping it waits until the last of them is written: the thread must
/// have let go of the database before the process may end.
pub struct Sequencer {
    // Dropped in this order: the thread ends when there can be no more orders.
    orders: mpsc::Sender<Order>,
    _thread: Joined,
}

impl Sequencer {
    /// Starts the sequencer's thread. `key` is the pool's own, `signers` the table it keeps up
    /// to date.
    ///
    /// # Errors
    /// When the thread cannot be started, or the ledger's size not be read.
    pub fn start(
        index: Arc<Index>,
        key: SecretKey,
        signers: Arc<RwLock<Arc<Signers>>>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Error> {
        let (orders, inbox) = mpsc::channel(QUEUE);
        let size = index.ledger_size()?;
        let clock = Clock { last: last_time(&index, size)? };
        let worker = Worker { index, key, signers, metrics, size, clock };
        let thread = std::thread::Builder::new()
            .name("sequencer".to_owned())
            .spawn(move || worker.run(inbox))
            .map_err(Error::io("start the sequencer"))?;
        Ok(Self { orders, _thread: Joined(Some(thread)) })
    }

    /// Adds attestations to the ledger. They are written in groups of [`MAX_GROUP`].
    ///
    /// # Errors
    /// When a signer claims too many things of one path, or the database fails.
    pub async fn attest(&self, vouched: Vec<Vouched>) -> Result<Vec<Standing>, Failure> {
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

    /// Makes a key a signer. Answers with the time of its enrolment, POSIX seconds.
    ///
    /// # Errors
    /// A name or key that is taken, or a failing database.
    pub async fn enrol(&self, key: PublicKey) -> Result<u64, Failure> {
        self.order(|answer| Order::Enrol { key, answer }).await
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
    key: SecretKey,
    signers: Arc<RwLock<Arc<Signers>>>,
    metrics: Arc<Metrics>,
    size: u64,
    clock: Clock,
}

impl Worker {
    fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        while let Some(first) = inbox.blocking_recv() {
            let mut weight = first.weight();
            let mut orders = vec![first];
            while weight < MAX_GROUP {
                let Ok(next) = inbox.try_recv() else { break };
                weight += next.weight();
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

    /// A crash before the commit leaves nothing of the group, and nobody was answered. A crash
    /// after it leaves all of it; whoever was not answered asks again and is told where it stands.
    fn take(&mut self, orders: Vec<Order>) {
        let signers =
            Arc::clone(&self.signers.read().unwrap_or_else(std::sync::PoisonError::into_inner));
        let mut group = Group::new(&self.index, &self.key, &signers, self.size, self.clock.now());
        let answers: Vec<Reply> =
            orders.into_iter().map(|order| answer_later(&mut group, order)).collect();
        let size = group.size();
        let enrolled = group.enrolled();
        let failed = group.commit().err().map(|error| error.to_string());
        match &failed {
            Some(error) => tracing::error!(%error, "a group of changes was not written"),
            None => {
                self.metrics.sequencer_batch_size.record((size - self.size) as f64);
                self.size = size;
                self.metrics.ledger_size.set(size as f64);
                if let Some(table) = enrolled {
                    *self.signers.write().unwrap_or_else(std::sync::PoisonError::into_inner) =
                        Arc::new(table);
                }
            }
        }
        for answer in answers {
            answer(failed.as_deref());
        }
    }
}

/// Sends an answer, once it is known whether the group failed, and why.
type Reply = Box<dyn FnOnce(Option<&str>) + Send>;

/// Takes an order into the group; the answer goes out once the group is written or has failed.
fn answer_later(group: &mut Group<'_>, order: Order) -> Reply {
    match order {
        Order::Attest { vouched, answer } => reply(answer, group.attest(vouched)),
        Order::Keep { kept, answer } => reply(answer, group.keep(kept)),
        Order::Enrol { key, answer } => reply(answer, group.enrol(key)),
        Order::Stop { answer } => reply(answer, Ok(())),
        Order::KeepDebugInfo { build_id, record, answer } => {
            reply(answer, group.keep_debug_info(build_id, record))
        }
        Order::Realise { verified, answer } => reply(answer, group.realise(&verified)),
    }
}

fn reply<T: Send + 'static>(answer: Answer<T>, result: Result<T, Failure>) -> Reply {
    Box::new(move |failed| {
        let result = match failed {
            Some(error) => result.and_then(|_| Err(Error::Index(error.to_owned()).into())),
            None => result,
        };
        // Whoever asked may have gone; what was written stays.
        let _ = answer.send(result);
    })
}

/// Time for entries: never earlier than the entry before.
struct Clock {
    last: u64,
}

impl Clock {
    fn now(&mut self) -> u64 {
        self.last = self.last.max(unix_time());
        self.last
    }
}

fn last_time(index: &Index, size: u64) -> Result<u64, Error> {
    let last = size.checked_sub(1).map(|last| index.entry(last)).transpose()?;
    Ok(last.flatten().map_or(0, |entry| entry.logged_at))
}

/// POSIX seconds now; zero on a machine whose clock stands before 1970.
#[must_use]
pub fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
