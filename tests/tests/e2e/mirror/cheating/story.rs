//! A ledger that grows honestly, until it does not, and the mirror that sees it.

use std::collections::BTreeMap;

use schema::api::{FindRequest, FindResponse, LogReport, NarFound};
use schema::attestation::{Entry, Signed};
use schema::claim::Claim;
use schema::hash::NarHash;
use schema::key::SecretKey;
use schema::store_path::StorePath;
use serde_json::Value;
use tests::client::Answer;
use tests::double::{Ledger, Shown, Upstream};
use tests::nar::{file, noise, path};
use tests::program::Outcome;

use super::super::scene::{Pool, alice, log};

/// From which the keys of the lying pools come.
pub(super) const SEED: u8 = 77;
pub(super) const LOGS: [&str; 3] = ["keys", "attestations", "index"];

/// A ledger with so many attestations.
pub(super) fn ledger(origin: &str, attestations: u64) -> Ledger {
    let mut ledger = Ledger::new(origin, SEED);
    ledger.enrol(&alice().public());
    grow(&mut ledger, 0, attestations);
    ledger
}

/// Attests `count` paths more, whose numbers begin with `first`.
pub(super) fn grow(ledger: &mut Ledger, first: u64, count: u64) {
    let origin = ledger.logs().origin().to_owned();
    for number in first..first + count {
        ledger.attest(&alice(), &claim(&origin, number));
    }
    ledger.index();
}

/// What its pool shows, if it does not lie.
pub(super) fn shown(ledger: &Ledger) -> Shown {
    let origin = ledger.logs().origin().to_owned();
    let nars: Vec<Vec<u8>> = (0..12).map(|number| nar(&origin, number)).collect();
    Shown::of(ledger, SEED, &nars)
}

pub(super) fn nar(origin: &str, number: u64) -> Vec<u8> {
    let seed = NarHash::of(origin.as_bytes()).as_bytes()[0];
    file(&noise(1000 * u64::from(seed) + number, 500))
}

pub(super) fn store_path(origin: &str, number: u64) -> StorePath {
    path(&format!("{origin} {number}"), &format!("item-{number}"))
}

pub(super) fn claim(origin: &str, number: u64) -> Claim {
    let nar = nar(origin, number);
    let (hash, size) = (NarHash::of(&nar), nar.len() as u64);
    Claim::new(store_path(origin, number), hash, size, Vec::new()).unwrap()
}

/// What `signer` says of a claim, as the log takes it at `time`.
pub(super) fn word(signer: &SecretKey, claim: &Claim, time: u64) -> Entry {
    let signature = signer.sign(claim.signed_bytes().as_bytes());
    Signed::new(claim.clone(), signature).verify(&signer.public()).unwrap().entry(time)
}

/// Runs `pool mirror` from a pool that shows anything to a real one.
pub(super) fn mirror(to: &Pool, from: &Upstream, arguments: &[&str]) -> (Outcome, Value) {
    let url = from.url();
    let outcome = to.cli().run(&[&["mirror", "--json", "--from", &url], arguments].concat());
    let report = serde_json::from_str(&outcome.stdout).unwrap_or(Value::Null);
    (outcome, report)
}

/// Mirrors, which must come off.
pub(super) fn mirrors(to: &Pool, from: &Upstream) -> Value {
    let (outcome, report) = mirror(to, from, &[]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    report
}

/// Mirrors, which must not come off: the source is named with what it says.
pub(super) fn is_caught(what: &str, to: &Pool, from: &Upstream, log: &str, says: &str) -> Value {
    let (outcome, report) = mirror(to, from, &[]);
    assert_eq!(outcome.code, 1, "{what}: {outcome:?}");
    let caught = &report["caught"][0];
    assert_eq!(caught["source"], from.url().as_str(), "{what}: {outcome:?}");
    assert_eq!(caught["log"], log, "{what}: {outcome:?}");
    let detail = caught["detail"].as_str().unwrap();
    assert!(detail.contains(says), "{what}: {detail}");
    assert!(outcome.stderr.contains(says), "{what}: {}", outcome.stderr);
    assert!(outcome.stderr.contains(&from.url()), "{what}: {}", outcome.stderr);
    caught.clone()
}

/// All that readers see of a ledger at a mirror: checkpoints, and how its paths are.
#[derive(Debug)]
pub(super) struct Seen {
    checkpoints: BTreeMap<&'static str, String>,
    narinfos: Vec<(u16, String)>,
    paths: Vec<Value>,
    nars: Vec<NarFound>,
}

/// Cosignatures without their times: the same checkpoint may be cosigned again.
fn checkpoint(note: &str) -> String {
    note.split("\n\n").next().unwrap_or_default().to_owned()
}

pub(super) async fn seen(at: &Pool, origin: &str) -> Seen {
    let ledger = at.ledger_of(origin).await;
    let mut checkpoints = BTreeMap::new();
    for name in LOGS {
        let note = at.admin().get(&format!("{}/checkpoint", log(&ledger, name).address)).await;
        checkpoints.insert(name, checkpoint(&note.text()));
    }
    let (mut narinfos, mut paths) = (Vec::new(), Vec::new());
    for number in 0..12 {
        let part = store_path(origin, number).base().hash_part();
        let narinfo = at.admin().get(&format!("/{part}.narinfo")).await;
        narinfos.push((narinfo.status, narinfo.text()));
        let told = at.admin().get(&format!("/api/v1/paths/{part}")).await;
        paths.push(if told.status == 200 { told.json()["claims"].clone() } else { Value::Null });
    }
    let hashes = (0..12).map(|number| NarHash::of(&nar(origin, number))).collect();
    let nars = found(at, hashes).await;
    Seen { checkpoints, narinfos, paths, nars }
}

/// Those of these NARs that are there.
pub(super) async fn found(at: &Pool, nar_hashes: Vec<NarHash>) -> Vec<NarFound> {
    let request = at.admin().request(reqwest::Method::POST, "/api/v1/nars/find");
    let answer = Answer::to(request.json(&FindRequest { nar_hashes })).await;
    serde_json::from_value::<FindResponse>(answer.json()).unwrap().nars
}

impl Seen {
    /// That nothing is other than `before`.
    pub(super) fn assert_same(&self, before: &Self, what: &str) {
        assert_eq!(self.checkpoints, before.checkpoints, "{what}");
        assert_eq!(self.nars, before.nars, "{what}");
        for (now, before) in self.narinfos.iter().zip(&before.narinfos) {
            assert_eq!(now, before, "{what}");
        }
        for (now, before) in self.paths.iter().zip(&before.paths) {
            assert_eq!(now, before, "{what}");
        }
    }

    /// How many NARs are there.
    pub(super) fn nars(&self) -> usize {
        self.nars.len()
    }

    /// How many paths have narinfos.
    pub(super) fn narinfos(&self) -> usize {
        self.narinfos.iter().filter(|(status, _)| *status == 200).count()
    }
}

pub(super) async fn report_of(at: &Pool, origin: &str, name: &str) -> LogReport {
    log(&at.ledger_of(origin).await, name).clone()
}

/// What `pool mirror status` says, with its exit code.
pub(super) fn status(at: &Pool) -> (i32, String) {
    let outcome = at.cli().run(&["mirror", "status"]);
    (outcome.code, outcome.stdout + &outcome.stderr)
}
