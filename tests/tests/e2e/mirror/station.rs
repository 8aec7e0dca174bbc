//! A pool on a host of its own, and what brings it what others hold: both may be killed at any time.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use schema::api::{LedgerReport, Ledgers};
use tempfile::TempDir;
use tests::cli::Cli;
use tests::client::{Answer, Client};
use tests::net::Host;
use tests::server::Server;

/// A pool at an address that stays, whatever becomes of its server.
pub(super) struct Station<'n> {
    pub(super) host: &'n Host,
    pub(super) dir: TempDir,
    server: Server,
    pub(super) admin: Client,
    arguments: &'static [&'static str],
}

impl<'n> Station<'n> {
    pub(super) fn start(host: &'n Host, arguments: &'static [&'static str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start_on(host, dir.path(), arguments);
        let admin = Client::admin(&server);
        Self { host, dir, server, admin, arguments }
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    pub(super) fn kill(&mut self) {
        self.server.kill_now();
    }

    pub(super) fn start_again(&mut self) {
        self.server = Server::start_on(self.host, self.dir.path(), self.arguments);
        // Without the connections of before.
        self.admin = Client::admin(&self.server);
    }

    /// Somebody at the desk who runs `pool` against it.
    pub(super) fn cli(&self) -> Cli {
        Cli::new(&self.dir.path().join("home"), &self.server, &self.server.admin_token())
    }

    /// What the origins of its logs begin with.
    pub(super) async fn origin(&self) -> String {
        self.admin.get("/api/v1/info").await.json()["origin"].as_str().unwrap().to_owned()
    }

    /// What it has of the ledger of this origin, its own or another's, if it answers and has it.
    pub(super) async fn ledger(&self, origin: &str) -> Option<LedgerReport> {
        let request = self.admin.request(reqwest::Method::GET, "/api/v1/ledgers");
        let answer = Answer::unless_gone(request).await.ok()?;
        let held: Ledgers = serde_json::from_value(answer.json()).unwrap();
        held.ledgers.into_iter().find(|ledger| ledger.origin == origin)
    }
}

/// `pool mirror --follow`, until it is dropped.
pub(super) struct Follower {
    child: Child,
    log: PathBuf,
}

impl Follower {
    /// Runs a command that follows, and that says in `log` what it has to say.
    pub(super) fn start(mut command: Command, log: PathBuf) -> Self {
        let file = fs::File::options().create(true).append(true).open(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Self { child: command.spawn().unwrap(), log }
    }

    /// That it goes on, and what it has said.
    pub(super) fn goes_on(&mut self) -> String {
        let log = fs::read_to_string(&self.log).unwrap();
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "`pool mirror --follow` ended with {ended:?}:\n{log}");
        log
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
