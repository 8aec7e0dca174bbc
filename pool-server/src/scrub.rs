//! Reading every NAR once in a while, in the background, so that damage is found while there still is
//! somebody who has the NAR whole; and seeing at once to those that were found damaged when somebody
//! asked for them.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use schema::hash::NarHash;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::background;
use crate::fsck::Stop;
use crate::pool::Pool;

/// Suspects that may wait. One more is met again when somebody asks for it again.
const SUSPECTS: usize = 64;
/// After a failure.
const PAUSE: Duration = Duration::from_secs(60);

/// The way in for NARs that may be damaged, and the tasks.
pub struct Scrub {
    suspects: mpsc::Sender<NarHash>,
    stopping: watch::Sender<bool>,
    stop: Arc<Stop>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What is handed to the tasks once there is a pool.
pub struct Suspects(mpsc::Receiver<NarHash>);

impl Scrub {
    /// Before there is a pool.
    #[must_use]
    pub fn new() -> (Self, Suspects) {
        let (suspects, inbox) = mpsc::channel(SUSPECTS);
        let (stopping, stop, tasks) = (watch::Sender::new(false), Arc::default(), Mutex::default());
        (Self { suspects, stopping, stop, tasks }, Suspects(inbox))
    }

    /// Has a NAR looked at whose file is not as it should be.
    pub fn suspect(&self, nar_hash: NarHash) {
        // One for which there is no room is met again.
        let _ = self.suspects.try_send(nar_hash);
    }

    /// Starts the tasks. They keep no pool open that nobody else does.
    pub fn start(&self, pool: &Arc<Pool>, suspects: Suspects) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let stopping = || self.stopping.subscribe();
        tasks.push(tokio::spawn(see_to(Arc::downgrade(pool), suspects.0, stopping())));
        if !pool.config.scrub_interval.is_zero() {
            let stop = Arc::clone(&self.stop);
            tasks.push(tokio::spawn(run(Arc::downgrade(pool), stop, stopping())));
        }
    }

    /// Ends the tasks, and waits until they have let go of the database.
    pub async fn stop(&self) {
        self.stop.stop();
        self.stopping.send_replace(true);
        let tasks: Vec<JoinHandle<()>> =
            std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            // Should it have panicked, that was reported then.
            let _ = task.await;
        }
    }
}

/// Withdraws those NARs that were found damaged.
async fn see_to(
    pool: Weak<Pool>,
    mut suspects: mpsc::Receiver<NarHash>,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let suspect = tokio::select! {
            suspect = suspects.recv() => suspect,
            _ = stopping.changed() => None,
        };
        let (Some(nar_hash), Some(pool)) = (suspect, pool.upgrade()) else { return };
        if let Err(error) = pool.look_at(nar_hash).await {
            tracing::error!(%error, %nar_hash, "a damaged NAR was not withdrawn");
        }
    }
}

/// Reads NARs, a few at a time, for as long as there is a pool.
async fn run(pool: Weak<Pool>, stop: Arc<Stop>, mut stopping: watch::Receiver<bool>) {
    while let Some(pool) = pool.upgrade() {
        let stop = Arc::clone(&stop);
        let read = background::run("scrub", move || pool.scrub(&stop)).await;
        let pause = read.flatten().unwrap_or_else(|error| {
            tracing::error!(%error, "NARs could not be read in the background");
            PAUSE
        });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopping.changed() => return,
        }
    }
}
