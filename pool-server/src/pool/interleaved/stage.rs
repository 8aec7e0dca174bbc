//! Where tasks are held up, and let on one at a time.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::place::Place;

/// At most one run is under way in a process: each test has one of its own.
static STAGE: Mutex<Stage> = Mutex::new(Stage::empty());
static ARRIVED: Notify = Notify::const_new();
/// How far the clock is ahead, in seconds.
static AHEAD: AtomicU64 = AtomicU64::new(0);

/// What a task does.
pub(super) type Act = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Stage {
    running: Option<usize>,
    held: BTreeMap<usize, Held>,
    story: Vec<(usize, String)>,
}

struct Held {
    go: oneshot::Sender<()>,
    /// It waits for another, and is let on only once one has come further.
    stuck: bool,
}

/// What unwinds a task that was under way in a crash.
struct Crash;

impl Stage {
    const fn empty() -> Self {
        Self { running: None, held: BTreeMap::new(), story: Vec::new() }
    }

    /// Somebody has come further: perhaps by giving back what others wait for.
    fn moved(&mut self) {
        self.held.values_mut().for_each(|held| held.stuck = false);
    }
}

/// See [`crate::place::at`].
pub(crate) async fn at(place: Place) {
    hold(format!("{place:?}"), false).await;
}

/// See [`crate::place::until`].
pub(crate) async fn until(given_back: impl Future<Output = ()>) {
    if stage().running.is_some() {
        hold("waits".to_owned(), true).await;
    } else {
        given_back.await;
    }
}

/// How far the tests have put the clock ahead, in seconds.
pub(crate) fn ahead() -> u64 {
    AHEAD.load(Ordering::SeqCst)
}

/// Puts the clock ahead.
pub(super) fn put_ahead(seconds: u64) {
    AHEAD.fetch_add(seconds, Ordering::SeqCst);
}

/// Begins a run: every task waits to begin.
pub(super) async fn begin(acts: Vec<(String, Act)>) -> Vec<JoinHandle<()>> {
    *stage() = Stage::empty();
    let mut tasks = Vec::new();
    for (number, (name, act)) in acts.into_iter().enumerate() {
        stage().running = Some(number);
        tasks.push(tokio::spawn(async move {
            hold(name, false).await;
            act.await;
            leave();
        }));
        quiet().await;
    }
    tasks
}

/// The tasks that can be let on; nobody runs then.
pub(super) async fn ready() -> Vec<usize> {
    quiet().await;
    let stage = stage();
    stage.held.iter().filter(|(_, held)| !held.stuck).map(|(number, _)| *number).collect()
}

/// Whether there are tasks that wait for others.
pub(super) fn is_stuck() -> bool {
    !stage().held.is_empty()
}

/// Lets one task on.
pub(super) fn let_on(number: usize) {
    let mut stage = stage();
    let Some(held) = stage.held.remove(&number) else { panic!("{number} is not held up") };
    stage.running = Some(number);
    drop(stage);
    // The task may have panicked, which is told when it is joined.
    let _ = held.go.send(());
}

/// Nobody goes on from where they are.
pub(super) fn crash() {
    stage().story.push((usize::MAX, "crash".to_owned()));
    stage().held.clear();
}

/// What happened in this run.
pub(super) fn story() -> String {
    let mut out = String::new();
    for (number, step) in &stage().story {
        let _ = match number {
            &usize::MAX => writeln!(out, "  {step}"),
            number => writeln!(out, "  task {number}: {step}"),
        };
    }
    out
}

async fn hold(name: String, stuck: bool) {
    let waiting = {
        let mut stage = stage();
        // Who is not of the run, such as its checks, goes by.
        let Some(number) = stage.running.take() else { return };
        if !stuck {
            stage.moved();
        }
        let (go, waiting) = oneshot::channel();
        stage.held.insert(number, Held { go, stuck });
        stage.story.push((number, name));
        waiting
    };
    ARRIVED.notify_one();
    if waiting.await.is_err() {
        // Without a word on standard error: it is no failure.
        resume_unwind(Box::new(Crash));
    }
}

fn leave() {
    let mut stage = stage();
    if let Some(number) = stage.running.take() {
        stage.story.push((number, "done".to_owned()));
        stage.moved();
    }
    drop(stage);
    ARRIVED.notify_one();
}

async fn quiet() {
    while stage().running.is_some() {
        ARRIVED.notified().await;
    }
}

fn stage() -> MutexGuard<'static, Stage> {
    STAGE.lock().unwrap_or_else(PoisonError::into_inner)
}
