//! `/api/v1/divergence`.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Method;
use schema::api::{ChallengeResponse, MAX_CHALLENGED};
use schema::key_event::{KeyEvent, RevokeReason};
use schema::store_path::{HashPart, StorePath};
use serde_json::json;
use tests::client::{Answer, Client};
use tests::nar::{attestation, file, key, path};
use tests::server::Server;

use super::{Scene, sides};

#[tokio::test]
async fn the_feed_is_in_the_order_of_the_ledger_and_can_be_followed() {
    let scene = Scene::start().await;
    let paths: Vec<StorePath> =
        (0..5).map(|number| path(&format!("disputed {number}"), "disputed")).collect();
    let agreed = path("agreed", "agreed");
    scene.admin.vouch(&scene.alice, &agreed, &file(b"a"), &[]).await;
    scene.admin.vouch(&scene.bob, &agreed, &file(b"a"), &[]).await;
    for path in &paths {
        scene.admin.vouch(&scene.alice, path, &file(b"a"), &[]).await;
    }
    assert_eq!(scene.page("").await.divergences, []);
    // The entries are 0 to 6 so far. They diverge in another order than they came in, some of them
    // in one group.
    scene.admin.vouch(&scene.bob, &paths[3], &file(b"b"), &[]).await;
    let both = [&paths[1], &paths[0]].map(|path| attestation(&scene.bob, path, &file(b"b"), &[]));
    assert_eq!(scene.admin.attest(both.into()).await.status, 200);
    scene.admin.vouch(&scene.bob, &paths[4], &file(b"b"), &[]).await;

    let feed = scene.feed().await;
    let order: Vec<(u64, &StorePath)> = feed.iter().map(|it| (it.index, &it.store_path)).collect();
    assert_eq!(order, [(7, &paths[3]), (8, &paths[1]), (9, &paths[0]), (10, &paths[4])]);
    assert_eq!(sides(&feed[0]), (&paths[3], vec!["alice".to_owned(), "bob".to_owned()]));
    assert_eq!(feed[0].hash_part, paths[3].base().hash_part());

    let mut pages = Vec::new();
    let mut from = 0;
    loop {
        let page = scene.page(&format!("?from={from}&limit=3")).await;
        assert!(page.divergences.len() <= 3);
        from = page.next;
        pages.extend(page.divergences);
        if !page.more {
            break;
        }
    }
    assert_eq!(pages, feed, "pages make up the feed");

    // More of the same path is no news; another path is.
    scene.admin.vouch(&scene.carol, &paths[3], &file(b"c"), &[]).await;
    scene.admin.vouch(&scene.carol, &paths[0], &file(b"b"), &[]).await;
    scene.admin.vouch(&scene.carol, &paths[2], &file(b"c"), &[]).await;
    let page = scene.page(&format!("?from={from}")).await;
    assert_eq!(page.divergences.iter().map(|it| it.index).collect::<Vec<_>>(), [13]);
    let feed = scene.feed().await;
    assert_eq!(sides(&feed[0]).1, ["alice", "bob", "carol"]);
    assert_eq!(sides(&feed[2]).1, ["alice", "bob carol"]);

    let scene = scene.restart();
    assert_eq!(scene.feed().await, feed, "it is kept");
    assert_eq!(scene.page("?from=18446744073709551615").await.next, u64::MAX);
}

#[tokio::test]
async fn signers_are_counted_as_in_views() {
    let scene = Scene::start().await;
    let (box1, box2) = (key("box-1", 11), key("box-2", 12));
    let not_after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600;
    for machine in [&box1, &box2] {
        let (root, key) = (scene.alice.public().id(), machine.public());
        let names = "*".parse().unwrap();
        scene.event(KeyEvent::Delegate { root, key, names, not_after }, &[&scene.alice]).await;
    }
    let [one, two, three] = ["one", "two", "three"].map(|seed| path(seed, "built"));
    let (a, b) = (file(b"a"), file(b"b"));
    // Entries 0 to 2: a machine speaks for its root, whose word it repeats.
    scene.admin.vouch(&scene.alice, &one, &a, &[]).await;
    scene.admin.vouch(&box1, &one, &a, &[]).await;
    scene.admin.vouch(&scene.bob, &one, &b, &[]).await;
    // 3 and 4: machines of one root contradict each other.
    scene.admin.vouch(&box1, &two, &a, &[]).await;
    scene.admin.vouch(&box2, &two, &b, &[]).await;
    // 5 to 7: what mallory says turns out to be void, and another stands in.
    let mallory = key("mallory", 13);
    scene.admin.enrol(&mallory.public()).await;
    scene.admin.vouch(&mallory, &three, &a, &[]).await;
    scene.admin.vouch(&scene.bob, &three, &b, &[]).await;

    let feed = scene.feed().await;
    let found: Vec<_> = feed.iter().map(|it| (it.index, sides(it).1)).collect();
    assert_eq!(
        found,
        [
            (2, vec!["alice".to_owned(), "bob".to_owned()]),
            (4, vec!["alice".to_owned(), "alice".to_owned()]),
            (6, vec!["mallory".to_owned(), "bob".to_owned()]),
        ]
    );

    let reason = RevokeReason::Compromised { from: 0 };
    let revoke = KeyEvent::Revoke { key: mallory.public().id(), reason };
    scene.event(revoke, &[&mallory]).await;
    assert_eq!(scene.feed().await, feed[..2], "a void word disagrees with nobody");
    let page = scene.page("?from=5").await;
    assert_eq!((page.divergences.len(), page.next, page.more), (0, 7, false));
    // The same is said by one who counts: now it diverges, and whoever follows is told.
    scene.admin.vouch(&scene.carol, &three, &a, &[]).await;
    let news = scene.page("?from=7").await.divergences;
    assert_eq!(news.len(), 1);
    assert_eq!((news[0].index, sides(&news[0])), (7, (&three, vec!["bob".into(), "carol".into()])));
    assert_eq!(scene.feed().await.len(), 3);
}

#[tokio::test]
async fn names_with_one_hash_part_are_different_paths() {
    let scene = Scene::start().await;
    let (one, other) = (path("same", "one"), path("same", "other"));
    scene.admin.vouch(&scene.alice, &one, &file(b"a"), &[]).await;
    scene.admin.vouch(&scene.bob, &other, &file(b"b"), &[]).await;
    assert_eq!(scene.feed().await, []);
    scene.admin.vouch(&scene.carol, &other, &file(b"c"), &[]).await;
    let feed = scene.feed().await;
    assert_eq!(feed.len(), 1);
    assert_eq!(sides(&feed[0]), (&other, vec!["bob".to_owned(), "carol".to_owned()]));
}

#[tokio::test]
async fn many_paths_are_challenged_at_once() {
    let scene = Scene::start().await;
    let (known, unknown) = (path("known", "known"), path("unknown", "unknown"));
    scene.admin.push(&scene.alice, &known, &file(b"a"), &[unknown.base().clone()]).await;
    let ask = async |body: serde_json::Value| {
        Answer::to(scene.admin.request(Method::POST, "/api/v1/divergence").json(&body)).await
    };
    let parts: Vec<HashPart> =
        [&unknown, &known, &known].map(|path| path.base().hash_part()).into();
    let answer = ask(json!({ "hash_parts": parts })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer: ChallengeResponse = serde_json::from_value(answer.json()).unwrap();
    assert_eq!(answer.answers.iter().map(|it| it.hash_part).collect::<Vec<_>>(), parts);
    assert_eq!(answer.answers[0].paths, []);
    let claim = &answer.answers[1].paths[0].claims[0];
    assert_eq!(answer.answers[1].paths[0].store_path, known);
    assert_eq!(claim.references, [unknown.base().clone()]);
    assert!(claim.file.is_some());
    assert_eq!(claim.signers[0].as_str(), "alice");

    let many = vec![parts[0]; MAX_CHALLENGED + 1];
    assert_eq!(ask(json!({ "hash_parts": many[1..] })).await.status, 200);
    assert_eq!(ask(json!({ "hash_parts": many })).await.problem().code, "too_many_paths");
    assert_eq!(ask(json!({ "hash_parts": ["x"] })).await.status, 400);
}

#[tokio::test]
async fn wrong_questions_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--private", "true"]);
    let (stranger, admin) = (Client::new(&server), Client::admin(&server));
    assert_eq!(stranger.get("/api/v1/divergence").await.status, 401);
    assert_eq!(admin.get("/api/v1/divergence").await.status, 200);
    for (query, code) in [
        ("limit=0", "limit_out_of_range"),
        ("limit=1001", "limit_out_of_range"),
        ("limit=-1", "query_malformed"),
        ("from=-1", "query_malformed"),
        ("from=18446744073709551616", "query_malformed"),
        ("form=1", "query_malformed"),
    ] {
        let problem = admin.get(&format!("/api/v1/divergence?{query}")).await.problem();
        assert_eq!((problem.status, &*problem.code), (400, code), "{query}");
    }
}
