//! Views under /gnu, over plain HTTP.

use schema::api::AttestItem;
use schema::claim::{Claim, Dialect};
use schema::compression::Compression;
use schema::content_address::ContentAddress;
use schema::hash::{FileHash, NarHash};
use schema::key::SecretKey;
use schema::key_event::RevokeReason;
use schema::narinfo::NarInfo;
use schema::narinfo::guix::{GuixNarInfo, SignatureLine};
use schema::store_path::{StoreDir, StorePath};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tests::cli::Cli;
use tests::client::{Answer, Client};
use tests::nar::{attestation, file, guix_key, guix_path, key, noise, path, zstd};
use tests::server::Server;

use super::super::adversary::revoke;

/// A pool whose signers are gina and gus, with keys of Guix's, and alice, with one of Nix's.
pub(super) struct Scene {
    pub(super) server: Server,
    pub(super) admin: Client,
    pub(super) gina: SecretKey,
    pub(super) gus: SecretKey,
    pub(super) alice: SecretKey,
    pub(super) dir: TempDir,
}

impl Scene {
    pub(super) async fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(&dir.path().join("data"), arguments);
        let admin = Client::admin(&server);
        let (gina, gus, alice) = (guix_key("gina", 1), guix_key("gus", 2), key("alice", 3));
        for key in [&gina, &gus, &alice] {
            admin.enrol(&key.public()).await;
        }
        Self { server, admin, gina, gus, alice, dir }
    }

    async fn ask(&self, view: &str, path: &StorePath) -> Answer {
        self.admin.get(&format!("/gnu{view}/{}.narinfo", path.base().hash_part())).await
    }

    /// The narinfo that a view shows, and whose signature is in it.
    async fn shown(&self, view: &str, path: &StorePath) -> (GuixNarInfo, Option<String>) {
        let answer = self.ask(view, path).await;
        assert_eq!(answer.status, 200, "{view}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/x-nix-narinfo");
        let narinfo = GuixNarInfo::parse(&answer.body).unwrap();
        let signer = narinfo.signature.as_ref().map(|line| {
            let SignatureLine::Ecdsa(line) = line else { panic!("{}", answer.text()) };
            assert!(line.holds(narinfo.claim.id().as_bytes()), "{}", answer.text());
            let keys = [&self.gina, &self.gus].into_iter();
            let mut keys = keys.filter(|key| key.public().guix() == Some(line.key()));
            keys.next().expect("one of the two").name().to_string()
        });
        (narinfo, signer)
    }
}

#[tokio::test]
async fn each_view_shows_its_signers_signature_and_the_root_none() {
    let scene = Scene::start(&[]).await;
    let (item, nar) = (guix_path("hello", "hello-2.12"), file(b"hello"));
    for key in [&scene.gina, &scene.gus, &scene.alice] {
        scene.admin.push(key, &item, &nar, &[item.base().clone()]).await;
    }
    for (view, signer) in [
        ("", None),
        ("/as/gina", Some("gina")),
        ("/as/gus", Some("gus")),
        ("/as/alice", None),
        ("/signers/3/gus,alice,gina", Some("gus")),
        ("/signers/2/alice,gina", Some("gina")),
    ] {
        let (narinfo, by) = scene.shown(view, &item).await;
        assert_eq!(by.as_deref(), signer, "{view}");
        assert_eq!(narinfo.deliveries.len(), 1);
        let url = format!("/gnu{view}/{}", narinfo.deliveries[0].url);
        let packed = scene.admin.get(&url).await;
        assert_eq!(tests::nar::unpack(&packed.body).unwrap(), nar, "{url}");
        assert_eq!(narinfo.deliveries[0].file_size, Some(packed.body.len() as u64));
    }
    let refused = scene.ask("/signers/1/mallory", &item).await;
    assert!(refused.text().starts_with("unknown_signer"), "{}", refused.text());
    assert_eq!(refused.header("cache-control"), "max-age=10");
    let info = scene.admin.get("/gnu/as/gus/nix-cache-info").await.text();
    assert!(info.starts_with("StoreDir: /gnu/store\nWantMassQuery: 1\n"), "{info}");
    // Nix's own views know nothing of it.
    let nix = scene.admin.get(&format!("/{}.narinfo", item.base().hash_part())).await;
    assert!(nix.status == 404 && nix.text().starts_with("never_seen"), "{}", nix.text());
}

#[tokio::test]
async fn the_key_of_a_view_is_that_of_its_one_signer() {
    let scene = Scene::start(&[]).await;
    let key = scene.admin.get("/gnu/as/gina/signing-key.pub").await;
    let read = schema::guix::key_file::parse_public(&key.text()).unwrap();
    assert_eq!(Some(&read), scene.gina.public().guix());
    assert_eq!(scene.admin.get("/gnu/signers/1/gina/signing-key.pub").await.body, key.body);
    for view in ["", "/signers/1/gina,gus", "/as/alice", "/as/nobody"] {
        let answer = scene.admin.get(&format!("/gnu{view}/signing-key.pub")).await;
        assert!(answer.status == 404 && answer.text().starts_with("no_key"), "{view}");
    }
    // Guix never unlearns a key.
    revoke(&scene.server, &scene.gina, RevokeReason::Compromised { from: 0 }).await;
    let answer = scene.admin.get("/gnu/as/gina/signing-key.pub").await;
    assert!(answer.status == 404 && answer.text().starts_with("no_key"), "{}", answer.text());
}

#[tokio::test]
async fn a_nar_that_nix_and_guix_both_have_is_one_blob() {
    let scene = Scene::start(&[]).await;
    let nar = file(&noise(7, 100_000));
    let (item, other) = (guix_path("same", "same"), path("same", "same"));
    scene.admin.push(&scene.alice, &other, &nar, &[]).await;
    scene.admin.vouch(&scene.gus, &item, &nar, &[]).await;
    let (narinfo, _) = scene.shown("/as/gus", &item).await;
    let nix = scene.admin.get(&format!("/{}.narinfo", other.base().hash_part())).await;
    let nix = NarInfo::parse_nix(&nix.body).unwrap();
    assert_eq!(narinfo.deliveries[0].url, nix.delivery.url);
    let blobs = std::fs::read_dir(scene.server.data().join("blobs/nar")).unwrap();
    assert_eq!(blobs.count(), 1);
}

#[tokio::test]
async fn the_same_in_other_words_is_no_disagreement_and_other_contents_are() {
    let scene = Scene::start(&[]).await;
    let (item, nar) = (guix_path("two", "two"), file(b"two"));
    scene.admin.push(&scene.gina, &item, &nar, &[]).await;
    // Gus knows the deriver, and signs that, too.
    let claim = Claim::new(item.clone(), NarHash::of(&nar), nar.len() as u64, vec![]).unwrap();
    let deriver = path("drv", "two.drv").base().clone();
    let worded = claim.in_guix(Some(&deriver));
    let signature = scene.gus.sign(worded.signed_bytes().as_bytes());
    let with_deriver = AttestItem::new(&worded, signature);
    assert_eq!(scene.admin.attest(vec![with_deriver]).await.status, 200);
    scene.admin.vouch(&scene.alice, &item, &nar, &[]).await;
    let report = scene.admin.get(&format!("/api/v1/paths/{}", item.base().hash_part())).await;
    assert_eq!(report.json()["disagreement"], false, "{}", report.text());
    assert_eq!(report.json()["claims"].as_array().unwrap().len(), 3);
    let feed = scene.admin.get("/api/v1/divergence").await.json();
    assert_eq!(feed["divergences"].as_array().unwrap().len(), 0, "{feed}");
    let (narinfo, by) = scene.shown("/signers/3/gus,gina,alice", &item).await;
    assert_eq!((narinfo.deriver, by.as_deref()), (Some(deriver), Some("gus")));
    let shown = Cli::new(scene.dir.path(), &scene.server, "").run(&["show", &item.to_string()]);
    let shown = shown.ok();
    assert!(shown.contains("in Guix's words") && !shown.contains("DISAGREE"), "{shown}");

    let other = file(b"tampered");
    scene.admin.push(&scene.gina, &item, &other, &[]).await;
    let feed = scene.admin.get("/api/v1/divergence").await.json();
    assert_eq!(feed["divergences"].as_array().unwrap().len(), 1, "{feed}");
    assert_eq!(feed["divergences"][0]["claim_count"], 2, "{feed}");
}

#[tokio::test]
async fn files_are_had_by_their_hash() {
    let scene = Scene::start(&[]).await;
    let contents = noise(3, 300_000);
    let hash = FileHash::of(&contents);
    let name = "hello-2.12.tar.gz";
    let item = ContentAddress::path_of_file(&StoreDir::guix(), name, hash.as_bytes()).unwrap();
    let address = format!("/file/{name}/sha256/{}", hash.to_nix32());
    assert_eq!(scene.admin.get(&format!("/gnu{address}")).await.status, 404);
    scene.admin.push(&scene.gina, &item, &file(&contents), &[]).await;
    // It is the same in every view: the hash tells.
    for view in ["", "/as/gina", "/as/gus"] {
        let address = format!("/gnu{view}{address}");
        let answer = scene.admin.get(&address).await;
        assert!(answer.status == 200 && answer.body == contents, "{}", answer.status);
        assert_eq!(answer.header("content-length"), "300000");
        let head = scene.admin.head(&address).await;
        assert_eq!((head.status, head.header("content-length")), (200, "300000"));
    }
    let other = format!("/gnu/file/other.tar.gz/sha256/{}", hash.to_nix32());
    assert_eq!(scene.admin.get(&other).await.status, 404);
    assert_eq!(scene.admin.get("/gnu/file/../sha256/x").await.status, 404);

    // Somebody attests other contents for a path that follows from its contents.
    let lie = ContentAddress::path_of_file(&StoreDir::guix(), "lie", hash.as_bytes()).unwrap();
    scene.admin.push(&scene.gina, &lie, &file(b"something else"), &[]).await;
    let answer = scene.admin.get(&format!("/gnu/file/lie/sha256/{}", hash.to_nix32())).await;
    assert!(
        answer.status == 404 && answer.text().starts_with("other_contents"),
        "{}",
        answer.text()
    );
    // Nor does it hide the right ones.
    scene.admin.push(&scene.gus, &lie, &file(&contents), &[]).await;
    let answer = scene.admin.get(&format!("/gnu/file/lie/sha256/{}", hash.to_nix32())).await;
    assert!(answer.status == 200 && answer.body == contents, "{}", answer.status);
}

#[tokio::test]
async fn a_place_that_an_old_publisher_signed_answers() {
    let scene = Scene::start(&[]).await;
    let (item, nar) = (guix_path("old", "old-1.0+2"), file(b"old"));
    scene.admin.upload(&nar, Compression::Zstd, zstd(&nar)).await;
    let claim = Claim::new(item.clone(), NarHash::of(&nar), nar.len() as u64, vec![]).unwrap();
    let text = format!(
        "{}URL: nar/zstd/{}\nCompression: zstd\n",
        claim.in_guix(None).signed_bytes(),
        item.base().to_string().replace('+', "%2B")
    );
    let old = Claim::parse(text.as_bytes()).unwrap();
    assert_eq!(old.dialect(), Dialect::Guix);
    let signature = scene.gina.sign(text.as_bytes());
    let answer = scene.admin.attest(vec![AttestItem::new(&old, signature)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = scene.ask("/as/gina", &item).await;
    let text = answer.text();
    // What is signed comes first, as it came; and where one place has no size, none has.
    assert!(text.starts_with(&*old.signed_bytes()) && !text.contains("FileSize"), "{text}");
    let (narinfo, by) = scene.shown("/as/gina", &item).await;
    assert_eq!((narinfo.deliveries.len(), by.as_deref()), (2, Some("gina")));
    for place in &narinfo.deliveries {
        let packed = scene.admin.get(&format!("/gnu/as/gina/{}", place.url)).await;
        assert_eq!(tests::nar::unpack(&packed.body).unwrap(), nar, "{}", place.url);
    }
    let other = narinfo.deliveries[0].url.replace("zstd", "gzip");
    let answer = scene.admin.get(&format!("/gnu/as/gina/{other}")).await;
    assert!(answer.status == 404 && answer.text().starts_with("other_compression"));
}

#[tokio::test]
async fn places_where_the_nar_is_not_to_be_had_are_not_shown_and_the_next_signer_is() {
    let scene = Scene::start(&[]).await;
    let (item, nar) = (guix_path("old", "old-1.0"), file(b"old"));
    scene.admin.push(&scene.gus, &item, &nar, &[]).await;
    let new = attestation(&scene.gina, &item, &nar, &[]).signed.unwrap();
    for place in ["nar/gzip/", "nar/"] {
        let compression = if place == "nar/" { "none" } else { "gzip" };
        let url = format!("{place}{}", item.base());
        let text = format!("{new}URL: {url}\nCompression: {compression}\nFileSize: 1\n");
        let old = Claim::parse(text.as_bytes()).unwrap();
        let signature = scene.gina.sign(text.as_bytes());
        let answer = scene.admin.attest(vec![AttestItem::new(&old, signature)]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for (view, signer) in [("/as/gina", None), ("/signers/2/gina,gus", Some("gus"))] {
        let (narinfo, by) = scene.shown(view, &item).await;
        assert_eq!((narinfo.deliveries.len(), by.as_deref()), (1, signer), "{view}");
    }
}

#[tokio::test]
async fn what_is_not_signed_like_that_is_refused() {
    let scene = Scene::start(&[]).await;
    let (item, nar) = (guix_path("bad", "bad"), file(b"bad"));
    scene.admin.upload(&nar, Compression::Zstd, zstd(&nar)).await;
    let good = attestation(&scene.gina, &item, &nar, &[]);
    let text = good.signed.clone().unwrap();
    let refused = async |item: AttestItem, code: &str, why: &str| {
        let problem = scene.admin.attest(vec![item]).await.problem();
        assert_eq!(problem.code, code, "{}", problem.detail);
        assert!(problem.detail.contains(why), "{}", problem.detail);
    };
    let with = |signed: &str| AttestItem {
        signed: Some(signed.to_owned()),
        signature: scene.gina.sign(signed.as_bytes()),
        ..good.clone()
    };
    refused(with(&text.replace("NarSize: ", "NarSize: 1")), "claim_malformed", "canonical").await;
    refused(with(&format!("{text}X: y\n")), "claim_malformed", "no field").await;
    refused(with(&text.replace('\n', "\r\n")), "claim_malformed", "plain text").await;
    let elsewhere = text.replace("/gnu/store", "/nix/store");
    let item_elsewhere = AttestItem {
        store_path: elsewhere.lines().next().unwrap()["StorePath: ".len()..].parse().unwrap(),
        ..with(&elsewhere)
    };
    refused(item_elsewhere, "other_store", "/gnu/store").await;
    let derived = AttestItem {
        deriver: Some("7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-other.drv".parse().unwrap()),
        ..with(&format!("{text}Deriver: 7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-bad.drv\n"))
    };
    refused(derived, "claim_malformed", "signed as its deriver").await;
    let unworded = AttestItem { signed: None, ..good.clone() };
    refused(unworded, "signature_invalid", "Guix's keys narinfos").await;
    let alice = attestation(&scene.alice, &item, &nar, &[]);
    let worded = AttestItem {
        signed: good.signed.clone(),
        signature: scene.alice.sign(text.as_bytes()),
        ..alice
    };
    refused(worded, "signature_invalid", "Nix's keys sign fingerprints").await;
    let forged = AttestItem {
        signature: attestation(&scene.gina, &guix_path("x", "x"), &nar, &[]).signature,
        ..good.clone()
    };
    refused(forged, "signature_invalid", "does not verify").await;
    assert_eq!(scene.ask("", &item).await.status, 404);
    assert_eq!(scene.admin.attest(vec![good]).await.status, 200);
    assert_eq!(scene.ask("", &item).await.status, 200);
}

#[tokio::test]
async fn a_policy_for_guix_counts_both_kinds_of_keys() {
    let (gina, gus, alice) = (guix_key("gina", 1), guix_key("gus", 2), key("alice", 3));
    let dir = tempfile::tempdir().unwrap();
    let policy = dir.path().join("two.toml");
    let keys = [&gina, &gus, &alice]
        .map(|key| format!("[principal.{}]\nkeys = [\"{}\"]\n", key.name(), key.public()));
    let text = format!(
        "format = \"narpool-policy/1\"\nname = \"two\"\nversion = 1\nexpires = 2100-01-01T00:00:00Z\n\
         store_dir = \"/gnu/store\"\n{}[group.two]\nk = 2\nmembers = [\"gus\", \"gina\", \"alice\"]\n\
         [default]\nrequire = \"group:two\"\n",
        keys.concat()
    );
    std::fs::write(&policy, text).unwrap();
    let scene = Scene::start(&["--policies", policy.to_str().unwrap()]).await;
    let (item, nar) = (guix_path("policy", "policy"), file(b"policy"));
    scene.admin.push(&scene.gina, &item, &nar, &[]).await;
    let refused = scene.ask("/policy/two", &item).await;
    assert!(refused.text().starts_with("policy_undecided"), "{}", refused.text());
    scene.admin.vouch(&scene.alice, &item, &nar, &[]).await;
    let (narinfo, by) = scene.shown("/policy/two", &item).await;
    assert_eq!(by.as_deref(), Some("gina"));
    assert_eq!(narinfo.claim.nar_hash(), NarHash::of(&nar));
    let digest: [u8; 32] = Sha256::digest(narinfo.claim.signed_bytes().as_bytes()).into();
    assert_eq!(narinfo.claim.id().as_bytes(), &digest);
}
