//! The index is made anew, and answers as before.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pool_server::index::Index;
use schema::api::AttestItem;
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::store_path::StorePath;
use serde_json::Value;
use tests::cli::Cli;
use tests::client::Client;
use tests::nar::{attestation, file, key, noise, path, xz, zstd};
use tests::server::Server;

use super::{alice, answers_about, push_all, thing, upkeep};

type Answers = BTreeMap<String, (u16, Vec<u8>)>;

/// Two who differ about a path; a claim whose NAR never came, and one whose NAR came later; a deriver; a
/// NAR that came twice, in other files; paths that were taken down.
async fn fill(server: &Server) -> Vec<StorePath> {
    let (admin, bob) = (Client::admin(server), key("bob", 2));
    let things: Vec<_> = (0..300).map(|number| thing("reindex", number)).collect();
    push_all(server, &things).await;
    admin.enrol(&bob.public()).await;
    let mut paths: Vec<StorePath> = things.iter().map(|(path, _)| path.clone()).collect();
    let other = file(&noise(7777, 5000));
    admin.push(&bob, &paths[0], &other, &[]).await;
    admin.vouch(&bob, &paths[1], &things[1].1, &[paths[0].base().clone()]).await;
    let (waiting, late) = (thing("waiting", 1000), thing("late", 1001));
    for (path, nar) in [&waiting, &late] {
        admin.vouch(&alice(), path, nar, &[]).await;
    }
    admin.upload(&late.1, Compression::Xz, xz(&late.1)).await;
    admin.upload(&late.1, Compression::Zstd, zstd(&late.1)).await;
    let derived = thing("derived", 1002);
    admin.upload(&derived.1, Compression::Zstd, zstd(&derived.1)).await;
    let drv = path("drv", "thing.drv").base().clone();
    let item =
        AttestItem { deriver: Some(drv), ..attestation(&alice(), &derived.0, &derived.1, &[]) };
    assert_eq!(admin.attest(vec![item]).await.status, 200);
    let gone = thing("gone", 1003);
    admin.push(&alice(), &gone.0, &gone.1, &[]).await;
    let request = serde_json::json!({"path": gone.0, "reason": "not ours", "now": true});
    let answer = admin.request(reqwest::Method::POST, "/api/v1/deletions").json(&request);
    assert!(answer.send().await.unwrap().status().is_success());
    paths.extend([waiting.0, late.0, derived.0, gone.0]);
    paths
}

async fn all_answers(server: &Server, paths: &[StorePath]) -> Answers {
    let client = Client::admin(server);
    let mut answers = Answers::new();
    for path in paths {
        answers.extend(answers_about(&client, path).await);
    }
    for question in [
        "/api/v1/divergences",
        "/api/v1/signers",
        "/api/v1/deletions",
        "/ledger/attestations/checkpoint",
        "/ledger/attestations/tile/0/000",
        "/ledger/attestations/tile/entries/000",
        "/ledger/index/checkpoint",
    ] {
        let answer = client.get(question).await;
        answers.insert(question.to_owned(), (answer.status, answer.body.to_vec()));
    }
    answers
}

fn same(before: &Answers, after: &Answers) {
    for (question, answer) in before {
        let shown =
            |(status, body): &(u16, Vec<u8>)| format!("{status} {}", String::from_utf8_lossy(body));
        assert_eq!(shown(&after[question]), shown(answer), "{question}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_index_answers_as_the_old_one_did() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    let paths = fill(&server).await;
    let covered = async || Client::new(&server).get("/ledger/index/checkpoint").await.text();
    let size = async || covered().await.lines().nth(1).unwrap().to_owned();
    tests::deadline::eventually("the map is made", async || size().await != "0").await;
    let busy = upkeep(&data, &["reindex"]).failed();
    assert!(busy.contains("another pool-server works in this data directory"), "{busy}");
    server.stop();
    let server = Server::start(&data, &[]);
    let before = all_answers(&server, &paths).await;
    server.stop();

    for arguments in [&["reindex", "--json"][..], &["reindex", "--trust-nars", "--json"]] {
        let made: Value = serde_json::from_str(&upkeep(&data, arguments).ok()).unwrap();
        let whole = if arguments.len() == 2 { 303 } else { 0 };
        assert_eq!(made["nars"]["whole"], whole, "{made}");
        assert_eq!((&made["lost_claims"], &made["incomplete"]), (&0.into(), &Value::Array(vec![])));
        let server = Server::start(&data, &[]);
        same(&before, &all_answers(&server, &paths).await);
        let home = tempfile::tempdir().unwrap();
        let audit = Cli::new(home.path(), &server, "").run(&["ledger", "audit", "--json"]);
        let audit: Value = serde_json::from_str(&audit.ok()).unwrap();
        assert_eq!(audit["findings"], Value::Array(vec![]), "{audit}");
        let client = Client::admin(&server);
        let again =
            client.attest(vec![attestation(&alice(), &paths[5], &thing("reindex", 5).1, &[])]);
        let again = again.await.json();
        assert_eq!(
            (&again["logged"][0]["new"], &again["logged"][0]["index"]),
            (&false.into(), &5.into())
        );
        server.stop();
    }
}

#[tokio::test]
async fn a_nar_that_is_damaged_is_told_and_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    let things: Vec<_> = (0..3).map(|number| thing("damaged", number)).collect();
    push_all(&server, &things).await;
    server.stop();
    let name = format!("{}.nar.zst", NarHash::of(&things[1].1).to_nix32());
    let nar = data.join("blobs/nar").join(&name);
    let mut bytes = fs::read(&nar).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&nar, bytes).unwrap();
    forget_paths(&data);

    let made = upkeep(&data, &["reindex"]);
    assert!(made.stderr.contains(&format!("warning: blobs/nar/{name} is damaged")), "{made:?}");
    assert!(made.ok().contains("3 attestations, 2 NARs"));
    let server = Server::start(&data, &[]);
    for (at, (path, _)) in things.iter().enumerate() {
        let narinfo = format!("/as/alice/{}.narinfo", path.base().hash_part());
        let status = Client::new(&server).get(&narinfo).await.status;
        assert_eq!(status, if at == 1 { 404 } else { 200 }, "{path}");
    }
    server.stop();
}

/// What is derived is lost.
fn forget_paths(data: &Path) {
    let index = Index::open(&data.join("index")).unwrap();
    for number in 0..3 {
        let (path, _) = thing("damaged", number);
        let mut batch = index.batch();
        batch.put_path(&path.base().hash_part(), &Default::default()).unwrap();
        batch.commit().unwrap();
    }
}
