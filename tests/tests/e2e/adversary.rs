//! A real pool with one lie switched on, and the real command that asks it: no lie makes anything
//! allowed, and each is called by its name.

mod history;
mod lasting;
mod nars;
mod shown;
mod together;

use std::fs;
use std::path::PathBuf;

use reqwest::Method;
use rusqlite::Connection;
use schema::api::{EvidenceLine, EvidenceRequest};
use schema::key::SecretKey;
use schema::key_event::{KeyEvent, RevokeReason};
use schema::store_path::StorePath;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::cli::Cli;
use tests::client::{Answer, Client};
use tests::double::{Double, Lie};
use tests::nar::{file, key, path};
use tests::program::Outcome;
use tests::server::Server;

fn alice() -> SecretKey {
    key("alice-1", 1)
}

fn bob() -> SecretKey {
    key("bob-1", 2)
}

fn carol() -> SecretKey {
    key("carol-1", 3)
}

/// The path that is asked for. It refers to `lib`.
fn app() -> StorePath {
    path("app", "app-1.0")
}

fn lib() -> StorePath {
    path("lib", "lib-1.0")
}

/// Of which carol says something else than alice and bob.
fn split() -> StorePath {
    path("split", "split-1.0")
}

/// Two of alice and bob, and nobody of the three may dissent. `ledger` goes into `[ledger]`.
fn policy(version: u64, ledger: &str) -> String {
    let keys = [("alice", alice()), ("bob", bob()), ("carol", carol())]
        .map(|(name, key)| format!("[principal.{name}]\nkeys = [\"{}\"]\n", key.public()));
    format!(
        "format = \"narpool-policy/1\"\nname = \"test\"\nversion = {version}\n\
         store_dir = \"/nix/store\"\n{}[ledger]\n{ledger}\n[group.both]\nk = \"all\"\n\
         members = [\"alice\", \"bob\"]\n[[rule]]\nmatch = {{ name = \"*\" }}\n\
         require = \"group:both\"\nwatch = [\"alice\", \"bob\", \"carol\"]\n\
         [default]\nrequire = \"deny\"\n",
        keys.concat()
    )
}

/// A pool in which alice and bob attest the same, and somebody in front of it.
struct Scene {
    server: Server,
    double: Double,
    _data: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path(), &[]);
        let admin = Client::admin(&server);
        for key in [alice(), bob(), carol()] {
            admin.enrol(&key.public()).await;
        }
        for key in [alice(), bob()] {
            attests_all(&admin, &key).await;
        }
        admin.vouch(&carol(), &split(), &file(b"other"), &[]).await;
        for number in 0..20 {
            let other = path(&format!("other{number}"), "other-1.0");
            admin.vouch(&bob(), &other, &file(b"other"), &[]).await;
        }
        let double = Double::before(&server);
        Self { server, double, _data: data }
    }

    fn admin(&self) -> Client {
        Client::admin(&self.server)
    }

    /// What the pool says of these, to somebody who knows nothing.
    async fn record(&self, paths: &[StorePath]) -> Vec<EvidenceLine> {
        record(&self.server, paths).await
    }
}

async fn attests_all(admin: &Client, key: &SecretKey) {
    admin.vouch(key, &lib(), &file(b"lib"), &[]).await;
    admin.vouch(key, &app(), &file(b"app"), &[lib().base().clone()]).await;
    admin.vouch(key, &split(), &file(b"split"), &[]).await;
}

async fn record(server: &Server, paths: &[StorePath]) -> Vec<EvidenceLine> {
    let request = EvidenceRequest { paths: paths.to_vec(), closure: true, ..Default::default() };
    let client = Client::new(server);
    let answer = Answer::to(client.request(Method::POST, "/api/v1/evidence").json(&request)).await;
    let lines = answer.json_lines().into_iter().map(serde_json::from_value);
    lines.collect::<Result<_, _>>().unwrap()
}

pub(super) async fn revoke(server: &Server, signer: &SecretKey, reason: RevokeReason) {
    let admin = Client::admin(server);
    let info = admin.get("/api/v1/info").await.json();
    let origin = format!("{}/keys", info["origin"].as_str().unwrap());
    let event = KeyEvent::Revoke { key: signer.public().id(), reason };
    let signed = event.sign(&origin, &[signer]).unwrap();
    let request = json!({ "event": signed.event(), "signatures": signed.signatures() });
    let asked = admin.request(Method::POST, "/api/v1/keys/events").json(&request);
    let answer = Answer::to(asked).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Somebody who asks by a policy, and remembers what was shown.
struct Asker {
    dir: TempDir,
    policy: String,
}

impl Asker {
    fn new(policy: String) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), policy }
    }

    /// Asks these pools of a path, by a process of its own.
    fn asks(&self, cli: &Server, pools: &[&str], path: &StorePath) -> Explained {
        let file = self.dir.path().join("policy.toml");
        fs::write(&file, &self.policy).unwrap();
        let cli = Cli::new(self.dir.path(), cli, "");
        let mut command = cli.command(&["policy", "explain", "--json"]);
        command.arg(&file).arg(path.to_string()).arg("--state-dir").arg(self.state());
        for pool in pools {
            command.args(["--pool", pool]);
        }
        Explained::of(Outcome::of(&mut command))
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// What pools were caught at: the code, the checkpoints known before, and those shown.
    fn caught(&self) -> Vec<(String, Value, Value)> {
        let database = Connection::open(self.state().join("judge.sqlite")).unwrap();
        let mut rows = database.prepare("SELECT code, known, shown FROM caught").unwrap();
        let read = |text: Option<String>| {
            text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
        };
        let rows =
            rows.query_map([], |row| Ok((row.get(0)?, read(row.get(1)?), read(row.get(2)?))));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// How often pools were caught at something.
    fn times_caught(&self) -> i64 {
        let database = Connection::open(self.state().join("judge.sqlite")).unwrap();
        database.query_row("SELECT sum(times) FROM caught", [], |row| row.get(0)).unwrap()
    }

    /// That what was known of the other pool is kept.
    fn has_known(&self, code: &str) {
        let caught = self.caught();
        assert!(caught.iter().any(|it| it.0 == code && it.1.is_array()), "{caught:?}");
    }

    /// That two contradicting checkpoints of the same log are kept.
    fn has_both(&self, code: &str) {
        let caught = self.caught();
        let (_, known, shown) = caught.iter().rfind(|it| it.0 == code).unwrap();
        for at in 0..3 {
            let (known, shown) = (known[at].as_str().unwrap(), shown[at].as_str().unwrap());
            assert!(known.contains("\n\n— ") && shown.contains("\n\n— "), "{caught:?}");
            assert_eq!(known.lines().next(), shown.lines().next(), "of one log");
        }
        assert_ne!(known, shown);
    }
}

/// What the command said.
#[derive(Debug)]
struct Explained {
    code: i32,
    report: Value,
    all: String,
}

impl Explained {
    fn of(outcome: Outcome) -> Self {
        let Outcome { code, stdout, stderr } = outcome;
        let report = serde_json::from_str(&stdout).unwrap_or(Value::Null);
        Self { code, report, all: stdout + &stderr }
    }

    #[track_caller]
    fn allows(&self) {
        assert_eq!((self.code, &self.report["allowed"]), (0, &json!(true)), "{}", self.all);
    }

    /// Nothing is allowed, and why is said with this code.
    #[track_caller]
    fn refuses(&self, lie: &str, code: &str) {
        assert!([1, 2].contains(&self.code), "{lie}: {}", self.all);
        assert_ne!(self.report["allowed"], json!(true), "{lie}");
        assert!(self.all.contains(&format!("{code}: ")), "{lie}: no {code} in {}", self.all);
    }

    /// How it stands with one path: verdict and code.
    fn outcome(&self, path: &StorePath) -> (&str, &str) {
        let mut paths = self.report["paths"].as_array().unwrap().iter();
        let of_path = paths.find(|it| it["path"] == json!(path));
        let outcome = &of_path.unwrap_or_else(|| panic!("no {path} in {}", self.all))["outcome"];
        (outcome["verdict"].as_str().unwrap(), outcome["code"].as_str().unwrap())
    }
}

/// Changes the lines of an answer in place.
fn changes(change: impl Fn(&mut Vec<EvidenceLine>) + Send + Sync + 'static) -> Lie {
    Lie::Changes(Box::new(move |mut lines| {
        change(&mut lines);
        lines
    }))
}
