//! A disk that others fill up while clients push.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tests::cli::Cli;
use tests::client::Client;
use tests::deadline::eventually;
use tests::disk::Disk;
use tests::random::Random;
use tests::run::{long, seed};
use tests::server::Server;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::load::{Owed, Piece, Refused, signer};

/// Who was refused tries again after it.
const PAUSE: Duration = Duration::from_millis(20);
const SIZE: u64 = 384 << 20;
const PUSHERS: usize = 4;
/// Each of them in one round, so that it is not what they push that fills the disk.
const MOST_PUSHED: u64 = 100;

/// A pool on a small disk.
struct Scene {
    disk: Disk,
    runtime: Runtime,
    owed: Arc<Owed>,
    random: Random,
}

impl Scene {
    fn new() -> Self {
        // Before there are other threads, so that they see it, too.
        let disk = Disk::new(SIZE);
        let runtime = Runtime::new().unwrap();
        Self { disk, runtime, owed: Arc::default(), random: Random::new(seed()) }
    }

    fn start(&self, arguments: &[&str]) -> Server {
        Server::start(&self.disk.path().join("data"), arguments)
    }
}

#[test]
fn a_disk_that_fills_up_costs_nothing_that_was_acknowledged() {
    let mut scene = Scene::new();
    let (mut refused, mut halted) = (0, 0);
    let rounds = if long() { 100 } else { 4 };
    for round in 0..rounds {
        // Without a reserve, it is the database that finds the disk full.
        let reserve: &[&str] = if round % 4 == 0 { &[] } else { &["--min-free-space", "1KiB"] };
        let server = scene.start(reserve);
        let client = Client::admin(&server);
        scene.runtime.block_on(client.enrol(&signer().public()));
        let (all, wrote) = scene.fill_up_under_load(&server, round);
        refused += all.iter().filter(|it| matches!(it, Refused::Problem(507, _))).count();
        halted += usize::from(!wrote);
        if round % 4 == 3 {
            scene.runtime.block_on(scene.audit(&server));
        }
        if scene.random.one_of(&[true, false]) {
            server.kill()
        } else {
            server.stop()
        }
        // What is there may be deleted by nobody: the next rounds need a new disk.
        if scene.disk.free() < SIZE / 2 {
            scene.begin_anew();
        }
    }
    let server = scene.start(&[]);
    scene.runtime.block_on(scene.audit(&server));
    server.stop();
    println!(
        "{rounds} rounds: {:?} acknowledged, {refused} refused; in {halted} rounds the database was full, too",
        scene.owed.counts()
    );
}

impl Scene {
    fn begin_anew(&mut self) {
        std::fs::remove_dir_all(self.disk.path().join("data")).unwrap();
        self.owed = Arc::default();
    }

    /// Answers with all that was refused, and whether the database could be written all the while.
    fn fill_up_under_load(&mut self, server: &Server, round: usize) -> (Vec<Refused>, bool) {
        let ended = Arc::new(AtomicBool::new(false));
        let mut pushers = JoinSet::new();
        for pusher in 0..PUSHERS {
            let (client, owed) = (Client::admin(server), Arc::clone(&self.owed));
            let (random, ended) = (Random::new(self.random.number()), Arc::clone(&ended));
            let name = format!("{round}-{pusher}");
            pushers.spawn_on(push_on(client, owed, random, name, ended), self.runtime.handle());
        }
        let client = Client::admin(server);
        self.random.dawdle(1 << 28);
        let before = self.owed.counts();
        self.disk.fill(self.random.within(0..2 << 20));
        let (leave, owed, disk) = (self.random.within(0..64 << 10), &self.owed, &self.disk);
        self.runtime.block_on(async {
            let probe = Piece::new(&format!("{round} when full"), 3 << 20);
            eventually("an upload to be refused", async || {
                matches!(owed.upload(&client, &probe).await, Err(Refused::Problem(507, _)))
            })
            .await;
            disk.fill(leave);
            owed.say_much(&client).await;
            for _ in 0..3 {
                owed.read(&client).await;
            }
            let wrote = client.metric("narpool_storage_writable").await == 1.0;
            disk.clear();
            let probe = Piece::new(&format!("{round} when there is room again"), 100 << 10);
            eventually("an upload to be taken", async || owed.push(&client, &probe).await.is_ok())
                .await;
            ended.store(true, Ordering::Relaxed);
            assert!(owed.counts() > before, "it goes on without a hand");
            let mut all = Vec::new();
            while let Some(refused) = pushers.join_next().await {
                all.extend(refused.unwrap());
            }
            (all, wrote)
        })
    }

    async fn audit(&self, server: &Server) {
        let client = Client::admin(server);
        self.owed.audit(&client).await;
        let home = self.disk.path().join("home");
        let cli = Cli::new(&home, server, &server.admin_token());
        cli.run(&["ledger", "audit"]).ok();
        let metrics = client.metric("narpool_storage_free_bytes").await;
        assert!(metrics > 0.0 && client.metric("narpool_storage_writable").await == 1.0);
        assert_eq!(client.get("/readyz").await.text(), "ready\n");
        let staging = std::fs::read_dir(server.data().join("blobs/staging")).unwrap();
        assert_eq!(staging.count(), 0, "nothing is left of what was not finished");
    }
}

/// Pushes until told to end. Answers with what was refused.
async fn push_on(
    client: Client,
    owed: Arc<Owed>,
    mut random: Random,
    name: String,
    ended: Arc<AtomicBool>,
) -> Vec<Refused> {
    let mut refused = Vec::new();
    for number in 0..MOST_PUSHED {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        let len = match random.within(0..8) {
            0 => random.within(0..512 << 10),
            _ => random.within(0..32 << 10),
        };
        let piece = Piece::new(&format!("{name}-{number}"), usize::try_from(len).unwrap());
        if let Err(why) = owed.push(&client, &piece).await {
            refused.push(why);
            tokio::time::sleep(PAUSE).await;
        }
    }
    refused
}

#[test]
fn some_room_is_kept_for_what_is_small() {
    let scene = Scene::new();
    let server = scene.start(&["--min-free-space", "8MiB"]);
    let client = Client::admin(&server);
    scene.runtime.block_on(async {
        client.enrol(&signer().public()).await;
        let first = Piece::new("first", 1000);
        scene.owed.push(&client, &first).await.unwrap();
        let full = Err(Refused::Problem(507, "storage_full".to_owned()));
        let (second, third) = (Piece::new("second", 1000), Piece::new("third", 20 << 20));
        scene.disk.fill(6 << 20);
        assert_eq!(scene.owed.upload(&client, &second).await, full);
        assert_eq!(
            scene.owed.upload(&client, &third).await,
            full,
            "a long body is taken off first"
        );
        scene.owed.attest(&client, &second).await.unwrap();
        let ready = client.get("/readyz").await;
        assert_eq!(ready.status, 200);
        assert!(ready.text().starts_with("ready\ndegraded: no room: "), "{}", ready.text());
        scene.disk.fill(1 << 20);
        assert_eq!(scene.owed.attest(&client, &third).await, full);
        assert_eq!(client.metric("narpool_storage_writable").await, 1.0);
        assert!(client.metric("narpool_storage_free_bytes").await <= f64::from(1 << 20));
        scene.owed.read(&client).await;
        scene.disk.clear();
        for piece in [&second, &third] {
            scene.owed.push(&client, piece).await.unwrap();
        }
        scene.owed.audit(&client).await;
    });
    assert!(!server.log().contains("nothing is written any more"), "{}", server.log());
    server.stop();
}
