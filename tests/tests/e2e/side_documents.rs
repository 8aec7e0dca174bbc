//! What a view answers beside narinfos and NARs: realisations, and where debug information lies.

mod debug_info;
mod realisations;
mod refused;
mod stock_nix;

use schema::key::SecretKey;
use schema::realisation::{Realisation, SignedRealisation};
use tempfile::TempDir;
use tests::client::{Answer, Client};
use tests::nar::{key, path};
use tests::server::Server;

/// A pool with three signers who are enrolled.
struct Scene {
    server: Server,
    admin: Client,
    alice: SecretKey,
    bob: SecretKey,
    carol: SecretKey,
    dir: TempDir,
}

impl Scene {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(dir.path(), &[]);
        let admin = Client::admin(&server);
        let [alice, bob, carol] =
            [("alice", 1), ("bob", 2), ("carol", 3)].map(|(name, seed)| key(name, seed));
        for key in [&alice, &bob, &carol] {
            admin.enrol(&key.public()).await;
        }
        Self { server, admin, alice, bob, carol, dir }
    }

    /// The same pool after a stop and a start.
    async fn restart(self) -> Self {
        let Self { server, alice, bob, carol, dir, .. } = self;
        server.stop();
        let server = Server::start(dir.path(), &[]);
        let admin = Client::admin(&server);
        Self { server, admin, alice, bob, carol, dir }
    }

    /// Puts a realisation with these signatures through a view.
    async fn put(&self, view: &str, said: &Realisation, by: &[&SecretKey]) -> Answer {
        self.admin.put(&address(view, said), signed(said, by).print()).await
    }

    /// The realisation that a view shows.
    async fn shown(&self, view: &str, of: &Realisation) -> SignedRealisation {
        let answer = self.admin.get(&address(view, of)).await;
        assert_eq!(answer.status, 200, "{view}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json");
        let shown: SignedRealisation = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(shown.print(), answer.text(), "it is spelt as Nix spells it");
        shown
    }

    /// The text of a 404 of this code.
    async fn hidden(&self, view: &str, of: &Realisation, code: &str) -> String {
        let answer = self.admin.get(&address(view, of)).await;
        assert_eq!(answer.status, 404, "{view}: {}", answer.text());
        assert!(answer.text().starts_with(&format!("{code}: ")), "{view}: {}", answer.text());
        assert_eq!(self.admin.head(&address(view, of)).await.status, 404);
        answer.text()
    }
}

/// That the output called after `digit` turned out to be a path called `name`.
fn realisation(digit: &str, name: &str) -> Realisation {
    Realisation {
        id: format!("sha256:{}!out", digit.repeat(64)).parse().unwrap(),
        out_path: path(name, name).base().clone(),
        dependencies: [].into(),
    }
}

fn signed(said: &Realisation, by: &[&SecretKey]) -> SignedRealisation {
    let signatures = by.iter().map(|key| key.sign(said.fingerprint().as_bytes())).collect();
    SignedRealisation { realisation: said.clone(), signatures }
}

fn address(view: &str, of: &Realisation) -> String {
    format!("{view}/realisations/{}.doi", of.id)
}

fn signers(shown: &SignedRealisation) -> Vec<&str> {
    shown.signatures.iter().map(|line| line.name().as_str()).collect()
}
