//! `pool ledger audit` at pools that are in order, and at pools whose operators lie.

mod edited;

use std::fs;
use std::path::Path;
use std::process::Command;

use edited::Edited;
use pool_server::index::LogId;
use reqwest::Method;
use schema::attestation::Entry;
use schema::hash::MapHash;
use schema::key::SecretKey;
use schema::key_event::{KeyEvent, RevokeReason};
use schema::signature::Signature;
use schema::verifiable_map::IndexLeaf;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::cli::Cli;
use tests::client::{Answer, Client};
use tests::deadline::wait_for;
use tests::nar::{attestation, file, key, path};
use tests::program::{Outcome, built};
use tests::run::long;
use tests::server::{Server, copy_dir};

const LOG: LogId = LogId::Attestations;

/// A pool, and an auditor who visits it from time to time.
struct Watched {
    data: TempDir,
    home: TempDir,
    server: Option<Server>,
    alice: SecretKey,
}

impl Watched {
    /// A pool with so many attestations by alice.
    async fn with(attestations: u64) -> Self {
        let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let server = Some(Server::start(data.path(), &[]));
        let watched = Self { data, home, server, alice: key("alice", 1) };
        watched.admin().enrol(&watched.alice.public()).await;
        watched.attest(0, attestations).await;
        watched
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    fn admin(&self) -> Client {
        Client::admin(self.server())
    }

    async fn attest(&self, first: u64, count: u64) {
        attest(self.server(), &self.alice, first, count).await;
    }

    /// Stops the pool, edits its directory and starts it again.
    fn edit(&mut self, edit: impl FnOnce(&Edited)) {
        self.server.take().unwrap().stop();
        edit(&Edited::open(self.data.path()));
        self.start();
    }

    fn start(&mut self) {
        self.server = Some(Server::start(self.data.path(), &[]));
    }

    fn audit(&self) -> Audited {
        Audited::of(self.home.path(), self.server(), &[])
    }

    /// An audit that must find nothing.
    fn clean(&self) -> Value {
        let audited = self.audit();
        assert_eq!((audited.code, audited.findings()), (0, vec![]), "{}", audited.report);
        audited.report
    }

    /// Whether and why the server does not start.
    fn refusal(&self) -> String {
        let mut command = Command::new(built("pool-server"));
        command.arg("--data").arg(self.data.path()).args(["--listen", "127.0.0.1:0"]);
        Outcome::of(command.env_clear()).failed()
    }

    /// Waits until the index log tells of all attestations.
    fn indexed(&self) {
        wait_for("the index log", || {
            let report = self.clean();
            (report["covered"] == report["logs"]["attestations"]["size"]).then_some(())
        });
    }
}

async fn attest(server: &Server, signer: &SecretKey, first: u64, count: u64) {
    let nar = file(b"the same in every path");
    let numbered =
        |number: u64| attestation(signer, &path(&number.to_string(), "numbered"), &nar, &[]);
    let admin = Client::admin(server);
    for from in (first..first + count).step_by(10_000) {
        let part = (from..first + count).take(10_000).map(numbered).collect();
        let answer = admin.attest(part).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// What an audit told.
struct Audited {
    code: i32,
    report: Value,
    stderr: String,
}

impl Audited {
    fn of(home: &Path, server: &Server, arguments: &[&str]) -> Self {
        let mut all = vec!["ledger", "audit", "--json"];
        all.extend(arguments);
        let Outcome { code, stdout, stderr } = Cli::new(home, server, "").run(&all);
        let report = serde_json::from_str(&stdout)
            .unwrap_or_else(|error| panic!("{error} in {stdout}\n{stderr}"));
        Self { code, report, stderr }
    }

    /// Log, entry and code of each finding; -1 stands for no entry.
    fn findings(&self) -> Vec<(&str, i64, &str)> {
        let text = |value: &'_ Value| -> &'static str { value.as_str().unwrap().to_owned().leak() };
        let listed = self.report["findings"].as_array().unwrap().iter();
        let found =
            |it: &Value| (text(&it["log"]), it["entry"].as_i64().unwrap_or(-1), text(&it["code"]));
        listed.map(found).collect()
    }

    /// It found these, and maybe more, and kept what proves it if it is about a log's history.
    fn caught(&self, expected: &[(&str, i64, &str)]) {
        let found = self.findings();
        assert_eq!(self.code, 1, "{}", self.report);
        for finding in expected {
            assert!(found.contains(finding), "{finding:?} is not in {}", self.report);
        }
    }

    fn evidence(&self) -> Vec<String> {
        let listed = self.report["evidence"].as_array().unwrap().iter();
        listed.map(|path| fs::read_to_string(path.as_str().unwrap()).unwrap()).collect()
    }

    fn details(&self) -> String {
        self.report["findings"].to_string()
    }
}

#[tokio::test]
async fn a_pool_that_is_in_order_passes_again_and_again() {
    let many = if long() { 200_000 } else { 300 };
    let mut watched = Watched::with(many).await;
    let first = watched.audit();
    assert_eq!((first.code, first.findings()), (0, vec![]), "{}", first.report);
    assert!(first.stderr.contains("this is the first visit"), "{}", first.stderr);
    let info = watched.admin().get("/api/v1/info").await.json();
    assert!(first.stderr.contains(info["logs"]["attestations"].as_str().unwrap()));
    assert_eq!(first.report["logs"]["attestations"], json!({ "before": 0, "size": many }));
    assert_eq!(
        (&first.report["signatures"], &first.report["first_visit"]),
        (&json!(many), &json!(true))
    );

    watched.attest(many, 500).await;
    watched.admin().enrol(&key("bob", 2).public()).await;
    attest(watched.server(), &key("bob", 2), 10, 5).await;
    let second = watched.audit();
    assert_eq!((second.code, second.findings()), (0, vec![]), "{}", second.report);
    assert_eq!(second.stderr, "", "nothing is to be trusted anew");
    assert_eq!(
        second.report["logs"]["attestations"],
        json!({ "before": many, "size": many + 505 })
    );
    assert_eq!(second.report["logs"]["keys"], json!({ "before": 1, "size": 2 }));
    assert_eq!(second.report["signatures"], 505);

    watched.edit(|_| ());
    watched.indexed();
    assert_eq!(watched.clean()["signatures"], 0, "nothing is new");
    let elsewhere = tempfile::tempdir().unwrap();
    let whole = Audited::of(elsewhere.path(), watched.server(), &[]);
    assert_eq!(
        (whole.code, &whole.report["signatures"]),
        (0, &json!(many + 505)),
        "{}",
        whole.report
    );
    assert_eq!(whole.report["covered"], many + 505);
}

#[tokio::test]
async fn keys_and_witnesses_are_as_they_must_be() {
    let (watched, other) = (Watched::with(2).await, Watched::with(2).await);
    let key_of = async |pool: &Watched| {
        let info = pool.admin().get("/api/v1/info").await.json();
        info["logs"]["attestations"].as_str().unwrap().to_owned()
    };
    let (ours, theirs) = (key_of(&watched).await, key_of(&other).await);
    let pinned = Audited::of(watched.home.path(), watched.server(), &["--key", &ours]);
    assert_eq!((pinned.code, &*pinned.stderr), (0, ""), "{}", pinned.report);
    let impostor = Audited::of(watched.home.path(), other.server(), &["--key", &ours]);
    impostor.caught(&[("keys", -1, "key_changed")]);
    assert!(impostor.details().contains("has no log called"), "{}", impostor.report);

    let policy = watched.home.path().join("policy");
    let witness = watched.admin().get("/api/v1/info").await.json()["logs"]["witness"].clone();
    let text = format!("witness own {}\nquorum own\n", witness.as_str().unwrap());
    let policy_of = |text: &str| {
        fs::write(&policy, text).unwrap();
        Audited::of(watched.home.path(), watched.server(), &["--policy", policy.to_str().unwrap()])
    };
    policy_of(&text).caught(&["keys", "attestations", "index"].map(|log| (log, -1, "quorum")));
    policy_of(&format!("log {ours}\n{text}")).caught(&[("attestations", -1, "quorum")]);
    assert_eq!(policy_of(&format!("log {ours}\nquorum none\n")).code, 0);
    let mut command =
        Cli::new(watched.home.path(), watched.server(), "").command(&["ledger", "audit"]);
    fs::write(&policy, format!("log {theirs}\nquorum none\n")).unwrap();
    let outcome = Outcome::of(command.arg("--policy").arg(&policy));
    assert_eq!(outcome.code, 2, "{outcome:?}");
}

#[tokio::test]
async fn a_database_that_was_edited_does_not_start() {
    let mut watched = Watched::with(5).await;
    watched.server.take().unwrap().stop();
    let edited = Edited::open(watched.data.path());
    let mut entries = edited.entries(LOG);
    entries[2][200] ^= 1;
    edited.write(LOG, &entries);
    drop(edited);
    let said = watched.refusal();
    assert!(said.contains("attestations is not the one that was signed"), "{said}");
}

/// Each of these is signed anew, so that the pool starts as if nothing had happened.
#[tokio::test]
async fn history_that_was_rewritten_is_noticed() {
    let mut watched = Watched::with(300).await;
    watched.indexed();
    let backup = tempfile::tempdir().unwrap();
    watched.server.take().unwrap().stop();
    copy_dir(watched.data.path(), backup.path());
    for (what, changed, edit) in [
        ("changed", 17, (|entries| entries[17][200] ^= 1) as fn(&mut Vec<Vec<u8>>)),
        ("reordered", 3, |entries| entries.swap(3, 280)),
        ("the last one", 299, |entries| entries[299][200] ^= 1),
        ("changed, and grown", 256, |entries| {
            entries[256][200] ^= 1;
            entries.push(entries[0].clone());
        }),
    ] {
        watched.start();
        watched.clean();
        watched.server.take().unwrap().stop();
        let edited = Edited::open(watched.data.path());
        let mut entries = edited.entries(LOG);
        edit(&mut entries);
        edited.replace(LOG, &entries);
        drop(edited);
        watched.start();
        let audited = watched.audit();
        audited.caught(&[("attestations", -1, "fork"), ("attestations", changed, "changed")]);
        let evidence = audited.evidence();
        assert_eq!(evidence.len(), 2, "{what}: {}", audited.report);
        assert!(evidence[0].contains("\n300\n") && evidence[0] != evidence[1], "{evidence:?}");
        watched.audit().caught(&[("attestations", -1, "fork")]);
        watched.server.take().unwrap().stop();
        fs::remove_dir_all(watched.data.path()).unwrap();
        copy_dir(backup.path(), watched.data.path());
    }
}

#[tokio::test]
async fn entries_that_should_not_be_there_are_named() {
    let mut watched = Watched::with(5).await;
    let (mallory, bob) = (key("mallory", 3), key("bob", 2));
    watched.admin().enrol(&mallory.public()).await;
    watched.admin().enrol(&bob.public()).await;
    attest(watched.server(), &mallory, 5, 1).await;
    revoke(&watched, &mallory).await;
    watched.indexed();
    watched.edit(|edited| {
        let mut entries = edited.entries(LOG);
        let first = Entry::parse(&entries[0]).unwrap();
        let last = Entry::parse(&entries[5]).unwrap();
        let nar = file(b"the same in every path");
        let signed = |by: &SecretKey, number: u64| {
            let item = attestation(by, &path(&number.to_string(), "numbered"), &nar, &[]);
            let claim = Entry::parse(&entries[number as usize]).unwrap();
            Entry { key_id: by.public().id(), signature: *item.signature.signature(), ..claim }
        };
        let now = last.logged_at + 10;
        let unsigned = Signature::from_bytes([7; 64]);
        let unknown = key("nobody", 4);
        let added = [
            Entry { logged_at: now, ..first.clone() },
            Entry { logged_at: now, signature: unsigned, ..signed(&bob, 1) },
            Entry { logged_at: now, ..signed(&mallory, 2) },
            Entry { logged_at: now - 5, ..signed(&bob, 3) },
            Entry { logged_at: now, ..signed(&unknown, 4) },
            Entry { logged_at: now, claim: schema::hash::ClaimId::of(b"gone"), ..signed(&bob, 4) },
            Entry { logged_at: now, subject: schema::hash::NarHash::of(b"x"), ..signed(&bob, 4) },
        ];
        entries.extend(added.map(|entry| entry.to_bytes().to_vec()));
        edited.replace(LOG, &entries);
    });
    let expected = [
        ("attestations", 6, "duplicate"),
        ("attestations", 7, "signature"),
        ("attestations", 8, "key_not_allowed"),
        ("attestations", 9, "goes_back"),
        ("attestations", 10, "key_not_allowed"),
        ("attestations", 11, "claim_missing"),
        ("attestations", 12, "claim_differs"),
    ];
    for _ in 0..2 {
        let audited = watched.audit();
        audited.caught(&expected);
        assert_eq!(audited.findings().len(), expected.len(), "{}", audited.report);
        let details = audited.details();
        assert!(details.contains("signature by bob") && details.contains("mallory"), "{details}");
    }
    let elsewhere = tempfile::tempdir().unwrap();
    Audited::of(elsewhere.path(), watched.server(), &[]).caught(&expected);
}

async fn revoke(watched: &Watched, signer: &SecretKey) {
    let admin = watched.admin();
    let info = admin.get("/api/v1/info").await.json();
    let origin = format!("{}/keys", info["origin"].as_str().unwrap());
    let event = KeyEvent::Revoke { key: signer.public().id(), reason: RevokeReason::Retired };
    let signed = event.sign(&origin, &[signer]).unwrap();
    let request = json!({ "event": signed.event(), "signatures": signed.signatures() });
    let answer =
        Answer::to(admin.request(Method::POST, "/api/v1/keys/events").json(&request)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn an_index_of_another_log_is_noticed() {
    let mut watched = Watched::with(20).await;
    watched.indexed();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut last = 0;
    watched.edit(|edited| {
        let mut leaves = edited.entries(LogId::Index);
        last = leaves.len() as i64 - 1;
        let leaf = leaves.last_mut().unwrap();
        let wrong = MapHash::from_bytes([7; 32]);
        *leaf = IndexLeaf { map: wrong, ..IndexLeaf::parse(leaf).unwrap() }.to_bytes().to_vec();
        edited.replace(LogId::Index, &leaves);
    });
    watched.audit().caught(&[("index", -1, "fork"), ("index", last, "changed")]);
    // Somebody who never was here before need not have seen another one.
    Audited::of(elsewhere.path(), watched.server(), &[]).caught(&[("index", last, "map_root")]);
}

#[tokio::test]
async fn a_log_that_went_back_is_noticed() {
    let mut watched = Watched::with(5).await;
    watched.server.take().unwrap().stop();
    let backup = tempfile::tempdir().unwrap();
    copy_dir(watched.data.path(), backup.path());
    watched.start();
    watched.attest(5, 3).await;
    watched.clean();
    watched.server.take().unwrap().stop();
    let index = watched.data.path().join("index");
    fs::remove_dir_all(&index).unwrap();
    copy_dir(&backup.path().join("index"), &index);
    let said = watched.refusal();
    assert!(said.contains("has 5 entries, but 8 were signed"), "{said}");

    copy_dir(&backup.path().join("heads"), &watched.data.path().join("heads"));
    watched.start();
    let audited = watched.audit();
    audited.caught(&[("attestations", -1, "shrank")]);
    assert!(audited.details().contains("shrank from 8 to 5"), "{}", audited.report);
    assert_eq!(audited.evidence().len() % 2, 0);
    // With an entry left out, the others follow.
    watched.attest(6, 2).await;
    let removed = watched.audit();
    removed.caught(&[("attestations", -1, "shrank"), ("attestations", 5, "changed")]);
    watched.attest(20, 3).await;
    watched.audit().caught(&[("attestations", -1, "fork"), ("attestations", 5, "changed")]);
}

#[tokio::test]
async fn two_histories_shown_to_two_clients_are_noticed_by_whoever_sees_both() {
    let mut watched = Watched::with(256).await;
    watched.server.take().unwrap().stop();
    let twin = tempfile::tempdir().unwrap();
    copy_dir(watched.data.path(), twin.path());
    watched.start();
    let twin = Server::start(twin.path(), &[]);
    watched.attest(256, 1).await;
    attest(&twin, &watched.alice, 300, 1).await;
    watched.clean();
    let others = tempfile::tempdir().unwrap();
    assert_eq!(Audited::of(others.path(), &twin, &[]).code, 0, "it sees but one of them");
    let audited = Audited::of(watched.home.path(), &twin, &[]);
    audited.caught(&[("attestations", -1, "fork"), ("attestations", 256, "changed")]);
    assert!(audited.details().contains("two checkpoints of size 257"), "{}", audited.report);
    let evidence = audited.evidence();
    assert!(evidence.iter().all(|note| note.contains("\n— narpool-")), "{evidence:?}");
    attest(&twin, &watched.alice, 400, 300).await;
    Audited::of(watched.home.path(), &twin, &[]).caught(&[("attestations", 256, "changed")]);
    watched.clean();
}

#[tokio::test]
async fn a_proof_holds_without_the_pool() {
    let mut watched = Watched::with(300).await;
    let receipt = watched.home.path().join("receipt");
    let store_path = path("7", "numbered").to_string();
    let other_path = path("8", "numbered").to_string();
    let cli = Cli::new(watched.home.path(), watched.server(), "");
    let info = watched.admin().get("/api/v1/info").await.json();
    let vkey = info["logs"]["attestations"].as_str().unwrap().to_owned();
    let out = receipt.to_str().unwrap();
    let said = cli.run(&["ledger", "proof", &store_path, "--signer", "alice", "--out", out]).ok();
    assert!(said.contains("in entry 7") && said.contains(&vkey), "{said}");
    let nobody = cli.run(&["ledger", "proof", &store_path, "--signer", "nobody"]);
    assert_eq!(nobody.code, 1, "{nobody:?}");
    watched.server.take().unwrap().stop();

    let verify = |key: &str, path: &str| {
        cli.run(&["ledger", "verify", out, "--key", key, "--path", path, "--json"])
    };
    let proven: Value = serde_json::from_str(&verify(&vkey, &store_path).ok()).unwrap();
    let alice = json!(watched.alice.public().id());
    assert_eq!(
        (&proven["index"], &proven["size"], &proven["key_id"]),
        (&json!(7), &json!(300), &alice)
    );
    assert_eq!(verify(&vkey, &other_path).code, 1);
    let keys_log = info["logs"]["keys"].as_str().unwrap();
    assert_eq!(verify(keys_log, &store_path).code, 1);
    let text = fs::read_to_string(&receipt).unwrap();
    fs::write(&receipt, text.replace("index 7", "index 8")).unwrap();
    assert_eq!(verify(&vkey, &store_path).code, 1);
    fs::remove_file(&receipt).unwrap();
    assert_eq!(verify(&vkey, &store_path).code, 2);
}
