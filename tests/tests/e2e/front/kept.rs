//! What nginx keeps is as old as the pool allows, and no older.

use std::time::{Duration, Instant};

use schema::narinfo::NarInfo;
use tests::client::{Answer, Client};
use tests::deadline::eventually;
use tests::front::Front;
use tests::nar::{file, key, path};
use tests::server::Server;

use super::{STATUS, ask};

/// What the pools here allow, for narinfos and for 404s.
const MAX_AGE: Duration = Duration::from_secs(2);
/// nginx counts in whole seconds, and tells the time when it wakes up.
const TICK: Duration = Duration::from_secs(2);
const ARGUMENTS: [&str; 4] = ["--narinfo-max-age", "2s", "--missing-max-age", "2s"];

/// Asks until the answer is no longer one that was kept since `fresh`, and sees that none is
/// given out for too long.
async fn when_not_kept(client: &Client, address: &str, fresh: Instant) -> Answer {
    loop {
        let asked = fresh.elapsed();
        let answer = client.get(address).await;
        if answer.header(STATUS) != "HIT" {
            return answer;
        }
        assert!(asked <= MAX_AGE + TICK, "kept for {asked:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_narinfo_is_kept_then_asked_for_by_its_etag() {
    const SAME: &str = "narpool_requests_total{route=\"/{hash}.narinfo\",status=\"3xx\"}";
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &ARGUMENTS);
    let (admin, front) = (Client::admin(&server), Front::before(&server));
    let (client, nar) = (front.client(), file(b"kept"));
    let (alice, bob) = (key("alice", 1), key("bob", 2));
    admin.enrol(&alice.public()).await;
    admin.enrol(&bob.public()).await;
    let path = path("kept", "kept");
    admin.push(&alice, &path, &nar, &[]).await;
    for file in ["narinfo", "ls"] {
        let address = format!("/signers/1/alice,bob/{}.{file}", path.base().hash_part());
        let same = admin.metric(SAME).await;
        let first = client.get(&address).await;
        assert_eq!((first.status, first.header(STATUS)), (200, "MISS"), "{file}");
        let mut fresh = Instant::now();
        eventually("an answer that is kept", async || {
            let kept = client.get(&address).await;
            assert_eq!(kept.body, first.body);
            if kept.header(STATUS) != "HIT" {
                fresh = Instant::now();
            }
            kept.header(STATUS) == "HIT"
        })
        .await;
        let again = when_not_kept(&client, &address, fresh).await;
        assert_eq!((again.status, again.header(STATUS)), (200, "REVALIDATED"));
        assert_eq!((&again.body, again.header("etag")), (&first.body, first.header("etag")));
        assert_eq!(again.header("cache-control"), "max-age=2");
        assert!(admin.metric(SAME).await > same, "the pool said that it is the same");
    }
    // What has changed comes whole.
    let narinfo = format!("/{}.narinfo", path.base().hash_part());
    client.get(&narinfo).await;
    admin.vouch(&bob, &path, &nar, &[]).await;
    let vouched = Instant::now();
    eventually("both signatures", async || {
        let asked = vouched.elapsed();
        let shown = NarInfo::parse_nix(&client.get(&narinfo).await.body).unwrap();
        let both = shown.signatures.len() == 2;
        assert!(both || asked <= MAX_AGE + TICK, "old after {asked:?}");
        both
    })
    .await;
}

#[tokio::test]
async fn a_path_that_was_missing_is_seen_soon() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &ARGUMENTS);
    let (admin, front) = (Client::admin(&server), Front::before(&server));
    let (client, alice) = (front.client(), key("alice", 1));
    admin.enrol(&alice.public()).await;
    let path = path("late", "late");
    let address = format!("/{}.narinfo", path.base().hash_part());
    let missing = client.get(&address).await;
    assert_eq!((missing.status, missing.header(STATUS)), (404, "MISS"));
    let mut fresh = Instant::now();
    eventually("a 404 that is kept", async || {
        let kept = client.get(&address).await;
        assert_eq!((kept.status, kept.text()), (404, missing.text()));
        if kept.header(STATUS) != "HIT" {
            fresh = Instant::now();
        }
        kept.header(STATUS) == "HIT"
    })
    .await;
    // Programs that ask for JSON are not given the text.
    let json = ask(&client, &address, &[("accept", "application/json")]).await;
    assert_eq!((json.status, json.problem().code.as_str()), (404, "never_seen"));

    admin.push(&alice, &path, &file(b"late"), &[]).await;
    let answer = when_not_kept(&client, &address, fresh).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(NarInfo::parse_nix(&answer.body).unwrap().claim.path() == &path);
}

#[tokio::test]
async fn what_is_answered_to_credentials_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let (admin, front) = (Client::admin(&server), Front::before(&server));
    let alice = key("alice", 1);
    admin.enrol(&alice.public()).await;
    let path = path("1", "x");
    admin.push(&alice, &path, &file(b"n"), &[]).await;
    let address = format!("/{}.narinfo", path.base().hash_part());
    let holder = front.client().holding(&server.admin_token());
    for _ in 0..2 {
        let answer = holder.get(&address).await;
        assert_eq!((answer.status, answer.header(STATUS)), (200, "BYPASS"));
    }
    assert_eq!(front.client().get(&address).await.header(STATUS), "MISS");
    assert_eq!(front.client().get(&address).await.header(STATUS), "HIT");
    assert_eq!(holder.get(&address).await.header(STATUS), "BYPASS");
}

#[tokio::test]
async fn a_private_pool_stays_private() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--private"]);
    let (admin, front) = (Client::admin(&server), Front::before_private(&server));
    let alice = key("alice", 1);
    admin.enrol(&alice.public()).await;
    let path = path("1", "x");
    admin.push(&alice, &path, &file(b"n"), &[]).await;
    let narinfo = format!("/{}.narinfo", path.base().hash_part());
    let shown = NarInfo::parse_nix(&admin.get(&narinfo).await.body).unwrap();
    let reader = front.client().holding(&server.token("read"));
    for address in [&narinfo, &format!("/{}", shown.delivery.url), "/ledger/keys/tile/0/000.p/1"] {
        assert_eq!(reader.get(address).await.status, 200, "{address}");
        assert_eq!(front.client().get(address).await.status, 401, "{address}");
    }
}
