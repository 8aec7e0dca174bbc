//! Who may say which ledgers are mirrored, and under which keys.

use reqwest::Method;
use serde_json::json;
use tests::client::{Answer, Client};
use tests::double::{Ledger, Shown, Upstream};
use tests::nar::key;

use super::super::scene::{Pool, alice};
use super::story::{SEED, claim, is_caught, ledger, mirror, mirrors, seen, shown};

#[tokio::test]
async fn an_origin_keeps_its_key() {
    let b = Pool::start(&[]);
    let upstream = Upstream::of(shown(&ledger("taken.example", 3)));
    mirrors(&b, &upstream);
    let before = seen(&b, "taken.example").await;
    let mut other = Ledger::new("taken.example", SEED + 1);
    other.enrol(&alice().public());
    other.attest(&alice(), &claim("taken.example", 9));
    other.index();
    upstream.shows(Shown::of(&other, SEED + 1, &[]));
    let key = other.pool().public().to_string();
    for said in ["taken.example", &key, "impostor"] {
        assert_eq!(is_caught(said, &b, &upstream, "keys", said)["code"], "key_changed");
    }
    seen(&b, "taken.example").await.assert_same(&before, "origins");
    let held = b.admin().get("/api/v1/ledgers").await.json();
    assert_eq!(held["ledgers"].as_array().unwrap().len(), 2, "{held}");
}

#[tokio::test]
async fn to_begin_with_a_ledger_takes_an_admin() {
    let b = Pool::start(&["--private", "true"]);
    let body = json!({ "origin": "new.example", "public_key": key("new", 3).public() });
    let ask = async |client: Client, body: &serde_json::Value| {
        let request = client.request(Method::POST, "/api/v1/ledgers");
        let answer = Answer::to(request.json(body)).await;
        let code = if answer.status == 200 { String::new() } else { answer.problem().code };
        (answer.status, code)
    };
    let with = |scopes: &str| Client::with_token(b.server(), &b.server().token(scopes));
    assert_eq!(ask(Client::new(b.server()), &body).await.0, 401);
    for scopes in ["read", "upload", "attest", "read,upload,attest"] {
        assert_eq!(ask(with(scopes), &body).await, (403, "scope_missing".to_owned()), "{scopes}");
    }
    assert_eq!(ask(b.admin(), &body).await.0, 200);
    // Its own, and one whose name could be no log's.
    let own = json!({ "origin": b.origin().await, "public_key": key("new", 3).public() });
    assert_eq!(ask(b.admin(), &own).await, (409, "own_ledger".to_owned()));
    for origin in ["", "two\nlines", "a+b"] {
        let bad = json!({ "origin": origin, "public_key": key("new", 3).public() });
        assert_eq!(ask(b.admin(), &bad).await, (422, "ledger_malformed".to_owned()), "{origin:?}");
    }
    let other = json!({ "origin": "new.example", "public_key": key("new", 4).public() });
    assert_eq!(ask(b.admin(), &other).await, (409, "origin_taken".to_owned()));
    let held = b.admin().get("/api/v1/ledgers").await.json();
    assert_eq!(held["ledgers"].as_array().unwrap().len(), 2, "{held}");
}

/// A pool cannot have its logs fetched from another server: what is behind `@` would be one.
#[tokio::test]
async fn a_log_is_at_the_pool_that_shows_it() {
    let (b, other) = (Pool::start(&[]), Pool::start(&[]));
    let mut lying = shown(&ledger("led.example", 1));
    lying.prefix = format!("@{}/ledger/", other.server().address());
    let (outcome, _) = mirror(&b, &Upstream::of(lying), &[]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(outcome.stderr.contains("serves no log under"), "{outcome:?}");
    let held = b.admin().get("/api/v1/ledgers").await.json();
    assert_eq!(held["ledgers"].as_array().unwrap().len(), 1, "{held}");
}
