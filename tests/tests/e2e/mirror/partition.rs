//! Three pools in a row, of which the second mirrors the first and the third a part of the second.
//! Builders push to the first while cables are cut and anything is killed, at instants left to chance.
//! Afterwards everything is everywhere, and hardly anything was fetched twice.

mod arrived;
mod chance;
mod load;

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use schema::hash::{MapKey, NarHash};
use schema::key::SecretKey;
use tests::deadline::eventually;
use tests::nar::{file, key, noise, path};
use tests::net::{Cable, Net};
use tests::random::Random;
use tests::run::{long, seed};
use tests::server::PORT;
use tokio::time::sleep;

use super::scene::log;
use super::station::{Follower, Station};
use arrived::LOGS;
use chance::Tally;
use load::{LARGEST, Load, Pushed};

/// NARs that a mirror fetches at a time.
const JOBS: u64 = 2;
/// What the third pool takes of NARs.
const SMALL_ENOUGH: &str = "1M";
/// How long everything may take to arrive. What was lost on a cut cable is sent again after about as
/// long as the cable was cut.
const TO_ARRIVE: Duration = Duration::from_secs(180);
/// Most that is on its way at once and has to be sent again, in bytes: of files that go on where they
/// were, what the kernels hold of them; of small ones, a request.
const ON_ITS_WAY: u64 = 3 << 20;

/// The pools, what is between them, and what was done to them.
struct Scene<'n> {
    a: Station<'n>,
    b: Station<'n>,
    c: Station<'n>,
    to_b: Option<Follower>,
    to_c: Option<Follower>,
    /// From the first pool to the second, and from there to the third.
    cables: [Cable; 2],
    mend_at: [Option<Instant>; 2],
    random: Random,
    tally: Tally,
}

impl<'n> Scene<'n> {
    async fn start(net: &'n Net, seed: u64) -> Self {
        // A pool that notices soon that nobody takes what it sends.
        let arguments = &["--body-idle-timeout", "3s"];
        let [a, b, c] = [0, 1, 2].map(|host| Station::start(net.host(host), arguments));
        for signer in signers() {
            a.admin.enrol(&signer.public()).await;
        }
        let cables = [net.cable(0, 1, 250), net.cable(1, 2, 250)];
        let mut scene = Self {
            a,
            b,
            c,
            to_b: None,
            to_c: None,
            cables,
            mend_at: [None; 2],
            random: Random::new(seed),
            tally: Tally::default(),
        };
        scene.follow_to_b();
        scene.follow_to_c();
        scene
    }

    fn follow_to_b(&mut self) {
        self.to_b = None;
        self.to_b = Some(follow(&self.b, self.cables[0].address(0), &[]));
    }

    fn follow_to_c(&mut self) {
        self.to_c = None;
        let filter = ["--max-size", SMALL_ENOUGH];
        self.to_c = Some(follow(&self.c, self.cables[1].address(0), &filter));
    }

    fn all_go_on(&mut self) {
        for follower in [&mut self.to_b, &mut self.to_c].into_iter().flatten() {
            let log = follower.goes_on();
            assert!(!log.contains("is caught") && !log.contains("has gone back"), "{log}");
        }
    }

    /// Waits until both mirrors have all that they should have.
    async fn all_arrives(&mut self, pushed: &[Pushed]) {
        let start = Instant::now();
        let large = pushed.iter().filter(|it| it.is_large).map(|it| it.nar_hash).collect();
        loop {
            self.all_go_on();
            let logs = self.logs_arrived().await;
            let at_b = arrived::missing(&self.b.admin, pushed).await;
            let at_c = arrived::missing(&self.c.admin, pushed).await;
            if logs && at_b.is_empty() && at_c == large {
                return;
            }
            if start.elapsed() > TO_ARRIVE {
                let said =
                    [&mut self.to_b, &mut self.to_c].map(|it| it.as_mut().unwrap().goes_on());
                let (b, c, of) = (at_b.len(), at_c.len(), large.len());
                let [to_b, to_c] = said;
                panic!("logs: {logs}; B lacks {b} NARs, C {c} and not {of}\n{to_b}\n{to_c}");
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn logs_arrived(&self) -> bool {
        let origin = self.a.origin().await;
        let there = self.a.ledger(&origin).await.unwrap();
        for mirror in [&self.b, &self.c] {
            let Some(here) = mirror.ledger(&origin).await else { return false };
            if LOGS.iter().any(|name| log(&here, name).size != log(&there, name).size) {
                return false;
            }
        }
        true
    }
}

fn follow(to: &Station<'_>, from: &str, further: &[&str]) -> Follower {
    let (from, jobs) = (format!("http://{from}:{PORT}"), JOBS.to_string());
    let arguments = ["mirror", "--follow", "--all-ledgers", "--from", &from, "--jobs", &jobs];
    let command = to.cli().command(&[&arguments[..], further].concat());
    Follower::start(to.host.runs(&command), to.dir.path().join("mirror.log"))
}

fn signers() -> Vec<SecretKey> {
    vec![key("alice", 1), key("bob", 2), key("alice", 1)]
}

#[tokio::test]
async fn everything_arrives_whatever_is_cut_and_killed() {
    let seed = seed();
    arrived::verifiers_are_there();
    let net = Net::new(3);
    let mut scene = Scene::start(&net, seed).await;
    let (a, token) = (scene.a.server().url(""), scene.a.server().admin_token());
    let pauses = if long() { 300..1500 } else { 100..400 };
    let load = Load::start((a, token), signers(), pauses, seed);
    let span = Duration::from_secs(if long() { 300 } else { 15 });
    let start = Instant::now();
    while start.elapsed() < span {
        scene.something_happens().await;
        scene.all_go_on();
        assert!(load.goes_on(), "a builder has given up");
    }
    scene.mend_all();
    let pushed = load.end();
    scene.index_covers(&pushed).await;
    let healed = Instant::now();
    scene.all_arrives(&pushed).await;
    let healed = healed.elapsed();

    scene.count_served().await;
    let entries = pushed.len();
    println!("{}", scene.tally);
    println!("{entries} NARs and attestations; all there {healed:?} after the end");
    scene.assert_fetched_once(&pushed);
    arrived::logs_are_the_same(&scene.a, &[&scene.b, &scene.c]).await;
    let [a, b, c] = [&scene.a, &scene.b, &scene.c].map(|station| &station.admin);
    let checked = stream::iter(&pushed).for_each_concurrent(8, async |pushed| {
        let have_it = if pushed.is_large { &[a, b][..] } else { &[a, b, c] };
        arrived::narinfos_are_the_same(have_it, pushed).await;
        arrived::word_is_known(c, pushed).await;
        arrived::nar_is_right(b, pushed).await;
    });
    checked.await;
    for mirror in [&scene.b, &scene.c] {
        mirror.cli().run(&["mirror", "status"]).ok();
    }
}

/// Its source dies in the midst of it, and comes back; and once more while the cable is cut, so that this
/// is heard of later.
#[tokio::test]
async fn a_large_nar_goes_on_where_it_broke_off() {
    const SIZE: u64 = 16 << 20;
    for unheard in [false, true] {
        let net = Net::new(2);
        let [mut a, b] = [0, 1].map(|host| Station::start(net.host(host), &[]));
        let cable = net.cable(0, 1, 60);
        a.admin.enrol(&key("alice", 1).public()).await;
        let nar = file(&noise(1, SIZE as usize));
        a.admin.push(&key("alice", 1), &path("large", "large"), &nar, &[]).await;
        let mut follower = follow(&b, cable.address(0), &[]);
        eventually("the first quarter", async || cable.came(1) > SIZE / 4).await;
        if unheard {
            cable.cut(0);
        }
        a.kill();
        a.start_again();
        cable.mend();
        let name = format!("/nar/{}.nar.zst", NarHash::of(&nar).to_nix32());
        eventually("the whole", async || {
            follower.goes_on();
            b.admin.head(&name).await.status == 200
        })
        .await;
        let came = cable.came(1);
        assert!(came < SIZE + SIZE / 8 + (1 << 20), "{came} bytes came of {SIZE}");
    }
}

impl Scene<'_> {
    /// Waits until the index log of the first pool has all that was pushed.
    async fn index_covers(&self, pushed: &[Pushed]) {
        let key = MapKey::of_path(&pushed[0].path.key());
        let lookup = format!("/ledger/index/lookup/{key}?size={}", pushed.len());
        let answer = self.a.admin.get(&lookup).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Nothing came twice but what was on its way when something was cut or killed.
    fn assert_fetched_once(&self, pushed: &[Pushed]) {
        let tally = &self.tally;
        let largest = LARGEST as u64 + 1000;
        let sizes = |is_wanted: fn(&Pushed) -> bool| {
            pushed.iter().filter(|it| is_wanted(it)).map(|it| it.file_size).sum::<u64>()
        };
        let wanted = [sizes(|_| true), sizes(|it| !it.is_large)];
        for (at, wanted) in wanted.into_iter().enumerate() {
            let (source, cuts, mirror) = tally.of(at);
            let came = self.cables[at].came(1);
            let served = tally.served[at];
            println!("mirror {at}: {served} bytes asked for, {came} came, {wanted} needed");
            assert!(served >= wanted, "{served} bytes served of {wanted}");
            // What a pool counts is what it was asked for, which after a cut is the rest.
            let again = (source + cuts + mirror) * JOBS * largest;
            assert!(served <= wanted + again, "{served} bytes served of {wanted}: {tally}");
            // What came over the cable, with headers, logs and claims.
            let around = wanted / 10 + pushed.len() as u64 * 4096 + (4 << 20);
            let again = mirror * JOBS * largest + (source + cuts) * JOBS * ON_ITS_WAY;
            assert!(came <= wanted + around + again, "{came} bytes came of {wanted}: {tally}");
        }
    }
}
