//! That everything has arrived, and nothing else.

use std::collections::BTreeSet;
use std::process::Command;

use reqwest::Method;
use schema::api::{MAX_MISSING, MissingRequest, MissingResponse};
use schema::hash::NarHash;
use tests::client::{Answer, Client};
use tests::foreign::accepted_by_all;
use tests::log_copy::LogCopy;
use tests::nar::unpack;
use tests::program::{Outcome, project};

use super::super::scene::log;
use super::super::station::Station;
use super::load::Pushed;

pub(super) const LOGS: [&str; 3] = ["keys", "attestations", "index"];

/// Makes sure of the programs of others, which may have to be fetched: from where they run, nobody can
/// be reached.
pub(super) fn verifiers_are_there() {
    let lab = project().join("tests/lab");
    let _ = Outcome::of(Command::new(lab.join("aics-python")).args(["-c", ""])).ok();
    let _ = Outcome::of(Command::new(lab.join("go-tlog")).args(["", ""]));
}

/// Which of these NARs a pool does not have.
pub(super) async fn missing(pool: &Client, pushed: &[Pushed]) -> BTreeSet<NarHash> {
    let hashes: Vec<NarHash> = pushed.iter().map(|it| it.nar_hash).collect();
    let mut missing = BTreeSet::new();
    for chunk in hashes.chunks(MAX_MISSING) {
        let request = MissingRequest { nar_hashes: chunk.to_vec() };
        let asked = pool.request(Method::POST, "/api/v1/nars/missing").json(&request);
        let answer: MissingResponse =
            serde_json::from_value(Answer::to(asked).await.json()).unwrap();
        missing.extend(answer.missing);
    }
    missing
}

/// That the programs of others verify the pool's logs where its mirrors serve them, and that all files
/// are the pool's own, byte for byte.
pub(super) async fn logs_are_the_same(pool: &Station<'_>, mirrors: &[&Station<'_>]) {
    let info = pool.admin.get("/api/v1/info").await.json();
    let origin = pool.origin().await;
    for name in LOGS {
        let vkey = info["logs"][name].as_str().unwrap();
        let there = LogCopy::fetch(&pool.admin, &format!("/ledger/{name}")).await;
        for mirror in mirrors {
            let path = log(&mirror.ledger(&origin).await.unwrap(), name).address.clone();
            let base = mirror.server().url("");
            let here = accepted_by_all(&mirror.admin, &base, &path, vkey, None).await;
            assert_same_files(&there, &here, name);
        }
    }
}

fn assert_same_files(there: &LogCopy, here: &LogCopy, name: &str) {
    assert!(there.paths().eq(here.paths()), "{name}: {} and {}", there.size(), here.size());
    for path in there.paths() {
        let [one, other] = [there, here].map(|copy| copy.object(path).unwrap());
        if path == "checkpoint" {
            // A mirror adds its cosignature.
            assert_eq!(body(one), body(other), "{name}");
        } else {
            assert!(one == other, "{name}: {path} is another");
        }
    }
}

/// What is signed of a checkpoint.
fn body(checkpoint: &[u8]) -> String {
    let text = String::from_utf8(checkpoint.to_vec()).unwrap();
    text.split_once("\n\n").unwrap().0.to_owned()
}

/// That pools show the same of a path, with its signer's word.
pub(super) async fn narinfos_are_the_same(pools: &[&Client], pushed: &Pushed) {
    let narinfo = format!("/{}.narinfo", pushed.path.base().hash_part());
    let first = pools[0].get(&narinfo).await;
    assert_eq!(first.status, 200, "{}: {}", pushed.path, first.text());
    let signed = format!("\nSig: {}:", pushed.signer);
    assert!(first.text().contains(&signed), "{}", first.text());
    for pool in &pools[1..] {
        assert_eq!(pool.get(&narinfo).await.text(), first.text());
    }
}

/// That a pool knows who vouches for a path, though it does not have the NAR.
pub(super) async fn word_is_known(pool: &Client, pushed: &Pushed) {
    let part = pushed.path.base().hash_part();
    let told = pool.get(&format!("/api/v1/paths/{part}")).await.json();
    assert_eq!(told["claims"][0]["attestations"][0]["signer"], pushed.signer.as_str(), "{told}");
}

/// That a pool serves the NAR, whole and right.
pub(super) async fn nar_is_right(pool: &Client, pushed: &Pushed) {
    let answer = pool.get(&pushed.url).await;
    assert_eq!(answer.status, 200, "{}", pushed.url);
    assert_eq!(answer.body.len() as u64, pushed.file_size, "{}", pushed.url);
    assert_eq!(NarHash::of(&unpack(&answer.body).unwrap()), pushed.nar_hash);
}
