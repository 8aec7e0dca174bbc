//! A collection of very many paths takes little memory, however many they are.

use std::fs;

use schema::claim::Claim;
use schema::compression::Compression;
use schema::hash::{ClaimId, FileHash};
use schema::key::SecretKey;
use schema::store_path::StorePath;

use super::*;
use crate::config::Config;
use crate::index::{
    AttestationRecord, BlobRecord, Candidates, ClaimRecord, FileRecord, LeaseRecord, LedgerId,
    PathRecord,
};

/// Of the file of each NAR.
const SIZE: u64 = 100_000;
/// Paths that refer to each other, in a row.
const CLOSURE: u64 = 10;
/// Caches of the database are in it, which are bounded.
const BOUND: u64 = 200 << 20;
const TOGETHER: u64 = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_paths_are_collected_in_little_memory() {
    let paths: u64 = if std::env::var_os("NARPOOL_LONG").is_some() { 1_000_000 } else { 30_000 };
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        data: dir.path().to_owned(),
        max_stored: Some(paths * SIZE / 2),
        gc_interval: Duration::ZERO,
        scrub_interval: Duration::ZERO,
        ..Config::default()
    };
    let pool = Pool::open(&config).await.unwrap();
    for first in (0..paths).step_by(TOGETHER as usize) {
        fill(&pool, first);
    }
    let before = begin_peak();
    let collecting = {
        let pool = Arc::clone(&pool);
        tokio::task::spawn_blocking(move || {
            pool.collect_now(How { dry_run: false, gently: false }, &mut drop)
        })
    };
    let summary = collecting.await.unwrap().unwrap();
    let more = memory("VmHWM") - before;
    println!(
        "{paths} paths in {} ms, {} MiB more at most; {summary:?}",
        summary.millis,
        more >> 20
    );
    assert!(more < BOUND, "{more} bytes more");
    // A tenth less than the half, and never a part of a closure.
    assert_eq!((summary.kept, summary.swept), (paths / 20 * 9, paths / 20 * 11));
    pool.close().await;
}

/// Paths, each promised longer than the one before, and long ago.
fn fill(pool: &Pool, first: u64) {
    let mut batch = pool.index.batch();
    let key = SecretKey::from_seed("alice".parse().unwrap(), &[1; 32]);
    let signature = *key.sign(b"").signature();
    for number in first..first + TOGETHER {
        let path = path(number);
        let hash = NarHash::of(&number.to_be_bytes());
        let next = (number % CLOSURE != 0).then(|| self::path(number - 1).base().clone());
        let claim = Claim::new(path, hash, 2 * SIZE, next.into_iter().collect()).unwrap();
        let hash_part = claim.path().base().hash_part();
        let file_hash = FileHash::of(&number.to_be_bytes());
        let file = FileRecord { compression: Compression::Zstd, file_hash, file_size: SIZE };
        let word = AttestationRecord {
            ledger: LedgerId::OWN,
            key_id: key.public().id(),
            index: number,
            logged_at: number,
            signature,
        };
        batch.put_claim(&ClaimId::of(claim.signed_bytes().as_bytes()), &claim).unwrap();
        let mut record = ClaimRecord::new(claim);
        (record.file, record.attestations) = (Some(file), vec![word]);
        batch.put_path(&hash_part, &PathRecord { claims: vec![record] }).unwrap();
        let candidates = Candidates::default();
        let blob = BlobRecord { nar_size: 2 * SIZE, file, stored_at: 1, candidates };
        batch.put_blob(&hash, &blob).unwrap();
        batch.put_lease(&hash, &LeaseRecord { until: number / CLOSURE, file_hash }).unwrap();
    }
    batch.commit().unwrap();
}

fn path(number: u64) -> StorePath {
    let mut bytes = [0; 20];
    bytes.copy_from_slice(&NarHash::of(&number.to_le_bytes()).as_bytes()[..20]);
    format!("/nix/store/{}-x", HashPart::from_bytes(bytes)).parse().unwrap()
}

/// What the process holds now, in bytes; the most that it holds is told from here on.
fn begin_peak() -> u64 {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    memory("VmRSS")
}

fn memory(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}
