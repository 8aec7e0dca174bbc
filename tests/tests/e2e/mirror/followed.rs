//! What is new is at the mirror at once: it is told, and does not wait until it asks anyway.

use std::time::{Duration, Instant};

use reqwest::Method;
use schema::compression::Compression;
use schema::key::SecretKey;
use schema::key_event::RevokeReason;
use schema::store_path::StorePath;
use tests::client::{Answer, Client};
use tests::nar::{key, zstd};
use tests::net::Net;

use super::super::adversary::revoke;
use super::scene::{alice, log, nar, store_path};
use super::station::{Follower, Station};

/// Without any word, a source is asked every 30 seconds.
const SOON: Duration = Duration::from_secs(15);

/// A pool, and one that follows it.
struct Scene<'n> {
    a: Station<'n>,
    b: Station<'n>,
    follower: Follower,
    origin: String,
}

fn bob() -> SecretKey {
    key("bob", 2)
}

impl<'n> Scene<'n> {
    async fn start(net: &'n Net) -> Self {
        let (a, b) = (Station::start(net.host(0), &[]), Station::start(net.host(1), &[]));
        for signer in [alice(), bob()] {
            a.admin.enrol(&signer.public()).await;
        }
        a.admin.push(&alice(), &store_path(0), &nar(0), &[]).await;
        let from = a.server().url("");
        let command = b.cli().command(&["mirror", "--from", &from, "--follow"]);
        let follower = Follower::start(command, b.dir.path().join("mirror.log"));
        let origin = a.origin().await;
        let mut scene = Self { a, b, follower, origin };
        // It is there before anybody listens: the first round has brought it.
        scene.soon("the first NAR", async |b| has_nar(b, 0).await).await;
        scene
    }

    /// That it is so before the mirror would have asked without being told.
    async fn soon(&mut self, what: &str, is_so: impl AsyncFn(&Client) -> bool) {
        let start = Instant::now();
        while !is_so(&self.b.admin).await {
            let log = self.follower.goes_on();
            assert!(start.elapsed() < SOON, "{what} is not at the mirror:\n{log}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// That the mirror soon has a log as large as the pool's.
    async fn has_all_of(&mut self, name: &str) {
        let size = log(&self.a.ledger(&self.origin).await.unwrap(), name).size.unwrap();
        let start = Instant::now();
        loop {
            let ledger = self.b.ledger(&self.origin).await;
            if ledger.is_some_and(|ledger| log(&ledger, name).size >= Some(size)) {
                return;
            }
            let log = self.follower.goes_on();
            assert!(start.elapsed() < SOON, "{name} is not at the mirror:\n{log}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn push(&self, number: u64) {
        self.a.admin.push(&alice(), &store_path(number), &nar(number), &[]).await;
    }
}

async fn has_nar(pool: &Client, number: u64) -> bool {
    let hash = schema::hash::NarHash::of(&nar(number)).to_nix32();
    asked(pool, &format!("/nar/{hash}.nar.zst")).await == Some(200)
}

async fn has_narinfo(pool: &Client, path: &StorePath) -> bool {
    asked(pool, &format!("/{}.narinfo", path.base().hash_part())).await == Some(200)
}

/// The status, if the pool is there.
async fn asked(pool: &Client, path: &str) -> Option<u16> {
    let answer = Answer::unless_gone(pool.request(Method::GET, path)).await;
    answer.ok().map(|answer| answer.status)
}

#[tokio::test]
async fn what_is_new_comes_as_soon_as_it_is_told() {
    let net = Net::new(2);
    let mut scene = Scene::start(&net).await;
    for number in [1, 2, 6] {
        scene.push(number).await;
        let path = store_path(number);
        scene.soon("a narinfo", async |b| has_narinfo(b, &path).await).await;
        scene.soon("its NAR", async |b| has_nar(b, number).await).await;
    }
    // A word about a NAR that nobody has yet, and the NAR later, of which nobody tells.
    scene.a.admin.vouch(&bob(), &store_path(3), &nar(3), &[]).await;
    scene.has_all_of("attestations").await;
    let told = format!("/api/v1/paths/{}", store_path(3).base().hash_part());
    let told = scene.b.admin.get(&told).await.json();
    assert_eq!(told["claims"][0]["attestations"][0]["signer"], "bob", "{told}");
    assert!(!has_nar(&scene.b.admin, 3).await);
    scene.a.admin.upload(&nar(3), Compression::Zstd, zstd(&nar(3))).await;
    scene.soon("the late NAR", async |b| has_nar(b, 3).await).await;
    // A key that is worth nothing any more.
    let path = store_path(3);
    assert!(has_narinfo(&scene.b.admin, &path).await);
    revoke(scene.a.server(), &bob(), RevokeReason::Compromised { from: 0 }).await;
    scene.soon("the revocation", async |b| !has_narinfo(b, &path).await).await;
    scene.has_all_of("keys").await;
    scene.has_all_of("index").await;
}

#[tokio::test]
async fn it_tells_how_far_it_is() {
    let net = Net::new(2);
    let mut scene = Scene::start(&net).await;
    scene.push(1).await;
    scene.soon("its NAR", async |b| has_nar(b, 1).await).await;
    let of = |name: &str| format!("{name}{{log=\"{}/attestations\"}}", scene.origin);
    let metric = async |name: String| scene.b.admin.metric(&name).await;
    assert_eq!(metric(of("narpool_mirror_entries")).await as u64, 2);
    assert_eq!(metric(of("narpool_mirror_lag_entries")).await as u64, 0);
    let count = metric("narpool_mirror_delay_seconds_count".to_owned()).await;
    assert!(count >= 1.0, "{count}");
    let sum = metric("narpool_mirror_delay_seconds_sum".to_owned()).await;
    assert!(sum < count * SOON.as_secs_f64(), "{sum} seconds for {count}");
}

#[tokio::test]
async fn it_outlives_both_ends() {
    let net = Net::new(2);
    let mut scene = Scene::start(&net).await;
    scene.a.kill();
    scene.a.start_again();
    scene.push(1).await;
    scene.soon("what came after its restart", async |b| has_nar(b, 1).await).await;
    scene.b.kill();
    scene.push(2).await;
    scene.b.start_again();
    scene.soon("what came while the mirror was away", async |b| has_nar(b, 2).await).await;
    scene.push(3).await;
    scene.soon("what came after its restart", async |b| has_nar(b, 3).await).await;
    let narinfo = format!("/{}.narinfo", store_path(2).base().hash_part());
    let there = scene.a.admin.get(&narinfo).await.text();
    assert_eq!(scene.b.admin.get(&narinfo).await.text(), there);
}
