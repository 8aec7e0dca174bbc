//! What happens to keys: rotation, delegation, revocation, and what may be added afterwards.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Method;
use schema::api::{KeyEventRequest, RefusedCode};
use schema::key::{PublicKey, SecretKey};
use schema::key_event::{KeyEvent, RevokeReason};
use schema::narinfo::NarInfo;
use schema::store_path::StorePath;
use tempfile::TempDir;
use tests::client::{Answer, Client};
use tests::deadline::eventually;
use tests::nar::{attestation, file, key, path};
use tests::server::Server;

struct Scene {
    server: Server,
    admin: Client,
    alice: SecretKey,
    origin: String,
    dir: TempDir,
}

impl Scene {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(dir.path(), &[]);
        let admin = Client::admin(&server);
        let alice = key("alice", 1);
        admin.enrol(&alice.public()).await;
        let info = admin.get("/api/v1/info").await.json();
        let origin = format!("{}/keys", info["origin"].as_str().unwrap());
        Self { server, admin, alice, origin, dir }
    }

    async fn restart(self) -> Self {
        let Self { server, alice, origin, dir, .. } = self;
        server.stop();
        let server = Server::start(dir.path(), &[]);
        let admin = Client::admin(&server);
        Self { server, admin, alice, origin, dir }
    }

    /// Hands in an event, as anybody may who has the signatures: without a token.
    async fn event(&self, event: KeyEvent, by: &[&SecretKey]) -> Answer {
        let signed = event.sign(&self.origin, by).unwrap();
        let request = KeyEventRequest {
            event: signed.event().clone(),
            signatures: signed.signatures().to_vec(),
        };
        let anybody = Client::new(&self.server);
        Answer::to(anybody.request(Method::POST, "/api/v1/keys/events").json(&request)).await
    }

    async fn happened(&self, event: KeyEvent, by: &[&SecretKey]) {
        let answer = self.event(event, by).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    async fn refused(&self, event: KeyEvent, by: &[&SecretKey]) -> String {
        let answer = self.event(event, by).await;
        assert!((400..500).contains(&answer.status), "{}", answer.text());
        answer.problem().code
    }

    async fn attests(&self, key: &SecretKey, path: &StorePath) -> Result<u64, String> {
        let answer = self.admin.attest(vec![attestation(key, path, &file(b"n"), &[])]).await;
        match answer.status {
            200 => Ok(answer.json()["logged"][0]["index"].as_u64().unwrap()),
            _ => Err(answer.problem().code),
        }
    }

    /// The names under the narinfo of the default view.
    async fn signed_by(&self, path: &StorePath) -> Vec<String> {
        let address = format!("/{}.narinfo", path.base().hash_part());
        let narinfo = self.admin.get(&address).await;
        if narinfo.status == 404 {
            let code = RefusedCode::NotEnoughSigners.as_str();
            assert!(narinfo.text().starts_with(code), "{}", narinfo.text());
            return Vec::new();
        }
        let narinfo = NarInfo::parse_nix(&narinfo.body).unwrap();
        narinfo.signatures.iter().map(|line| line.name().to_string()).collect()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn revoke(key: &SecretKey, reason: RevokeReason) -> KeyEvent {
    KeyEvent::Revoke { key: key.public().id(), reason }
}

fn delegate(root: &SecretKey, machine: PublicKey, names: &str, not_after: u64) -> KeyEvent {
    let names = names.parse().unwrap();
    KeyEvent::Delegate { root: root.public().id(), key: machine, names, not_after }
}

#[tokio::test]
async fn a_retired_key_keeps_what_it_said_and_adds_nothing() {
    let scene = Scene::start().await;
    let (before, after) = (path("1", "before"), path("2", "after"));
    scene.admin.push(&scene.alice, &before, &file(b"n"), &[]).await;
    let retire = || revoke(&scene.alice, RevokeReason::Retired);
    assert_eq!(scene.refused(retire(), &[&key("mallory", 7)]).await, "not_signed_by_holder");
    scene.happened(retire(), &[&scene.alice]).await;
    assert_eq!(scene.attests(&scene.alice, &after).await, Err("key_revoked".to_owned()));
    assert_eq!(scene.signed_by(&before).await, ["alice"]);
    let scene = scene.restart().await;
    assert_eq!(scene.attests(&scene.alice, &after).await, Err("key_revoked".to_owned()));
    assert_eq!(scene.attests(&scene.alice, &before).await, Ok(0), "it stands there");
    assert_eq!(scene.signed_by(&before).await, ["alice"]);
}

#[tokio::test]
async fn entries_from_the_cut_of_a_compromised_key_do_not_count() {
    let scene = Scene::start().await;
    let (good, bad) = (path("1", "good"), path("2", "bad"));
    scene.admin.push(&scene.alice, &good, &file(b"n"), &[]).await;
    scene.admin.push(&scene.alice, &bad, &file(b"n"), &[]).await;
    let cut = |from| revoke(&scene.alice, RevokeReason::Compromised { from });
    assert_eq!(scene.refused(cut(9), &[&scene.alice]).await, "cut_ahead");
    scene.happened(cut(1), &[&scene.alice]).await;
    for scene in [scene.restart().await] {
        assert_eq!(scene.signed_by(&good).await, ["alice"]);
        assert_eq!(scene.signed_by(&bad).await, [""; 0]);
        let late = scene.attests(&scene.alice, &path("3", "late")).await;
        assert_eq!(late, Err("key_revoked".to_owned()));
        let shown = scene.admin.get("/api/v1/signers").await.json();
        assert_eq!(shown["signers"][0]["standing"], "compromised");
        assert_eq!(shown["signers"][0]["until"], 1);
    }
}

#[tokio::test]
async fn a_rotated_key_passes_its_name_on() {
    let scene = Scene::start().await;
    let next = key("alice", 11);
    let (old, new) = (path("1", "old"), path("2", "new"));
    scene.admin.push(&scene.alice, &old, &file(b"n"), &[]).await;
    let rotate = || KeyEvent::Rotate { old: scene.alice.public().id(), key: next.public() };
    assert_eq!(scene.refused(rotate(), &[&scene.alice]).await, "signature_count");
    assert_eq!(scene.refused(rotate(), &[&scene.alice, &key("x", 5)]).await, "not_signed_by_new");
    scene.happened(rotate(), &[&scene.alice, &next]).await;
    let scene = scene.restart().await;
    assert_eq!(scene.attests(&scene.alice, &new).await, Err("key_rotated".to_owned()));
    scene.admin.push(&next, &new, &file(b"n"), &[]).await;
    assert_eq!(scene.signed_by(&old).await, ["alice"]);
    assert_eq!(scene.signed_by(&new).await, ["alice"]);
    for path in [&old, &new] {
        let address = format!("/as/alice/{}.narinfo", path.base().hash_part());
        assert_eq!(scene.admin.get(&address).await.status, 200, "one signer, two keys");
    }
}

#[tokio::test]
async fn a_delegate_attests_what_it_may_while_it_may() {
    let scene = Scene::start().await;
    let [machine, second, late] = [("m1", 21), ("m2", 22), ("m3", 23)].map(|(n, s)| key(n, s));
    let (linux, other) = (path("1", "linux-6.12"), path("2", "firefox"));
    let event = || delegate(&scene.alice, machine.public(), "linux-*", now() + 3600);
    assert_eq!(scene.refused(event(), &[&machine]).await, "not_signed_by_root");
    scene.happened(event(), &[&scene.alice]).await;
    assert_eq!(scene.attests(&machine, &linux).await, Ok(0));
    assert_eq!(scene.attests(&machine, &other).await, Err("out_of_scope".to_owned()));
    let depth = delegate(&machine, second.public(), "*", now() + 3600);
    assert_eq!(scene.refused(depth, &[&machine]).await, "delegate_depth");
    let past = delegate(&scene.alice, late.public(), "*", now() - 1);
    assert_eq!(scene.refused(past, &[&scene.alice]).await, "delegation_expired");
    scene.happened(delegate(&scene.alice, late.public(), "*", now() + 1), &[&scene.alice]).await;
    let mut number = 100;
    eventually("the delegation expires", async || {
        number += 1;
        let attested = scene.attests(&late, &path(&number.to_string(), "x")).await;
        attested == Err("delegation_expired".to_owned())
    })
    .await;
    let scene = scene.restart().await;
    assert_eq!(scene.attests(&machine, &other).await, Err("out_of_scope".to_owned()));
    scene.happened(revoke(&scene.alice, RevokeReason::Retired), &[&scene.alice]).await;
    let another = path("3", "linux-6.13");
    assert_eq!(scene.attests(&machine, &another).await, Err("key_revoked".to_owned()));
}

#[tokio::test]
async fn nobody_enrols_by_an_event_and_nobody_replays_one_elsewhere() {
    let scene = Scene::start().await;
    let mallory = key("mallory", 7);
    let enrol = KeyEvent::Enrol { key: mallory.public() };
    assert_eq!(scene.refused(enrol, &[&mallory]).await, "enrolment_elsewhere");
    let elsewhere = Scene { origin: "another.example/keys".to_owned(), ..scene };
    let retire = revoke(&elsewhere.alice, RevokeReason::Retired);
    assert_eq!(
        elsewhere.refused(retire, &[&elsewhere.alice]).await,
        "not_signed_by_holder",
        "a signature holds for one log alone"
    );
}
