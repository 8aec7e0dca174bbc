//! Stock Nix installs and pushes while the pool collects flat out on a small budget: no NAR is gone whose
//! narinfo was served in its lease.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use schema::hash::{FileHash, NarHash};
use schema::narinfo::NarInfo;
use tests::client::{Answer, Client};
use tests::lab::{Lab, hash_part};
use tests::nar::{noise, unpack};
use tests::nix::{Host, Version};
use tests::random::Random;
use tests::run::{long, seed};

/// As promised, in seconds.
const LEASE: u64 = 10;
/// Of what is pushed, in bytes.
const FILE: usize = 64 << 10;
/// Paths that people still ask for: more than there is room for.
const KNOWN: usize = 60;

const ARGUMENTS: [&str; 12] = [
    "--narinfo-max-age",
    "0s",
    "--missing-max-age",
    "0s",
    "--lease",
    "10s",
    "--upload-grace",
    "10s",
    "--max-stored",
    "512KiB",
    "--gc-interval",
    "1h",
];

/// What everybody knows, and what came of it.
#[derive(Default)]
struct Seen {
    over: AtomicBool,
    paths: Mutex<VecDeque<String>>,
    pushed: AtomicUsize,
    installed: AtomicUsize,
    gone: AtomicUsize,
    narinfos: AtomicUsize,
    nars: AtomicUsize,
    collections: AtomicUsize,
    swept: AtomicUsize,
}

impl Seen {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn any(&self, random: &mut Random) -> Option<String> {
        let paths = self.paths.lock().unwrap();
        (!paths.is_empty()).then(|| paths[random.within(0..paths.len() as u64) as usize].clone())
    }

    fn add(&self, path: String) {
        let mut paths = self.paths.lock().unwrap();
        paths.push_back(path);
        if paths.len() > KNOWN {
            paths.pop_front();
        }
    }
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_promised_nar_is_gone_while_it_collects_flat_out() {
    let length = Duration::from_secs(if long() { 600 } else { 25 });
    let seed = seed();
    let lab = Lab::start(Version::Current, &ARGUMENTS);
    let builder = lab.signer("alice").await;
    let push_address = builder.push_address(&lab.server, "compression=zstd");
    let (builder, user) = (Arc::new(builder.host), Arc::new(lab.host("user")));
    let (public, pool) = (builder_key(&builder), lab.server.url("/"));
    let seen = Arc::new(Seen::default());
    let mut tasks = vec![
        blocking({
            let (seen, mut random) = (Arc::clone(&seen), Random::new(seed));
            move || push_on(&seen, &builder, &push_address, &mut random)
        }),
        blocking({
            let (seen, mut random) = (Arc::clone(&seen), Random::new(seed + 1));
            move || install_on(&seen, &user, &pool, &public, &mut random)
        }),
    ];
    for number in 0..4 {
        let (seen, client) = (Arc::clone(&seen), Client::new(&lab.server));
        tasks.push(tokio::spawn(read_on(seen, client, Random::new(seed + 2 + number))));
    }
    let (collecting, admin) = (Arc::clone(&seen), Client::admin(&lab.server));
    tasks.push(tokio::spawn(collect_on(collecting, admin)));
    tokio::time::sleep(length).await;
    seen.over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let counts = [&seen.pushed, &seen.installed, &seen.gone, &seen.narinfos, &seen.nars];
    let [pushed, installed, gone, narinfos, nars] = counts.map(|it| it.load(Ordering::Relaxed));
    let swept = seen.swept.load(Ordering::Relaxed);
    let collections = seen.collections.load(Ordering::Relaxed);
    println!(
        "{pushed} pushed, {installed} installed and {gone} found gone by Nix; {narinfos} narinfos, \
         and {nars} NARs got in their lease; {collections} collections swept {swept}"
    );
    assert!(pushed > 5 && installed > 2 && narinfos > 100 && nars > 100 && collections > 10);
    assert!(swept > 0, "nothing was ever swept");
}

fn builder_key(builder: &Host) -> String {
    std::fs::read_to_string(builder.dir().join("alice.pub")).unwrap().trim().to_owned()
}

fn blocking(work: impl FnOnce() + Send + 'static) -> tokio::task::JoinHandle<()> {
    tokio::task::spawn_blocking(work)
}

/// Adds a file to the builder's store and pushes it with stock Nix; now and then one that was there.
fn push_on(seen: &Seen, builder: &Host, address: &str, random: &mut Random) {
    let mut number = 0;
    while !seen.is_over() {
        number += 1;
        let file = builder.dir().join(format!("file-{number}"));
        std::fs::write(&file, noise(random.number(), FILE)).unwrap();
        let added = builder.run(&["nix-store", "--add", file.to_str().unwrap()]).ok();
        std::fs::remove_file(file).unwrap();
        let path = added.trim().to_owned();
        builder.forget();
        let _ = builder.copy_to(address, &path).ok();
        seen.add(path);
        count(&seen.pushed);
        if let Some(again) = seen.any(random).filter(|_| random.within(0..3) == 0) {
            builder.forget();
            let _ = builder.copy_to(address, &again).ok();
        }
    }
}

/// Installs what was pushed with stock Nix. What is not shown any more cannot be had; all else can.
fn install_on(seen: &Seen, user: &Host, pool: &str, public: &str, random: &mut Random) {
    while !seen.is_over() {
        let Some(path) = seen.any(random) else {
            std::thread::yield_now();
            continue;
        };
        user.forget();
        let realised = user.realise(pool, &[public], &path);
        if realised.code == 0 {
            count(&seen.installed);
            let _ = user.run(&["nix-store", "--delete", &path]).ok();
        } else {
            count(&seen.gone);
            let missing =
                ["don't know how to build", "no substituter that can build", "does not exist"];
            let is_missing = missing.iter().any(|words| realised.stderr.contains(words));
            assert!(is_missing && !realised.stderr.contains(".nar"), "{realised:?}");
        }
    }
}

/// Asks for narinfos, and at any time in the lease of each for its NAR.
async fn read_on(seen: Arc<Seen>, client: Client, mut random: Random) {
    let mut held: Vec<(Instant, NarInfo)> = Vec::new();
    while !seen.is_over() {
        held.retain(|(asked, _)| asked.elapsed() < Duration::from_secs(LEASE));
        if random.within(0..3) == 0 || held.is_empty() {
            let Some(path) = seen.any(&mut random) else {
                tokio::task::yield_now().await;
                continue;
            };
            let asked = Instant::now();
            let answer = client.get(&format!("/{}.narinfo", hash_part(&path))).await;
            if answer.status == 200 {
                count(&seen.narinfos);
                held.push((asked, NarInfo::parse_nix(&answer.body).unwrap()));
            } else {
                assert!(answer.text().starts_with("collected: "), "{}", answer.text());
            }
            continue;
        }
        let (asked, narinfo) = &held[random.within(0..held.len() as u64) as usize];
        let (asked, age) = (*asked, asked.elapsed());
        let answer = client.get(&format!("/{}", narinfo.delivery.url)).await;
        if age + Duration::from_millis(200) < Duration::from_secs(LEASE) {
            assert_eq!(answer.status, 200, "{age:?} after {asked:?}: {}", answer.text());
            count(&seen.nars);
        }
        if answer.status == 200 {
            let unpacked = unpack(&answer.body).unwrap();
            assert_eq!(NarHash::of(&unpacked), narinfo.claim.nar_hash());
            if age < Duration::from_secs(LEASE) {
                assert_eq!(Some(FileHash::of(&answer.body)), narinfo.delivery.file_hash);
            }
        }
    }
}

async fn collect_on(seen: Arc<Seen>, admin: Client) {
    while !seen.is_over() {
        let request = admin.request(Method::POST, "/api/v1/gc").json(&serde_json::json!({}));
        let lines = Answer::to(request).await.json_lines();
        let summary = lines.last().expect("the last line sums it up")["end"].clone();
        let swept = summary["swept"].as_u64().expect("a count");
        count(&seen.collections);
        seen.swept.fetch_add(usize::try_from(swept).unwrap(), Ordering::Relaxed);
    }
}
