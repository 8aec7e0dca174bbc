//! Who may do what: tokens and their scopes, private pools, enrolment.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Method;
use schema::api::{Proof, RefusedCode};
use schema::compression::Compression;
use schema::enrolment::prove;
use schema::key::SecretKey;
use schema::narinfo::{Delivery, NarInfo};
use tests::client::{Answer, Client};
use tests::nar::{attestation, file, key, path};

use super::{Scene, narinfo_of, signers};

#[tokio::test]
async fn to_upload_is_not_to_attest() {
    let scene = Scene::start(&[]).await;
    let uploader = Client::with_token(&scene.server, &scene.server.token("upload"));
    let attester = Client::with_token(&scene.server, &scene.server.token("attest"));
    let (path, nar) = (path("scoped", "scoped"), file(b"scoped"));
    uploader.upload(&nar, Compression::None, nar.clone()).await;

    let item = attestation(&scene.alice, &path, &nar, &[]);
    let narinfo = NarInfo {
        claim: schema::claim::Claim::new(path.clone(), item.nar_hash, item.nar_size, vec![])
            .unwrap(),
        delivery: Delivery {
            url: "nar/x".to_owned(),
            compression: Compression::None,
            file_hash: None,
            file_size: None,
        },
        deriver: None,
        content_address: None,
        signatures: vec![item.signature.clone()],
    };
    let refused = uploader.attest(vec![item.clone()]).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("allows upload; this needs attest"), "{}", refused.text());
    for view in ["", "/as/alice", "/signers/1/alice"] {
        assert_eq!(
            uploader.put(&narinfo_of(view, &path), narinfo.print_nix()).await.status,
            403,
            "{view}"
        );
    }
    assert_eq!(uploader.ask_to_enrol(&key("mallory", 9).public(), None).await.status, 403);
    scene.refused("", &path, RefusedCode::NeverSeen).await;

    // The other way round: no NAR, no log.
    let url = format!("/api/v1/nars/{}?compression=none", item.nar_hash.to_nix32());
    assert_eq!(attester.put(&url, nar.clone()).await.status, 403);
    assert_eq!(
        attester.put(&format!("/nar/{}.nar", item.nar_hash.to_nix32()), nar.clone()).await.status,
        403
    );
    assert_eq!(attester.put("/log/00000000000000000000000000000000-x.drv", "x").await.status, 403);
    assert_eq!(attester.attest(vec![item]).await.status, 200);
    assert_eq!(signers(&scene.shown("", &path).await), ["alice"]);

    // Credentials that do not hold are worse than none, even for what anybody may do.
    for (client, status) in
        [(Client::new(&scene.server), 200), (Client::with_token(&scene.server, "made-up"), 200)]
    {
        assert_eq!(client.get(&narinfo_of("", &path)).await.status, status);
        assert_eq!(client.put(&url, nar.clone()).await.status, 401);
    }
}

#[tokio::test]
async fn a_password_is_a_token() {
    let scene = Scene::start(&[]).await;
    let token = scene.server.token("upload");
    let nar = file(b"basic");
    let url =
        format!("/api/v1/nars/{}?compression=none", schema::hash::NarHash::of(&nar).to_nix32());
    let anybody = Client::new(&scene.server);
    let put = |user: &'static str, password: &str| {
        Answer::to(
            anybody.request(Method::PUT, &url).basic_auth(user, Some(password)).body(nar.clone()),
        )
    };
    assert_eq!(put("pool", "made-up").await.status, 401);
    assert_eq!(put("anything", &token).await.status, 200);
    assert_eq!(put("", &token).await.status, 200);
}

#[tokio::test]
async fn a_private_pool_answers_nobody_without_a_token() {
    let scene = Scene::start(&["--private"]).await;
    let (path, nar) = (path("private", "private"), file(b"private"));
    scene.admin.push(&scene.alice, &path, &nar, &[]).await;
    let (hash_part, hash) = (path.base().hash_part(), schema::hash::NarHash::of(&nar).to_nix32());
    let log = "log/00000000000000000000000000000000-x.drv";
    scene.admin.put(&format!("/{log}"), "x").await;
    let anybody = Client::new(&scene.server);
    let reader = Client::with_token(&scene.server, &scene.server.token("read"));
    let uploader = Client::with_token(&scene.server, &scene.server.token("upload"));
    let unknown = Client::with_token(&scene.server, "made-up");

    let files = [
        "nix-cache-info",
        &*format!("{hash_part}.narinfo"),
        &*format!("{hash_part}.ls"),
        &*format!("nar/{hash}.nar.zst"),
        log,
    ];
    let mut asked: Vec<_> = ["", "/as/alice", "/signers/1/alice"]
        .iter()
        .flat_map(|view| files.map(|file| format!("{view}/{file}")))
        .collect();
    asked.extend(
        ["info", "signers", &*format!("nars/{hash}"), &*format!("paths/{hash_part}")]
            .map(|it| format!("/api/v1/{it}")),
    );
    asked.push("/metrics".to_owned());
    for address in &asked {
        let refused = anybody.get(address).await;
        assert_eq!(refused.status, 401, "{address}");
        assert!(refused.header("www-authenticate").starts_with("Basic "), "{address}");
        assert_eq!(anybody.head(address).await.status, 401, "{address}");
        assert_eq!(unknown.get(address).await.status, 401, "{address}");
        assert_eq!(uploader.get(address).await.status, 403, "{address}");
        assert_eq!(reader.get(address).await.status, 200, "{address}");
    }
    for (method, address, body) in [
        (Method::POST, "/get-narinfos-v1", hash_part.to_string()),
        (Method::POST, "/as/alice/get-narinfos-v1", hash_part.to_string()),
        (Method::POST, "/api/v1/nars/missing", format!("{{\"nar_hashes\":[\"sha256:{hash}\"]}}")),
    ] {
        let post = |client: &Client| {
            Answer::to(client.request(method.clone(), address).body(body.clone()))
        };
        assert_eq!(post(&anybody).await.status, 401, "{address}");
        assert_eq!(post(&reader).await.status, 200, "{address}");
    }
    // Not even whether a path is there.
    assert_eq!(anybody.get("/00000000000000000000000000000000.narinfo").await.status, 401);
    let cached = reader.get(&format!("/nar/{hash}.nar.zst")).await;
    assert_eq!(cached.header("cache-control"), "private, max-age=31536000, immutable");
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(anybody.get(probe).await.status, 200, "probes have no token");
    }
}

fn proof(key: &SecretKey, age: u64) -> Option<Proof> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Some(Proof { made_at: now - age, signature: prove(key, now - age) })
}

#[tokio::test]
async fn where_enrolment_is_closed_an_admin_enrols() {
    let scene = Scene::start(&[]).await;
    let (anybody, dave) = (Client::new(&scene.server), key("dave", 4));
    let closed = anybody.ask_to_enrol(&dave.public(), proof(&dave, 0)).await.problem();
    assert_eq!((closed.status, &*closed.code), (403, "enrolment_closed"));
    let attester = Client::with_token(&scene.server, &scene.server.token("read,upload,attest"));
    assert_eq!(attester.ask_to_enrol(&dave.public(), proof(&dave, 0)).await.status, 403);

    scene.admin.enrol(&dave.public()).await;
    scene.admin.enrol(&dave.public()).await;
    let signers = anybody.get("/api/v1/signers").await.json();
    let names: Vec<_> = signers["signers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|signer| signer["name"].clone())
        .collect();
    assert_eq!(names, ["alice", "bob", "carol", "dave"]);

    let taken = scene.admin.ask_to_enrol(&key("dave", 5).public(), None).await.problem();
    assert_eq!((taken.status, &*taken.code), (409, "name_taken"));
    let held = scene.admin.ask_to_enrol(&key("david", 4).public(), None).await.problem();
    assert_eq!((held.status, &*held.code), (409, "key_enrolled"));
}

#[tokio::test]
async fn where_enrolment_is_open_the_key_speaks_for_itself() {
    let scene = Scene::start(&["--open-enrolment"]).await;
    let (anybody, dave, mallory) = (Client::new(&scene.server), key("dave", 4), key("mallory", 9));
    for (proof, code) in [
        (None, "proof_missing"),
        (proof(&mallory, 0), "proof_invalid"),
        (proof(&key("dave", 9), 0), "proof_invalid"),
        (proof(&dave, 400), "proof_invalid"),
    ] {
        let refused = anybody.ask_to_enrol(&dave.public(), proof).await.problem();
        assert_eq!((refused.status, &*refused.code), (403, code));
    }
    scene.refused("/as/dave", &path("any", "any"), RefusedCode::UnknownSigner).await;
    assert_eq!(anybody.ask_to_enrol(&dave.public(), proof(&dave, 100)).await.status, 200);
    scene.refused("/as/dave", &path("any", "any"), RefusedCode::NeverSeen).await;
    // Nobody takes a name over.
    assert_eq!(
        anybody.ask_to_enrol(&key("alice", 9).public(), proof(&key("alice", 9), 0)).await.status,
        409
    );
    // To be known is not to be let in.
    let item = attestation(&dave, &path("any", "any"), &file(b"any"), &[]);
    assert_eq!(anybody.attest(vec![item]).await.status, 401);
}
