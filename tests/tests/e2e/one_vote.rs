//! However often one key speaks, and under however many names: it has one vote. Stock Nix, which
//! counts signatures, gives it as many as it likes.

use std::fs;
use std::path::Path;

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use schema::api::AttestItem;
use schema::claim::Claim;
use schema::compression::Compression;
use schema::key::{PublicKey, SecretKey};
use schema::narinfo::{Delivery, NarInfo};
use schema::signature::{NamedSignature, Signature};
use serde_json::Value;
use sha2::Sha512;
use tempfile::TempDir;
use tests::cli::Cli;
use tests::client::Client;
use tests::lab::Lab;
use tests::nar::{attestation, file, key, path};
use tests::nix::Version;
use tests::program::Outcome;
use tests::server::Server;

tests::with_each_nix!(nix_counts_one_key_as_often_as_it_signs);

const SEED: u8 = 1;

/// What the key made of [`SEED`] and called `name` signs, with another nonce each time. Ed25519 has the
/// nonce follow from the message, but nobody else can see whether it does.
fn signature(name: &str, claim: &Claim, nonce: u64) -> NamedSignature {
    let mut secret = ExpandedSecretKey::from(&[SEED; 32]);
    secret.hash_prefix[..8].copy_from_slice(&nonce.to_be_bytes());
    let public = VerifyingKey::from(&secret);
    let signed = raw_sign::<Sha512>(&secret, claim.signed_bytes().as_bytes(), &public);
    NamedSignature::new(name.parse().unwrap(), Signature::from_bytes(signed.to_bytes()))
}

fn hello() -> AttestItem {
    attestation(&key("alice", SEED), &path("hello", "hello-1.0"), &file(b"hello"), &[])
}

fn claim_of(item: &AttestItem) -> Claim {
    let (path, references) = (item.store_path.clone(), item.references.clone());
    Claim::new(path, item.nar_hash, item.nar_size, references).unwrap()
}

async fn nix_counts_one_key_as_often_as_it_signs(version: Version) {
    let lab = Lab::start(version, &[]);
    let (host, item) = (lab.host("reader"), hello());
    let claim = claim_of(&item);
    let cache = host.dir().join("cache");
    fs::create_dir_all(&cache).unwrap();
    fs::write(cache.join("nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
    let signatures =
        [("alice", 1), ("alice", 2), ("alias", 3)].map(|(name, at)| signature(name, &claim, at));
    let url = "nar/none.nar".to_owned();
    let delivery =
        Delivery { url, compression: Compression::None, file_hash: None, file_size: None };
    let (deriver, content_address) = (None, None);
    let hash_part = claim.path().base().hash_part();
    let narinfo =
        NarInfo { claim, delivery, deriver, content_address, signatures: signatures.to_vec() };
    fs::write(cache.join(format!("{hash_part}.narinfo")), narinfo.print_nix()).unwrap();

    let (cache, path) = (format!("file://{}", cache.display()), item.store_path.to_string());
    let verify = |needed: &str, trusted: &[PublicKey]| {
        let trusted: Vec<String> = trusted.iter().map(ToString::to_string).collect();
        let keys = ["--option", "trusted-public-keys", &trusted.join(" ")];
        let verify = ["nix", "store", "verify", "--store", &cache, &path, "--no-contents"];
        host.run(&[&verify[..], &["--sigs-needed", needed], &keys].concat())
    };
    let (alice, alias) = (key("alice", SEED).public(), key("alias", SEED).public());
    assert_eq!(alice.id(), alias.id());
    verify("2", std::slice::from_ref(&alice)).ok();
    verify("3", &[alice.clone(), alias.clone()]).ok();
    verify("4", &[alice, alias]).failed();
}

/// A pool, and policies by which alice's word and bob's are needed.
struct Scene {
    server: Server,
    admin: Client,
    dir: TempDir,
}

impl Scene {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(&dir.path().join("pool"), &[]);
        let admin = Client::admin(&server);
        Self { server, admin, dir }
    }

    fn cli(&self) -> Cli {
        Cli::new(self.dir.path(), &self.server, &self.server.admin_token())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let file: &Path = &self.dir.path().join(name);
        fs::write(file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    /// Two principals with these keys each, both of whom must agree.
    fn policy(&self, principals: [&[&SecretKey]; 2]) -> String {
        let keys = principals.map(|keys| {
            let lines = keys.iter().map(|key| format!("\"{}\"", key.public()));
            lines.collect::<Vec<_>>().join(", ")
        });
        let text = format!(
            "format = \"narpool-policy/1\"\nname = \"both\"\nversion = 1\n\
             store_dir = \"/nix/store\"\n\
             [principal.a]\nkeys = [{}]\ndelegates = true\n[principal.b]\nkeys = [{}]\n\
             [group.both]\nk = \"all\"\nmembers = [\"a\", \"b\"]\n\
             [default]\nrequire = \"group:both\"\n",
            keys[0], keys[1]
        );
        self.write("policy.toml", &text)
    }

    fn explain(&self, policy: &str) -> Outcome {
        let path = hello().store_path.to_string();
        self.cli().run(&["policy", "explain", policy, &path, "--json"])
    }

    fn is_not_enough(&self, policy: &str) {
        let ended = self.explain(policy);
        assert_eq!(ended.code, 1, "{ended:?}");
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        let decision = &report["paths"][0]["decision"];
        let tally = &decision["tallies"][0];
        assert_eq!(
            (&tally["have"], &tally["need"]),
            (&Value::from(1), &Value::from(2)),
            "{report}"
        );
    }
}

#[tokio::test]
async fn a_key_has_one_name_in_a_pool_and_one_principal_in_a_policy() {
    let scene = Scene::start();
    let (alice, alias) = (key("alice", SEED), key("alias", SEED));
    scene.admin.enrol(&alice.public()).await;
    let again = scene.admin.ask_to_enrol(&alias.public(), None).await;
    assert_eq!((again.status, &*again.problem().code), (409, "key_enrolled"));
    let policy = scene.policy([&[&alice], &[&alias]]);
    for command in [["policy", "check"], ["policy", "explain"]] {
        let path = hello().store_path.to_string();
        let path = [path.as_str()];
        let paths = if command[1] == "explain" { &path[..] } else { &[] };
        let refused = scene.cli().run(&[&command[..], &[&policy], paths].concat());
        assert_eq!(refused.code, 1, "{refused:?}");
        let (place, hint) = ("policy.toml:9:9", "speaks for one principal");
        assert!(refused.stderr.contains(place) && refused.stderr.contains(hint), "{refused:?}");
    }
}

#[tokio::test]
async fn a_thousand_signatures_by_one_key_are_one_entry_and_one_vote() {
    let scene = Scene::start();
    let (alice, bob) = (key("alice", SEED), key("bob", 2));
    scene.admin.enrol(&alice.public()).await;
    scene.admin.enrol(&bob.public()).await;
    let (item, policy) = (hello(), scene.policy([&[&alice], &[&bob]]));
    let claim = claim_of(&item);
    let signed =
        |nonce| AttestItem { signature: signature("alice", &claim, nonce), ..item.clone() };
    let answer = scene.admin.attest((0..1000).map(signed).collect()).await;
    assert_eq!(answer.status, 200, "each is valid: {}", answer.text());
    let logged = answer.json();
    let new = |it: &&Value| it["new"] == true;
    assert_eq!(logged["logged"].as_array().unwrap().iter().filter(new).count(), 1, "{logged}");
    scene.is_not_enough(&policy);
    scene.admin.attest(vec![attestation(&bob, claim.path(), &file(b"hello"), &[])]).await;
    assert_eq!(scene.explain(&policy).code, 0);
}

#[tokio::test]
async fn a_root_and_its_machines_are_one_vote() {
    let scene = Scene::start();
    let (root, bob) = (key("root", 3), key("bob", 2));
    scene.admin.enrol(&root.public()).await;
    scene.admin.enrol(&bob.public()).await;
    let secret = scene.write("root.secret", &root.to_text());
    let policy = scene.policy([&[&root], &[&bob]]);
    let hello = hello().store_path;
    for seed in 4..7 {
        let machine = key(&format!("machine-{seed}"), seed);
        let public = machine.public().to_string();
        let delegate = ["signer", "delegate", "--root", &secret, &public, "--names", "*"];
        let delegated = scene.cli().run(&[&delegate[..], &["--not-after", "30d"]].concat());
        assert_eq!(delegated.code, 0, "{delegated:?}");
        scene.admin.vouch(&machine, &hello, &file(b"hello"), &[]).await;
    }
    scene.is_not_enough(&policy);
    scene.admin.vouch(&root, &hello, &file(b"hello"), &[]).await;
    scene.is_not_enough(&policy);
    scene.admin.vouch(&bob, &hello, &file(b"hello"), &[]).await;
    assert_eq!(scene.explain(&policy).code, 0);
}
