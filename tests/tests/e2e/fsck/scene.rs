//! A pool with something of everything in it, and `pool-server fsck` on copies of it.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use schema::api::AttestItem;
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::key::SecretKey;
use serde_json::Value;
use tempfile::TempDir;
use tests::client::Client;
use tests::nar::{attestation, file, key, noise, path, xz, zstd};
use tests::program::{Outcome, built};
use tests::server::{Server, copy_dir};

use super::truth::Truth;

/// NARs, each of a path of its own.
pub(super) const NARS: u64 = 24;
/// Claims about NARs that never come, so that the log has a full tile.
const CLAIMS: u64 = 240;

/// A pool that was stopped, and what it serves.
pub(super) struct Scene {
    dir: TempDir,
    pub(super) truth: Truth,
}

impl Scene {
    /// Fills a pool. Half of it lies in tables, and half in the log of the database.
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("pool");
        let server = start(&data).unwrap();
        let admin = Client::admin(&server);
        for signer in signers() {
            admin.enrol(&signer.public()).await;
        }
        fill(&admin, 0..NARS / 2).await;
        server.stop();
        let server = start(&data).unwrap();
        fill(&Client::admin(&server), NARS / 2..NARS).await;
        let truth = Truth::of(&Client::new(&server)).await;
        server.stop();
        Self { dir, truth }
    }

    /// The pool's data.
    pub(super) fn whole(&self) -> PathBuf {
        self.dir.path().join("pool")
    }

    /// A copy of the pool, to be damaged.
    pub(super) fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(&self.whole(), copy.path());
        fs::remove_file(copy.path().join("log")).unwrap();
        copy
    }
}

/// Starts a server that looks for no damage by itself.
pub(super) fn start(data: &Path) -> Result<Server, String> {
    Server::try_start(data, &["--scrub-interval", "0s"])
}

pub(super) fn signers() -> [SecretKey; 2] {
    [key("alice", 1), key("bob", 2)]
}

/// The NAR with a number, as small as a byte or as large as half a MiB.
pub(super) fn nar(number: u64) -> Vec<u8> {
    let len = [1, 900, 20_000, 500_000][number as usize % 4];
    file(&noise(number, len))
}

pub(super) fn hash(number: u64) -> NarHash {
    NarHash::of(&nar(number))
}

pub(super) fn hash_part(number: u64) -> String {
    path(&number.to_string(), "thing").base().hash_part().to_string()
}

/// Uploads a NAR: by their numbers as plain files, with zstd or with xz.
pub(super) async fn upload(client: &Client, number: u64) {
    let nar = nar(number);
    let (compression, file) = match number % 3 {
        0 => (Compression::None, nar.clone()),
        1 => (Compression::Zstd, zstd(&nar)),
        _ => (Compression::Xz, xz(&nar)),
    };
    client.upload(&nar, compression, file).await;
}

async fn fill(admin: &Client, numbers: Range<u64>) {
    let [alice, bob] = signers();
    for number in numbers.clone() {
        upload(admin, number).await;
        let references: Vec<_> = (number > 0)
            .then(|| path(&(number - 1).to_string(), "thing").base().clone())
            .into_iter()
            .collect();
        let path = path(&number.to_string(), "thing");
        admin.vouch(&alice, &path, &nar(number), &references).await;
        if number % 2 == 0 {
            admin.vouch(&bob, &path, &nar(number), &references).await;
        }
    }
    let claims: Vec<AttestItem> = (0..CLAIMS / 2)
        .map(|claim| {
            let name = format!("{} {claim}", numbers.start);
            attestation(&alice, &path(&name, "absent"), &file(name.as_bytes()), &[])
        })
        .collect();
    assert_eq!(admin.attest(claims).await.status, 200);
}

/// What `pool-server fsck` found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) code: i32,
    /// Kind, subject, what was done.
    pub(super) findings: Vec<(String, String, String)>,
    pub(super) summary: Value,
}

impl Found {
    pub(super) fn has(&self, kind: &str) -> bool {
        self.findings.iter().any(|(found, ..)| found == kind)
    }
}

pub(super) fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(built("pool-server"));
    command.args(["fsck", "--json", "--data"]).arg(data).args(arguments).env_clear();
    command
}

/// Looks through a pool.
pub(super) fn fsck(data: &Path, arguments: &[&str]) -> Found {
    let Outcome { code, stdout, stderr } = Outcome::of(&mut command(data, arguments));
    let mut found = Found { code, findings: Vec::new(), summary: Value::Null };
    for line in stdout.lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        if line.get("finding").is_some() {
            let it = &line["finding"];
            found.findings.push((text(&it["kind"]), text(&it["subject"]), text(&it["done"])));
        } else {
            found.summary = line["summary"].take();
        }
    }
    assert_eq!(code == 2, found.summary.is_null(), "{found:?}: {stderr}");
    if !found.summary.is_null() {
        assert_eq!(found.summary["found"], found.findings.len(), "{found:?}");
        assert_eq!(code == 1, !found.findings.is_empty(), "{found:?}");
    }
    found
}

/// Looks through a pool in which nothing may be wrong.
pub(super) fn is_clean(data: &Path) {
    let found = fsck(data, &["--deep"]);
    assert_eq!(found.code, 0, "{found:?}");
    assert!(found.summary["waiting"].as_array().unwrap().is_empty(), "{found:?}");
}
