//! A machine that crashes may lose the end of the database's log, or find something else there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use reqwest::Method;
use schema::api::{AttestRequest, AttestResponse};
use serde_json::from_value;
use tests::client::{Answer, Client};
use tests::nar::noise;
use tests::random::Random;
use tests::run::long;

use super::Scene;
use super::audit::{Auditor, Strays, json, missing};
use super::notes::{Notes, key};

/// The most bytes of the log that are lost.
const MOST_TORN: u64 = 8 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_log_costs_its_end_and_nothing_else() {
    let mut scene = Scene::new();
    let mut auditor = Auditor::new(Strays::Unserved);
    for round in 0..if long() { 20 } else { 3 } {
        let server = scene.start().await;
        auditor.audit(&server, &scene.notes).await;
        let heads = heads(scene.data());
        scene.push_and_kill(server, round).await;
        tear(&newest_log(&scene.data().join("index")), &mut scene.random);
        // What a disk loses after it was synced may have been signed, and with a head that is ahead
        // of it the pool does not start by itself. Here it is told to go on from before.
        for (head, bytes) in heads {
            fs::write(head, bytes).unwrap();
        }
        let server = scene.start().await;
        forgive(&Client::admin(&server), &scene.notes).await;
        auditor.audit(&server, &scene.notes).await;
        // The same once more: what was lost can be had again.
        scene.push_and_kill(server, round).await;
    }
    let server = scene.start().await;
    auditor.read_all_again();
    auditor.audit(&server, &scene.notes).await;
    println!("{}", scene.notes);
    server.stop();
}

/// What the logs' heads are now.
fn heads(data: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(data.join("heads")).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

/// Each start begins a new log and writes the one before into tables: there is one with bytes in it.
fn newest_log(index: &Path) -> PathBuf {
    let files = fs::read_dir(index).unwrap().map(|entry| entry.unwrap().path());
    let logs = files.filter(|file| file.extension().is_some_and(|extension| extension == "log"));
    let written = logs.filter(|log| fs::metadata(log).unwrap().len() > 0);
    written.max().expect("the database keeps a log")
}

fn tear(log: &Path, random: &mut Random) {
    let file = File::options().write(true).open(log).unwrap();
    let len = file.metadata().unwrap().len();
    let torn = random.within(1..MOST_TORN.min(len) + 1);
    match random.within(0..3) {
        0 => file.set_len(len - torn).unwrap(),
        1 => file.write_all_at(&vec![0; torn as usize], len - torn).unwrap(),
        _ => file.write_all_at(&noise(random.number(), torn as usize), len - torn).unwrap(),
    }
}

/// Forgives what was lost, which may only be the last of it.
async fn forgive(client: &Client, notes: &Notes) {
    let owed = notes.note(|owed| owed.clone());
    let lost = missing(client, owed.nars.keys()).await;
    let mut aliases = BTreeMap::new();
    for (file_hash, nar_hash) in owed.aliases.clone() {
        if client.head(&format!("/nar/{}.nar.xz", file_hash.to_nix32())).await.status == 200 {
            aliases.insert(file_hash, nar_hash);
        }
    }
    let mut in_order: Vec<_> =
        owed.attested.iter().map(|(key, index)| (index.unwrap_or(u64::MAX), key)).collect();
    in_order.sort();
    let attestations: Vec<_> = in_order.iter().map(|(_, key)| owed.tried[key].clone()).collect();
    let request = AttestRequest { attestations: attestations.clone() };
    let answer =
        Answer::to(client.request(Method::POST, "/api/v1/attestations").json(&request)).await;
    let answer: AttestResponse = from_value(json(&answer)).unwrap();
    let told = in_order.iter().zip(&answer.logged).filter(|((index, _), _)| *index < u64::MAX);
    for ((index, key), logged) in told.clone().filter(|(_, logged)| !logged.new) {
        assert_eq!(*index, logged.index, "{} moved", key.0);
    }
    assert!(told.is_sorted_by_key(|(_, logged)| logged.new), "only the end of the ledger is lost");
    notes.note(|owed| {
        owed.nars.retain(|nar_hash, _| !lost.contains(nar_hash));
        owed.aliases = aliases;
        owed.attested.clear();
        for (item, logged) in attestations.iter().zip(&answer.logged) {
            owed.attested.insert(key(item), Some(logged.index));
        }
    });
}
