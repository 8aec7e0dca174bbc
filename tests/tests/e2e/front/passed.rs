//! What nginx hands on: the ledger, its events, the API, and uploads.

use std::time::{Duration, Instant};

use reqwest::Method;
use schema::compression::Compression;
use schema::hash::NarHash;
use tests::client::{Answer, Client};
use tests::deadline::{DEADLINE, eventually};
use tests::front::Front;
use tests::nar::{attestation, file, key, noise, path};
use tests::server::Server;
use tokio::time::timeout;

use super::{STATUS, ask};

#[tokio::test]
async fn tiles_are_kept_and_checkpoints_hardly() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let (admin, front) = (Client::admin(&server), Front::before(&server));
    let (client, alice) = (front.client(), key("alice", 1));
    admin.enrol(&alice.public()).await;
    admin.vouch(&alice, &path("1", "x"), &file(b"n"), &[]).await;
    for tile in ["tile/0/000.p/1", "tile/entries/000.p/1"] {
        let address = format!("/ledger/attestations/{tile}");
        let direct = admin.get(&address).await;
        for status in ["MISS", "HIT"] {
            let answer = client.get(&address).await;
            assert_eq!((answer.header(STATUS), &answer.body), (status, &direct.body), "{tile}");
            assert_eq!(answer.header("cache-control"), direct.header("cache-control"));
        }
        // Whoever can unpack it is given it packed, and nobody else.
        if tile.contains("entries") {
            let zipped = ask(&client, &address, &[("accept-encoding", "gzip")]).await;
            assert_eq!(zipped.header("content-encoding"), "gzip");
            assert_eq!(client.get(&address).await.body, direct.body);
        }
    }
    let checkpoint = "/ledger/attestations/checkpoint";
    assert_eq!(client.get(checkpoint).await.header(STATUS), "MISS");
    admin.vouch(&alice, &path("2", "x"), &file(b"n"), &[]).await;
    let (signed, newest) = (Instant::now(), admin.get(checkpoint).await.body);
    eventually("the new checkpoint", async || {
        let asked = signed.elapsed();
        let seen = client.get(checkpoint).await.body == newest;
        assert!(seen || asked < Duration::from_secs(3), "old after {asked:?}");
        seen
    })
    .await;
    eventually("a checkpoint that is the same", async || {
        client.get(checkpoint).await.header(STATUS) == "REVALIDATED"
    })
    .await;
}

#[tokio::test]
async fn events_come_through_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let (admin, front) = (Client::admin(&server), Front::before(&server));
    let alice = key("alice", 1);
    admin.enrol(&alice.public()).await;
    let request = front.client().request(Method::GET, "/ledger/attestations/events");
    let mut events = request.send().await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    for size in 0..3 {
        let mut heard = String::new();
        while !heard.contains(&format!("id: {size}\n")) || !heard.ends_with("\n\n") {
            let chunk = timeout(DEADLINE, events.chunk()).await.expect("it is heard in time");
            heard += std::str::from_utf8(&chunk.unwrap().expect("it goes on")).unwrap();
        }
        admin.vouch(&alice, &path(&size.to_string(), "x"), &file(b"n"), &[]).await;
    }
}

#[tokio::test]
async fn uploads_and_questions_reach_the_pool() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let front = Front::before(&server);
    let holder = front.client().holding(&server.admin_token());
    let alice = key("alice", 1);
    holder.enrol(&alice.public()).await;
    // Larger than what nginx takes by itself, and than it would keep in memory.
    let nar = file(&noise(3, 4 << 20));
    holder.upload(&nar, Compression::None, nar.clone()).await;
    let path = path("1", "x");
    assert_eq!(holder.attest(vec![attestation(&alice, &path, &nar, &[])]).await.status, 200);
    let name = format!("/as/alice/nar/{}.nar", NarHash::of(&nar).to_nix32());
    assert_eq!(holder.put(&name, nar.clone()).await.status, 200, "though the file is there");
    assert!(front.client().get(&name).await.body == nar);

    let hash_part = path.base().hash_part().to_string();
    let query = front.client().request(Method::from_bytes(b"QUERY").unwrap(), "/get-narinfos-v1");
    let lines = Answer::to(query.body(hash_part)).await.json_lines();
    assert!(lines[0]["narinfo"].is_string(), "{lines:?}");
    let unknown = front.client().get("/api/v1/unknown").await;
    assert_eq!(unknown.problem().status, 404);
}
