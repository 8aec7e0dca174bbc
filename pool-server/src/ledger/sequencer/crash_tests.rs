//! The process dies at every step, again and again, and nothing that was answered is lost.
//!
//! A test that is named in the environment runs in a process of its own, and is its own victim:
//! at the step it was told it has itself killed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use schema::hash::TreeHash;
use schema::tlog::checkpoint::SignedCheckpoint;

use super::tests::{Bench, vouched};
use crate::ledger::step::Step;

const STEPS: [(&str, Step); 6] = [
    ("staged", Step::Staged),
    ("written", Step::Written),
    ("signed", Step::Signed),
    ("head kept", Step::HeadKept),
    ("published", Step::Published),
    ("answered", Step::Answered),
];
const STEP: &str = "NARPOOL_TEST_STEP";
const TIMES: &str = "NARPOOL_TEST_TIMES";
const DATA: &str = "NARPOOL_TEST_DATA";
const FIRST: &str = "NARPOOL_TEST_FIRST";

/// Runs of the child for each step; with `--long` 34, which makes 204 in all.
fn rounds() -> u64 {
    if std::env::var_os("NARPOOL_LONG").is_some() { 34 } else { 4 }
}

pub(in crate::ledger) fn reached(step: Step) {
    static FATAL: OnceLock<Option<(Step, u64)>> = OnceLock::new();
    static SEEN: AtomicU64 = AtomicU64::new(0);
    let fatal = FATAL.get_or_init(|| {
        let name = std::env::var(STEP).ok()?;
        let step = STEPS.iter().find(|(known, _)| *known == name)?.1;
        Some((step, std::env::var(TIMES).ok()?.parse().ok()?))
    });
    let Some((fatal, times)) = fatal else { return };
    if *fatal == step && SEEN.fetch_add(1, Ordering::Relaxed) == *times {
        // As an operator would, or the kernel: nothing of the process runs on.
        let _ = Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
        std::process::abort();
    }
}

/// What runs until it dies: attests, and says what it was answered and what it saw published.
/// Without a directory it has nothing to do.
#[tokio::test]
async fn victim() {
    let Some(data) = std::env::var_os(DATA) else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let bench = Bench::reopened(Path::new(&data));
    bench.enrol_alice().await;
    for number in first.. {
        // Every third group holds what the one before held, too.
        let mut group: Vec<_> = (0..7).map(|at| vouched(number * 7 + at, "nar")).collect();
        if number % 3 == 0 {
            group.push(vouched(number * 7 - 1, "nar"));
        }
        let standings = bench.attest(group).await.unwrap();
        let published = bench.published();
        let mut lines = format!("\ncheckpoint {} {}", published.size(), published.edge.root());
        for (at, standing) in standings.iter().enumerate().take(7) {
            lines += &format!("\nanswer {} {}", number * 7 + at as u64, standing.index);
        }
        // One write, so that no line is torn.
        std::io::Write::write_all(&mut std::io::stdout(), (lines + "\n").as_bytes()).unwrap();
    }
}

#[derive(Default)]
struct Seen {
    answers: HashMap<u64, u64>,
    roots: HashMap<u64, TreeHash>,
}

impl Seen {
    fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["checkpoint", size, root] => {
                self.see(size.parse().unwrap(), TreeHash::from_base64(root).unwrap());
            }
            ["answer", path, index] => {
                let (path, index) = (path.parse().unwrap(), index.parse().unwrap());
                let before = self.answers.insert(path, index);
                assert!(before.is_none_or(|before| before == index), "{line}: was {before:?}");
            }
            _ => {}
        }
    }

    fn see(&mut self, size: u64, root: TreeHash) {
        let before = self.roots.insert(size, root);
        assert!(before.is_none_or(|before| before == root), "two checkpoints of size {size}");
    }
}

#[tokio::test]
async fn no_index_is_lost_or_given_twice_whenever_it_dies() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = Seen::default();
    let mut first = 1;
    for round in 0..rounds() {
        for (name, _) in STEPS {
            run_victim(dir.path(), name, round % 5, first, &mut seen);
            check(dir.path(), &mut seen).await;
            first += 6;
        }
    }
    let indices: std::collections::HashSet<_> = seen.answers.values().collect();
    assert_eq!(indices.len(), seen.answers.len(), "an index was given to two attestations");
    assert!(seen.answers.len() as u64 >= rounds() * 7, "{} answers", seen.answers.len());
}

fn run_victim(data: &Path, step: &str, times: u64, first: u64, seen: &mut Seen) {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ledger::sequencer::crash_tests::victim", "--nocapture"])
        .env(DATA, data)
        .env(STEP, step)
        .env(TIMES, times.to_string())
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for line in BufReader::new(victim.stdout.take().unwrap()).lines() {
        seen.take(&line.unwrap());
    }
    let status = victim.wait().unwrap();
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert_eq!(signal, Some(9), "killed at {step}: {status}");
}

/// Opens what the victim left, and finds all that it was told.
async fn check(data: &Path, seen: &mut Seen) {
    let head = std::fs::read(data.join("heads/attestations")).unwrap();
    let bench = Bench::reopened(data);
    let published = bench.published();
    for slot in head.chunks(4096) {
        let end = slot.iter().position(|byte| *byte == 0).unwrap();
        if let Ok(signed) = SignedCheckpoint::open(&slot[..end], &bench.log_key()) {
            assert!(signed.size() <= published.size(), "the log went back");
            seen.see(signed.size(), *signed.root());
        }
    }
    seen.see(published.size(), published.edge.root());
    for (&path, &index) in &seen.answers {
        assert!(index < published.size(), "entry {index} was answered, and is lost");
        assert_eq!(
            bench.entry(index).path_key,
            vouched(path, "nar").attestation.claim().path().key()
        );
    }
    bench.close().await;
}
