//! Pools that are mirrored and that mirror, each with a directory of its own.

use schema::api::{LedgerReport, Ledgers, LogReport};
use schema::hash::MapKey;
use schema::key::SecretKey;
use serde_json::Value;
use tempfile::TempDir;
use tests::cli::Cli;
use tests::client::Client;
use tests::nar::{file, key, noise, path};
use tests::program::Outcome;
use tests::server::Server;

/// A pool of a test's.
pub(super) struct Pool {
    pub(super) dir: TempDir,
    server: Option<Server>,
}

impl Pool {
    pub(super) fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Some(Server::start(dir.path(), arguments));
        Self { dir, server }
    }

    /// One whose data is in this directory already.
    pub(super) fn of(dir: TempDir) -> Self {
        let server = Some(Server::start(dir.path(), &[]));
        Self { dir, server }
    }

    pub(super) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub(super) fn admin(&self) -> Client {
        Client::admin(self.server())
    }

    pub(super) fn url(&self) -> String {
        self.server().url("")
    }

    pub(super) fn stop(&mut self) {
        self.server.take().unwrap().stop();
    }

    pub(super) fn start_again(&mut self) {
        self.start_again_with(&[]);
    }

    pub(super) fn start_again_with(&mut self, arguments: &[&str]) {
        self.server = Some(Server::start(self.dir.path(), arguments));
    }

    /// Somebody who runs `pool` against it.
    pub(super) fn cli(&self) -> Cli {
        let token = self.server().admin_token();
        Cli::new(&self.dir.path().join("home"), self.server(), &token)
    }

    /// Mirrors `from` to here, with further arguments.
    pub(super) fn mirror(&self, from: &[&Self], arguments: &[&str]) -> Outcome {
        let mut all = vec!["mirror".to_owned(), "--json".to_owned()];
        for pool in from {
            all.extend(["--from".to_owned(), pool.url()]);
        }
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        self.cli().run(&all)
    }

    /// The same, which must come off.
    pub(super) fn mirrors(&self, from: &[&Self], arguments: &[&str]) -> Value {
        serde_json::from_str(&self.mirror(from, arguments).ok()).unwrap()
    }

    /// What it has of another's ledger.
    pub(super) async fn ledger_of(&self, other: &str) -> LedgerReport {
        let held: Ledgers =
            serde_json::from_value(self.admin().get("/api/v1/ledgers").await.json()).unwrap();
        let found = held.ledgers.into_iter().find(|ledger| ledger.origin == other);
        found.unwrap_or_else(|| panic!("{other} is not mirrored"))
    }

    /// Waits until its index log covers its first so many attestations.
    pub(super) async fn covers(&self, attestations: u64) {
        let key = MapKey::of_path(&store_path(0).key());
        let lookup = format!("/ledger/index/lookup/{key}?size={attestations}");
        let answer = self.admin().get(&lookup).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// What the origins of its logs begin with.
    pub(super) async fn origin(&self) -> String {
        let info = self.admin().get("/api/v1/info").await.json();
        info["origin"].as_str().unwrap().to_owned()
    }

    /// Brings the files of paths, numbered from `first` on, that `signer` vouches for.
    pub(super) async fn fill(&self, signer: &SecretKey, first: u64, count: u64) {
        let admin = self.admin();
        for number in first..first + count {
            let nar = nar(number);
            admin.push(signer, &store_path(number), &nar, &[]).await;
        }
    }
}

/// The NAR of a path with a number: some are small, and every seventh is large.
pub(super) fn nar(number: u64) -> Vec<u8> {
    let len = if number % 7 == 6 { 900 << 10 } else { 1000 };
    file(&noise(number, len))
}

pub(super) fn store_path(number: u64) -> schema::store_path::StorePath {
    path(&number.to_string(), &format!("item-{number}"))
}

pub(super) fn alice() -> SecretKey {
    key("alice", 1)
}

pub(super) fn log<'l>(ledger: &'l LedgerReport, name: &str) -> &'l LogReport {
    ledger.logs.iter().find(|log| log.log == name).unwrap()
}

/// Every file of a log of `size` entries under this address, and its checkpoint.
pub(super) async fn files(client: &Client, address: &str, size: u64) -> Vec<(String, Vec<u8>)> {
    use schema::tlog::tile::{bundles_of, tiles_of};
    let mut paths: Vec<String> =
        tiles_of(0, size).map(|tile| format!("tile/{}", tile.path())).collect();
    paths.extend(bundles_of(0, size).map(|bundle| format!("tile/{}", bundle.path())));
    let mut files = Vec::new();
    for path in paths {
        let answer = client.get(&format!("{address}/{path}")).await;
        assert_eq!(answer.status, 200, "{address}/{path}: {}", answer.text());
        files.push((path, answer.body.to_vec()));
    }
    files
}
