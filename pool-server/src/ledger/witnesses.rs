//! Asking witnesses: each new checkpoint is sent to those whom the operator named, and published
//! once enough of them have cosigned it.
//!
//! Nothing here holds up reading: while witnesses are away, readers have the last checkpoint that
//! was published, and entries are taken and signed as ever.

mod client;
mod seen;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use schema::api::WitnessReport;
use schema::tlog::checkpoint::SignedCheckpoint;
use schema::tlog::note::NoteSignature;
use schema::tlog::policy::Policy;
use tokio::sync::watch;
use tokio::time::Instant;

use super::kept::Kept;
use super::shown::{Published, Shown};
use crate::index::LogId;
use crate::metrics::Metrics;
use crate::rejected::Error;
use client::Client;

pub(super) use seen::{Seen, seen};

/// How long to wait before witnesses that failed are asked again; doubled with each failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a log in which nothing happens is cosigned anew: readers go by the time in cosignatures
/// to tell whether they are shown an old checkpoint.
const RENEWAL: Duration = Duration::from_secs(60 * 60);

/// The witnesses of a pool's logs.
pub(super) struct Witnesses {
    policy: Policy,
    clients: Vec<Client>,
    reports: Mutex<Vec<WitnessReport>>,
    metrics: Arc<Metrics>,
}

impl Witnesses {
    /// Reads whom to ask.
    ///
    /// # Errors
    /// A file that cannot be read, is no policy, or has a witness without an address.
    pub(super) fn open(
        file: &Path,
        timeout: Duration,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Error> {
        let (policy, clients) = read_policy(file, timeout)?;
        let reports = clients.iter().map(|client| WitnessReport {
            name: client.name().to_owned(),
            cosigned: 0,
            trouble: None,
        });
        Ok(Self { reports: Mutex::new(reports.collect()), policy, clients, metrics })
    }

    /// How each of them stands.
    pub(super) fn reports(&self) -> Vec<WitnessReport> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts to have a log's checkpoints cosigned. What comes back are the published ones; `kept`
    /// is the last that was published before.
    pub(super) fn follow(
        self: &Arc<Self>,
        log: LogId,
        signed: Shown,
        (before, kept): (Published, Kept),
        after: Option<After>,
    ) -> watch::Receiver<Arc<Published>> {
        let (published, receiver) = watch::channel(Arc::new(before));
        let sizes = vec![0; self.clients.len()];
        let witnesses = Arc::clone(self);
        let round = Round { witnesses, log, signed, after, published, kept, sizes };
        tokio::spawn(round.run());
        receiver
    }

    fn report(&self, log: LogId, at: usize, outcome: Result<u64, String>) {
        let name = self.clients[at].name();
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(size) => {
                reports[at].trouble = None;
                if log == LogId::Attestations {
                    reports[at].cosigned = size;
                }
                self.metrics.witness_cosigned(name, log.as_str(), size);
            }
            Err(why) => {
                tracing::warn!(witness = name, %log, why, "a witness did not cosign");
                reports[at].trouble = Some(format!("{log}: {why}"));
                self.metrics.witness_failed(name, log.as_str());
            }
        }
    }
}

fn read_policy(file: &Path, timeout: Duration) -> Result<(Policy, Vec<Client>), Error> {
    let setup = |detail: String| Error::Setup {
        detail: format!("{}: {detail}", file.display()),
        hint: "see c2sp.org/tlog-policy; a line is `witness NAME VKEY URL`".to_owned(),
    };
    let text = std::fs::read(file).map_err(Error::file("read", file))?;
    let policy = Policy::parse(&text).map_err(|error| setup(error.to_string()))?;
    let clients = Client::all(&policy, timeout).map_err(setup)?;
    Ok((policy, clients))
}

/// Another log that has to be published before: whoever sees an attestation must be able to see
/// the key events that came before it.
#[derive(Clone)]
pub(super) struct After {
    /// Its states that were signed.
    pub(super) signed: Shown,
    /// Its states that are published.
    pub(super) published: Shown,
}

/// What one log's checkpoints go through, one at a time.
struct Round {
    after: Option<After>,
    witnesses: Arc<Witnesses>,
    log: LogId,
    signed: Shown,
    published: watch::Sender<Arc<Published>>,
    kept: Kept,
    /// What each witness has cosigned, as far as is known here.
    sizes: Vec<u64>,
}

impl Round {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        let mut renewed = Instant::now();
        loop {
            let renew = renewed.elapsed() >= RENEWAL;
            if renew {
                renewed = Instant::now();
            }
            match self.ask_all(renew).await {
                End::Stopped => return,
                End::Newer => continue,
                End::All => {
                    pause = FIRST_PAUSE;
                    if let Ok(false) = tokio::time::timeout(RENEWAL, self.signed.changes()).await {
                        return;
                    }
                }
                End::Some => match tokio::time::timeout(pause, self.signed.changes()).await {
                    Ok(false) => return,
                    Ok(true) => {}
                    Err(_) => pause = (pause * 2).min(LONGEST_PAUSE),
                },
            }
        }
    }

    /// Has the newest checkpoint cosigned, and publishes it as soon as there are enough, then again
    /// with each cosignature that comes later. Once there are enough, a newer checkpoint does not
    /// wait for a witness that is slow. Those who have cosigned it are asked again to `renew` that.
    async fn ask_all(&mut self, renew: bool) -> End {
        let signed = self.signed.published();
        if let Some(after) = &self.after {
            // It was signed before what is to be published here.
            after.published.reaches(after.signed.published().size()).await;
        }
        let mut checkpoint = signed.checkpoint.clone();
        let current = self.published.borrow().checkpoint.clone();
        if current.note().text() == checkpoint.note().text() {
            checkpoint = current;
        }
        let mut enough = self.publish(&signed, &checkpoint);
        let witnesses = Arc::clone(&self.witnesses);
        let log = self.signed.clone();
        let mut asked: FuturesUnordered<_> = (0..witnesses.clients.len())
            .filter(|at| renew || !witnesses.clients[*at].has_cosigned(&checkpoint))
            .map(|at| {
                let (client, known) = (&witnesses.clients[at], self.sizes[at]);
                let (log, signed) = (&log, &signed);
                async move { (at, client.ask(log, signed, known).await) }
            })
            .collect();
        let mut end = End::All;
        loop {
            let (at, answer) = tokio::select! {
                answered = asked.next() => match answered {
                    Some(answered) => answered,
                    None => return end,
                },
                more = self.signed.changes(), if enough => {
                    return if more { End::Newer } else { End::Stopped };
                }
            };
            let outcome = answer.and_then(|line| self.take(at, line, &mut checkpoint));
            match &outcome {
                Ok(size) => {
                    self.sizes[at] = *size;
                    enough = self.publish(&signed, &checkpoint);
                }
                Err(_) => end = End::Some,
            }
            self.witnesses.report(self.log, at, outcome);
        }
    }

    /// Verifies a cosignature before it goes anywhere: a witness may lie.
    fn take(
        &self,
        at: usize,
        line: NoteSignature,
        checkpoint: &mut SignedCheckpoint,
    ) -> Result<u64, String> {
        let key = self.witnesses.clients[at].key();
        checkpoint.cosign(line, key).map_err(|error| error.to_string())?;
        Ok(checkpoint.size())
    }

    /// Publishes a checkpoint if enough have cosigned it, and tells whether that is so.
    fn publish(&mut self, signed: &Published, checkpoint: &SignedCheckpoint) -> bool {
        if self.witnesses.policy.check(checkpoint).is_err() {
            return false;
        }
        if self.published.borrow().checkpoint == *checkpoint {
            return true;
        }
        let published = Published::new(checkpoint.clone(), Arc::clone(&signed.edge));
        // Kept, so that readers have it after a restart, too, when no witness may be there. Should
        // that fail, they have an older one then.
        if let Err(error) = self.kept.replace(&published) {
            tracing::error!(%error, log = %self.log, "a published checkpoint was not kept");
        }
        self.published.send_replace(Arc::new(published));
        true
    }
}

/// How a round ends.
enum End {
    /// All have cosigned.
    All,
    /// Some have not.
    Some,
    /// Enough have, and there is a newer checkpoint.
    Newer,
    /// There will be no newer one: the pool stops.
    Stopped,
}
