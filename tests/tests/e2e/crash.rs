//! The server is killed while clients push and attest, at instants left to chance. Whatever it
//! acknowledged is there ever after, and nothing is there by halves.

mod audit;
mod leftovers;
mod notes;
mod piece;
mod pusher;
mod torn;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tempfile::TempDir;
use tests::client::Client;
use tests::deadline::DEADLINE;
use tests::nar::key;
use tests::random::Random;
use tests::run::{long, seed};
use tests::server::Server;
use tokio::task::JoinSet;
use tokio::time::timeout;

use audit::{Auditor, Strays};
use notes::Notes;
use pusher::Pusher;

/// Who push at once: three for each signer.
const PUSHERS: usize = 6;
/// Names and seeds of their keys.
const SIGNERS: [(&str, u8); 2] = [("alice", 1), ("bob", 2)];
/// A round ends after so many acknowledgements at most.
const MOST_ACKNOWLEDGED: u64 = 60;
/// Turns of an empty loop: about the time of a few requests, and of a whole start.
const FEW_REQUESTS: u64 = 400_000;
const WHOLE_START: u64 = 8_000_000;

/// A pool that is killed and started again, and what it owes.
struct Scene {
    dir: TempDir,
    random: Random,
    notes: Arc<Notes>,
}

impl Scene {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            random: Random::new(seed()),
            notes: Arc::default(),
        }
    }

    fn data(&self) -> &Path {
        self.dir.path()
    }

    /// Starts the server; half of the time it is killed while it starts, and started again.
    async fn start(&mut self) -> Server {
        self.start_with(&[]).await
    }

    async fn start_with(&mut self, arguments: &[&str]) -> Server {
        while self.random.one_of(&[true, false]) {
            let random = &mut self.random;
            Server::start_and_kill(self.dir.path(), || random.dawdle(WHOLE_START));
        }
        let server = Server::start(self.data(), arguments);
        let admin = Client::admin(&server);
        for (name, seed) in SIGNERS {
            admin.enrol(&key(name, seed).public()).await;
        }
        server
    }

    async fn push_and_kill(&mut self, server: Server, round: u64) {
        self.push_until(server, round, Server::kill).await;
    }

    /// Has everybody push until the server is ended, which is after a while of their progress.
    async fn push_until(&mut self, server: Server, round: u64, end: impl FnOnce(Server)) {
        self.notes.server_is_up();
        let mut pushers = JoinSet::new();
        for number in 0..PUSHERS {
            let (name, seed) = SIGNERS[number % SIGNERS.len()];
            let random = Random::new(self.random.number());
            let notes = Arc::clone(&self.notes);
            pushers.spawn(
                Pusher::new(Client::admin(&server), key(name, seed), round, random, notes)
                    .push_on(),
            );
        }
        let enough = self.random.within(0..MOST_ACKNOWLEDGED);
        timeout(DEADLINE, self.notes.acknowledged(enough)).await.expect("pushes are acknowledged");
        self.random.dawdle(FEW_REQUESTS);
        self.notes.server_is_ended();
        end(server);
        while let Some(ended) = timeout(DEADLINE, pushers.join_next()).await.expect("a pusher ends")
        {
            ended.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_any_kill() {
    let mut scene = Scene::new();
    let mut auditor = Auditor::new(Strays::None);
    let start = Instant::now();
    let rounds = if long() { 50 } else { 5 };
    for round in 0..rounds {
        let server = scene.start().await;
        auditor.audit(&server, &scene.notes).await;
        scene.push_and_kill(server, round).await;
    }
    let server = scene.start().await;
    auditor.read_all_again();
    auditor.audit(&server, &scene.notes).await;
    let cleared = server.log().matches("removed an upload that was never finished").count();
    println!(
        "{rounds} kills in {:?}: {}, {cleared} unfinished files cleared",
        start.elapsed(),
        scene.notes
    );
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_told_to_stop_ends_well_whatever_is_under_way() {
    let mut scene = Scene::new();
    let mut auditor = Auditor::new(Strays::None);
    for round in 0..if long() { 50 } else { 5 } {
        // Nothing is waited for, so that the parts are taken down while they are in use.
        let server = scene.start_with(&["--drain-timeout", "0s"]).await;
        auditor.audit(&server, &scene.notes).await;
        scene.push_until(server, round, Server::stop).await;
    }
    let server = scene.start().await;
    auditor.read_all_again();
    auditor.audit(&server, &scene.notes).await;
    println!("{}", scene.notes);
    server.stop();
}
