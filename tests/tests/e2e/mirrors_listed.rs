//! The mirrors that a pool names: how fresh they say they are, and what they are good for.

mod nar_url;
mod proxied;

use std::fs;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use schema::hash::TreeHash;
use schema::key::SecretKey;
use schema::tlog::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use schema::tlog::note::NoteSigner;
use serde_json::{Value, json};
use tests::client::Client;
use tests::mirror::{Mirror, announce};
use tests::nar::{file, key, path};
use tests::server::Server;

const URL: &str = "https://b.example";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A pool with two mirrors by name, and one attestation.
struct Scene {
    server: Server,
    admin: Client,
    mirror: Mirror,
    other: Mirror,
    arguments: Vec<String>,
    data: tempfile::TempDir,
}

impl Scene {
    async fn new(more: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let (mirror, other) = (Mirror::new("b.example/mirror", 1), Mirror::new("c.example/m", 2));
        let (one, two) = (mirror.named_at(&format!("{URL}/")), other.named_at("http://c.example"));
        let named = format!("{one}, {two}");
        let arguments = ["--origin", "pool.example", "--mirrors", &named];
        let arguments: Vec<String> =
            arguments.iter().chain(more).map(|it| (*it).to_owned()).collect();
        let server = start(&data, &arguments);
        let admin = Client::admin(&server);
        admin.enrol(&alice().public()).await;
        let scene = Self { server, admin, mirror, other, arguments, data };
        scene.grows("first").await;
        scene
    }

    /// One more attestation.
    async fn grows(&self, name: &str) {
        self.admin.vouch(&alice(), &path(name, "grown-1.0"), &file(b"grown"), &[]).await;
    }

    /// The first mirror as the pool lists it.
    async fn listed(&self) -> Value {
        let list = self.admin.get("/api/v1/mirrors").await;
        assert_eq!(list.status, 200, "{}", list.text());
        let list = list.json();
        assert_eq!(list["mirrors"].as_array().map(Vec::len), Some(2), "{list}");
        list["mirrors"][0].clone()
    }

    /// A tree that this pool's own key signs.
    fn signs(&self, size: u64, root: TreeHash) -> SignedCheckpoint {
        let text = fs::read_to_string(self.server.data().join("pool.key")).unwrap();
        let secret: SecretKey = text.trim().parse().unwrap();
        let name = "pool.example/attestations".parse().unwrap();
        let origin = Origin::from(&name);
        let signer = NoteSigner::new(name, Arc::new(secret)).unwrap();
        SignedCheckpoint::sign(Checkpoint::new(origin, size, root).unwrap(), &signer).unwrap()
    }
}

fn start(data: &tempfile::TempDir, arguments: &[String]) -> Server {
    Server::start(data.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn alice() -> SecretKey {
    key("alice-1", 1)
}

#[tokio::test]
async fn a_mirror_is_as_fresh_as_it_last_told() {
    let scene = Scene::new(&[]).await;
    let behind = |name: &str| format!("narpool_mirror_behind_entries{{mirror=\"{name}\"}}");
    let before = scene.listed().await;
    assert_eq!(before["url"], URL);
    assert!(before["key"].as_str().unwrap().starts_with("b.example/mirror+"), "{before}");
    assert_eq!(before.as_object().map(serde_json::Map::len), Some(2), "nothing is known: {before}");
    assert_eq!(scene.admin.metric(&behind("b.example/mirror")).await, 1.0);

    // Whoever passes it on: no token is asked for.
    let (anybody, time) = (Client::new(&scene.server), now());
    let told = scene.mirror.cosigns(&scene.admin, time).await;
    let answer = announce(&anybody, &told).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let fresh = |size: u64, time: u64, behind: u64| {
        let mut entry = before.clone();
        entry["size"] = json!(size);
        entry["seen_at"] = json!(time);
        entry["behind"] = json!(behind);
        entry
    };
    assert_eq!(answer.json(), fresh(1, time, 0));
    scene.grows("second").await;
    assert_eq!(scene.listed().await, fresh(1, time, 1));
    assert_eq!(scene.admin.metric(&behind("b.example/mirror")).await, 1.0);
    assert_eq!(scene.admin.metric(&behind("c.example/m")).await, 2.0);

    let newer = scene.mirror.cosigns(&scene.admin, time + 2).await;
    assert_eq!(announce(&anybody, &newer).await.json(), fresh(2, time + 2, 0));
    // What is smaller, or older, changes nothing.
    let older = scene.mirror.cosigns(&scene.admin, time + 1).await;
    for stale in [&told, &older] {
        let answer = announce(&anybody, stale).await;
        assert_eq!((answer.status, answer.json()), (200, fresh(2, time + 2, 0)));
    }
    assert_eq!(scene.listed().await, fresh(2, time + 2, 0));
    assert_eq!(scene.admin.metric(&behind("b.example/mirror")).await, 0.0);

    // What was told is forgotten when the pool is started again, and told again.
    scene.server.stop();
    let server = start(&scene.data, &scene.arguments);
    let admin = Client::admin(&server);
    assert_eq!(admin.get("/api/v1/mirrors").await.json()["mirrors"][0], before);
    assert_eq!(announce(&admin, &newer).await.json(), fresh(2, time + 2, 0));
    server.stop();
}

#[tokio::test]
async fn what_is_no_mirrors_word_about_this_log_is_refused() {
    let scene = Scene::new(&[]).await;
    let (pool, time) = (&scene.admin, now());
    let good = scene.mirror.cosigns(pool, time).await;
    let stranger = Mirror::new("b.example/mirror", 9).cosigns(pool, time).await;
    let (_, lines) = good.split_once("\n\n").unwrap();
    let (log_line, mirror_line) = lines.split_once('\n').unwrap();
    let alone = |line: &str| good.replace(lines, &format!("{line}\n"));
    let (forked, ahead) = (TreeHash::of(b"forked"), TreeHash::of(b"ahead"));
    // One bit of the mirror's signature, which stands in base 64.
    let at = mirror_line.len() - 8;
    let flip = if mirror_line.as_bytes()[at] == b'A' { "B" } else { "A" };
    let mut forged = mirror_line.to_owned();
    forged.replace_range(at..=at, flip);
    let long = format!("{good}{}", "x".repeat(70_000));
    for (note, status, code) in [
        (stranger.as_str(), 403, "not_a_mirror"),
        (&alone(log_line), 403, "not_a_mirror"),
        (&alone(mirror_line.trim_end()), 403, "not_signed_by_log"),
        (&good.replace(mirror_line.trim_end(), forged.trim_end()), 403, "bad_cosignature"),
        (
            &good.replacen("pool.example/attestations\n1", "pool.example/keys\n1", 1),
            404,
            "other_log",
        ),
        (&scene.mirror.cosign(scene.signs(1, forked), time), 422, "other_root"),
        (&scene.mirror.cosign(scene.signs(9, ahead), time), 422, "not_published"),
        (&scene.mirror.cosigns(pool, time + 4000).await, 422, "from_the_future"),
        ("", 422, "checkpoint_malformed"),
        (&long, 422, "checkpoint_malformed"),
    ] {
        let answer = announce(pool, note).await;
        assert_eq!(answer.status, status, "{code}: {}", answer.text());
        let problem = answer.problem();
        assert_eq!(problem.code, code);
        assert!(problem.hint.is_some(), "{code} has no hint");
    }
    let longer = announce(pool, &"x".repeat(140_000)).await;
    assert_eq!(longer.problem().code, "body_too_large");
    assert!(scene.server.log().contains("has signed another tree"), "{}", scene.server.log());
    assert_eq!(scene.listed().await.get("size"), None);
    assert_eq!(announce(pool, &good).await.status, 200);
    // The cosignature of the other one is the other one's.
    let others = announce(pool, &scene.other.cosigns(pool, time).await).await.json();
    assert_eq!(others["url"], "http://c.example");
    scene.server.stop();
}

#[tokio::test]
async fn who_may_not_read_the_pool_is_not_told_who_mirrors_it() {
    let scene = Scene::new(&["--private"]).await;
    let anybody = Client::new(&scene.server);
    assert_eq!(anybody.get("/api/v1/mirrors").await.status, 401);
    let told = scene.mirror.cosigns(&scene.admin, now()).await;
    assert_eq!(announce(&anybody, &told).await.status, 200);
    scene.server.stop();
}
