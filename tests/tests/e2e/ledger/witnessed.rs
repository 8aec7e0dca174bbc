//! A pool has its checkpoints cosigned by two of three witnesses: one by others, one a pool, and
//! a third with which something is wrong.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use schema::hash::TreeHash;
use schema::tlog::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use schema::tlog::cosignature::Cosigner;
use schema::tlog::note::{NoteSigner, VerifierKey};
use schema::tlog::policy::Policy;
use tempfile::TempDir;
use tests::client::Client;
use tests::deadline::eventually;
use tests::nar::{attestation, file, key, path};
use tests::server::Server;
use tests::witness::Witness;

/// What a third witness cosigns with, or says it does.
fn third() -> Cosigner {
    Cosigner::new("third.example/w".parse().unwrap(), Arc::new(key("third", 33))).unwrap()
}

/// A cosignature of another checkpoint than it is asked about.
fn lie() -> String {
    let log =
        NoteSigner::new("other.example/log".parse().unwrap(), Arc::new(key("other", 34))).unwrap();
    let origin = Origin::from(log.verifier().name());
    let other = Checkpoint::new(origin, 1, TreeHash::of(b"other")).unwrap();
    let other = SignedCheckpoint::sign(other, &log).unwrap();
    format!("{}\n", third().cosign(&other, 1_700_000_000).unwrap())
}

struct Scene {
    dirs: [TempDir; 3],
    keys: Vec<VerifierKey>,
    foreign: Witness,
    pool: Server,
    pool_key: String,
}

impl Scene {
    /// A pool that has made its keys and is stopped, and two witnesses that know its logs.
    async fn new() -> Self {
        let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let server = Server::start(dirs[0].path(), &[]);
        let logs = Client::new(&server).get("/api/v1/info").await.json()["logs"].clone();
        server.stop();
        let texts: Vec<&str> =
            ["keys", "attestations", "index"].map(|log| logs[log].as_str().unwrap()).to_vec();
        let foreign = Witness::start(dirs[1].path(), "witness.example/one", &texts);
        let pool = Server::start(dirs[2].path(), &["--witness-logs", &texts.join(",")]);
        let info = Client::new(&pool).get("/api/v1/info").await.json();
        let pool_key = info["logs"]["witness"].as_str().unwrap().to_owned();
        let keys = texts.iter().map(|text| text.parse().unwrap()).collect();
        Self { dirs, keys, foreign, pool, pool_key }
    }

    fn data(&self) -> &Path {
        self.dirs[0].path()
    }

    /// Writes the policy: two of three, the third at this address.
    fn policy(&self, address_of_third: &str) -> Policy {
        let text = format!(
            "witness one {} http://{}\nwitness two {} {}\nwitness three {} http://{address_of_third}\n\
             group all 2 one two three\nquorum all\n",
            self.foreign.vkey(),
            self.foreign.address(),
            self.pool_key,
            self.pool.url("/witness"),
            third().verifier(),
        );
        fs::write(self.data().join("policy"), &text).unwrap();
        Policy::parse(text.as_bytes()).unwrap()
    }

    fn start(&self) -> Server {
        let policy = self.data().join("policy");
        let policy = policy.to_str().unwrap();
        Server::start(self.data(), &["--witness-policy", policy, "--witness-timeout", "8s"])
    }

    async fn checkpoint(&self, client: &Client) -> SignedCheckpoint {
        let file = client.get("/ledger/attestations/checkpoint").await;
        assert_eq!(file.status, 200, "{}", file.text());
        SignedCheckpoint::open(&file.body, &self.keys[1]).unwrap()
    }
}

/// Answers every connection with this, or never, and says where.
fn third_witness(answer: Option<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            match &answer {
                Some(answer) => {
                    let _ = stream.read(&mut [0; 65536]);
                    let length = answer.len();
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                    let _ = stream.write_all((head + answer).as_bytes());
                }
                None => held.push(stream),
            }
        }
    });
    address
}

fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn two_of_three_cosign_whatever_is_wrong_with_the_third() {
    let scene = Scene::new().await;
    let alice = key("alice", 1);
    let nar = file(b"n");
    let thirds = [nobody(), third_witness(Some(lie())), third_witness(None)];
    for (number, third) in thirds.into_iter().enumerate() {
        let policy = scene.policy(&third);
        let server = scene.start();
        let admin = Client::admin(&server);
        admin.enrol(&alice.public()).await;
        let item = attestation(&alice, &path(&number.to_string(), "cosigned"), &nar, &[]);
        let answer = admin.attest(vec![item]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let receipt = answer.json()["logged"][0]["receipt"].as_str().map(str::to_owned);
        assert!(receipt.is_some(), "{number}: no receipt though two cosign: {}", server.log());
        let checkpoint = scene.checkpoint(&admin).await;
        assert_eq!(checkpoint.size(), number as u64 + 1);
        let cosigned = policy.check(&checkpoint).unwrap();
        assert_eq!(cosigned.len(), 2, "not the third");
        let trouble = "witness third.example/w: ";
        eventually("the trouble is shown", async || {
            admin.get("/readyz").await.text().contains(trouble)
        })
        .await;
        assert_eq!(admin.get("/readyz").await.status, 200);
        let failures =
            r#"narpool_witness_failures_total{witness="third.example/w",log="attestations"}"#;
        // What is shown first may be about another of the logs.
        eventually("the trouble is counted", async || {
            admin.metric_if_any(failures).await.is_some_and(|count| count >= 1.0)
        })
        .await;
        server.stop();
    }
}

#[tokio::test]
async fn without_a_quorum_nothing_new_is_published_and_everything_is_read() {
    let scene = Scene::new().await;
    let policy = scene.policy(&nobody());
    let server = scene.start();
    let admin = Client::admin(&server);
    let alice = key("alice", 1);
    admin.enrol(&alice.public()).await;
    let nar = file(b"n");
    admin.vouch(&alice, &path("1", "before"), &nar, &[]).await;
    let before = scene.checkpoint(&admin).await;
    let Scene { foreign, .. } = &scene;
    let address = foreign.address().to_owned();
    server.stop();

    // Now one of the two that are left is away.
    let lonely = fs::read_to_string(scene.data().join("policy")).unwrap();
    let lonely = lonely.replace(&address, &nobody());
    fs::write(scene.data().join("policy"), lonely).unwrap();
    let server = scene.start();
    let admin = Client::admin(&server);
    let item = attestation(&alice, &path("2", "unseen"), &nar, &[]);
    let answer = admin.attest(vec![item.clone()]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["logged"][0]["index"], 1);
    assert_eq!(answer.json()["logged"][0]["receipt"], serde_json::Value::Null);
    let shown = scene.checkpoint(&admin).await;
    assert_eq!(shown.note().text(), before.note().text(), "the last that had a quorum");
    policy.check(&shown).unwrap();
    assert_eq!(admin.get("/ledger/attestations/tile/0/000.p/2").await.status, 404);
    assert_eq!(admin.get("/ledger/attestations/tile/0/000.p/1").await.status, 200);
    server.stop();

    // It is back.
    scene.policy(&nobody());
    let server = scene.start();
    let admin = Client::admin(&server);
    eventually("the entry is published", async || scene.checkpoint(&admin).await.size() == 2).await;
    policy.check(&scene.checkpoint(&admin).await).unwrap();
    let again = admin.attest(vec![item]).await.json();
    assert_eq!(again["logged"][0]["index"], 1);
    assert!(again["logged"][0]["receipt"].is_string(), "{again}");
    server.stop();
}
