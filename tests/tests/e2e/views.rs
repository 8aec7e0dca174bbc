//! Views over plain HTTP: whose word is shown, and what is said when nothing is.

mod access;
mod answers;
mod nars;

use schema::api::RefusedCode;
use schema::compression::Compression;
use schema::key::SecretKey;
use schema::narinfo::NarInfo;
use schema::store_path::StorePath;
use tempfile::TempDir;
use tests::client::{Answer, Client};
use tests::nar::{attestation, file, key, path};
use tests::server::Server;

/// A pool with three signers who are enrolled.
struct Scene {
    server: Server,
    admin: Client,
    alice: SecretKey,
    bob: SecretKey,
    carol: SecretKey,
    _dir: TempDir,
}

impl Scene {
    async fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(dir.path(), arguments);
        let admin = Client::admin(&server);
        let [alice, bob, carol] =
            [("alice", 1), ("bob", 2), ("carol", 3)].map(|(name, seed)| key(name, seed));
        for key in [&alice, &bob, &carol] {
            admin.enrol(&key.public()).await;
        }
        Self { server, admin, alice, bob, carol, _dir: dir }
    }

    /// What a view answers of a path.
    async fn ask(&self, view: &str, path: &StorePath) -> Answer {
        self.admin.get(&narinfo_of(view, path)).await
    }

    /// The narinfo that a view shows.
    async fn shown(&self, view: &str, path: &StorePath) -> NarInfo {
        let answer = self.ask(view, path).await;
        assert_eq!(answer.status, 200, "{view}: {}", answer.text());
        NarInfo::parse_nix(&answer.body).unwrap()
    }

    /// Why a view shows nothing, in text and in JSON, to `GET` and to `HEAD`.
    async fn refused(&self, view: &str, path: &StorePath, code: RefusedCode) -> String {
        let address = narinfo_of(view, path);
        let (text, code) = (self.admin.get(&address).await, code.as_str());
        assert_eq!(text.status, 404, "{}", text.text());
        assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
        assert!(text.text().starts_with(&format!("{code}: ")), "{code}: {}", text.text());
        let json = Answer::to(
            self.admin.request(reqwest::Method::GET, &address).header("accept", "application/json"),
        );
        let problem = json.await.problem();
        assert_eq!((problem.status, &*problem.code), (404, code));
        assert_eq!(text.text(), format!("{code}: {}\n", problem.detail));
        assert_eq!(self.admin.head(&address).await.status, 404);
        problem.detail
    }
}

fn narinfo_of(view: &str, path: &StorePath) -> String {
    format!("{view}/{}.narinfo", path.base().hash_part())
}

fn signers(narinfo: &NarInfo) -> Vec<&str> {
    narinfo.signatures.iter().map(|line| line.name().as_str()).collect()
}

#[tokio::test]
async fn a_404_says_why() {
    let scene = Scene::start(&[]).await;
    let (one, other) = (file(b"one"), file(b"other"));

    let unseen = path("unseen", "unseen");
    for view in ["", "/signers/1/alice", "/signers/2/alice,bob", "/as/alice"] {
        let why = scene.refused(view, &unseen, RefusedCode::NeverSeen).await;
        assert!(why.contains(&unseen.base().hash_part().to_string()), "{why}");
    }
    for view in ["/signers/1/dave", "/signers/1/alice,dave", "/as/dave"] {
        let why = scene.refused(view, &unseen, RefusedCode::UnknownSigner).await;
        assert!(why.contains("no signer called dave"), "{why}");
    }

    let awaited = path("awaited", "awaited");
    scene.admin.vouch(&scene.alice, &awaited, &one, &[]).await;
    for view in ["", "/signers/1/alice", "/as/alice"] {
        let why = scene.refused(view, &awaited, RefusedCode::NoNar).await;
        assert!(why.contains("never uploaded"), "{why}");
    }
    scene.admin.upload(&one, Compression::None, one.clone()).await;
    assert_eq!(signers(&scene.shown("", &awaited).await), ["alice"], "the NAR may come last");

    let have = async |view| scene.refused(view, &awaited, RefusedCode::NotEnoughSigners).await;
    assert!(have("/signers/1/bob").await.contains("have 0 of 1"));
    assert!(have("/as/bob").await.contains("have 0 of 1"));
    assert!(have("/signers/2/alice,bob").await.contains("have 1 of 2"));
    assert!(have("/signers/3/alice,bob,carol").await.contains("have 1 of 3"));

    scene.admin.push(&scene.bob, &awaited, &other, &[]).await;
    let why = scene.refused("/signers/2/alice,bob", &awaited, RefusedCode::SignersDisagree).await;
    assert!(why.contains("2 different claims") && why.contains("1 of 2"), "{why}");
    scene.refused("/signers/2/alice,carol", &awaited, RefusedCode::NotEnoughSigners).await;
}

#[tokio::test]
async fn a_view_shows_the_claim_with_most_of_its_signers_then_the_oldest() {
    let scene = Scene::start(&[]).await;
    let (first, second) = (file(b"first"), file(b"second"));
    let [first_hash, second_hash] = [&first, &second].map(|nar| schema::hash::NarHash::of(nar));
    let path = path("disputed", "disputed");
    scene.admin.push(&scene.alice, &path, &first, &[]).await;
    scene.admin.push(&scene.bob, &path, &second, &[]).await;

    let shown = async |view| scene.shown(view, &path).await.claim.nar_hash();
    assert_eq!(shown("").await, first_hash);
    assert_eq!(shown("/signers/1/bob,alice").await, first_hash);
    assert_eq!(shown("/signers/1/bob").await, second_hash);
    scene.admin.vouch(&scene.carol, &path, &second, &[]).await;
    assert_eq!(shown("").await, second_hash);
    assert_eq!(shown("/signers/1/alice,bob,carol").await, second_hash);
    assert_eq!(shown("/signers/1/alice,bob").await, first_hash, "carol has no vote there");
    assert_eq!(shown("/signers/2/alice,bob,carol").await, second_hash);

    // Only signatures over the claim that is shown, whoever's they are, under the enrolled names.
    assert_eq!(signers(&scene.shown("/signers/1/bob", &path).await), ["bob", "carol"]);
    assert_eq!(signers(&scene.shown("/as/alice", &path).await), ["alice"]);
    for narinfo in [scene.shown("", &path).await, scene.shown("/as/alice", &path).await] {
        for line in &narinfo.signatures {
            let key = [&scene.alice, &scene.bob, &scene.carol]
                .into_iter()
                .find(|key| key.name() == line.name());
            let signed = narinfo.claim.signed_bytes();
            assert!(key.unwrap().public().verifies(signed.as_bytes(), line.signature()));
        }
    }

    // Who says two things has no vote for either, but sees the last of them as their own.
    scene.admin.vouch(&scene.bob, &path, &first, &[]).await;
    assert_eq!(shown("/as/bob").await, first_hash);
    scene.refused("/signers/1/bob", &path, RefusedCode::NotEnoughSigners).await;
    assert_eq!(shown("/signers/1/bob,carol").await, second_hash);
}

#[tokio::test]
async fn the_operator_may_say_whom_the_default_view_believes() {
    let scene = Scene::start(&["--view-signers", "alice,bob", "--view-k", "2"]).await;
    let path = path("both", "both");
    let nar = file(b"both");
    scene.admin.push(&scene.alice, &path, &nar, &[]).await;
    scene.admin.vouch(&scene.carol, &path, &nar, &[]).await;
    let why = scene.refused("", &path, RefusedCode::NotEnoughSigners).await;
    assert!(why.contains("have 1 of 2"), "{why}");
    assert_eq!(scene.shown("/signers/1/carol", &path).await.claim.path(), &path);
    scene.admin.vouch(&scene.bob, &path, &nar, &[]).await;
    assert_eq!(signers(&scene.shown("", &path).await), ["alice", "carol", "bob"]);
}

#[tokio::test]
async fn an_address_that_names_no_view_says_so() {
    let scene = Scene::start(&[]).await;
    let path = path("any", "any");
    scene.admin.push(&scene.alice, &path, &file(b"any"), &[]).await;
    for view in [
        "/signers/0/alice",
        "/signers/2/alice",
        "/signers/+1/alice",
        "/signers/01/alice",
        "/signers/x/alice",
        "/signers/1/alice,alice",
        "/signers/1/alice,",
        "/signers/1/al%20ice",
        "/as/al%0Aice",
    ] {
        // Without a nix-cache-info, stock Nix warns that there is no cache.
        for asked in [narinfo_of(view, &path), format!("{view}/nix-cache-info")] {
            let answer = scene.admin.get(&asked).await;
            assert_eq!(answer.status, 404, "{asked}");
            assert!(answer.text().starts_with("view_malformed: "), "{asked}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_path_report_tells_all_that_was_claimed() {
    let scene = Scene::start(&[]).await;
    let target = path("target", "target");
    let path = path("report", "report");
    let holds = file(target.to_string().as_bytes());
    scene.admin.push(&scene.carol, &target, &file(b"target"), &[]).await;
    scene.admin.push(&scene.alice, &path, &holds, &[]).await;
    scene.admin.vouch(&scene.bob, &path, &file(b"elsewhere"), &[target.base().clone()]).await;
    let address = format!("/api/v1/paths/{}", path.base().hash_part());
    let report: schema::api::PathReport =
        serde_json::from_value(scene.admin.get(&address).await.json()).unwrap();
    assert!(report.disagreement);
    assert_eq!(report.refused, None);
    let [first, second] = &report.claims[..] else { panic!("{report:?}") };
    assert_eq!(first.attestations[0].signer.as_str(), "alice");
    assert_eq!(first.scan.as_ref().unwrap().not_claimed, [target.base().hash_part()]);
    assert_eq!((second.file.clone(), second.scan.clone()), (None, None));
    assert_eq!(
        second.attestations[0].signature,
        attestation(&scene.bob, &path, &file(b"elsewhere"), &[target.base().clone()]).signature
    );
    let unseen = scene.admin.get("/api/v1/paths/00000000000000000000000000000000").await.problem();
    assert_eq!((unseen.status, &*unseen.code), (404, "never_seen"));
}
