//! Where signers disagree: the feed, and `pool challenge`.

mod command;
mod differ;
mod feed;

use nix_archive::nar::Encoder;
use reqwest::Method;
use schema::api::{Divergence, Divergences, KeyEventRequest};
use schema::key::SecretKey;
use schema::key_event::KeyEvent;
use schema::store_path::StorePath;
use tempfile::TempDir;
use tests::cli::Cli;
use tests::client::{Answer, Client};
use tests::nar::key;
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
        let server = Server::start(&dir.path().join("pool"), &[]);
        let admin = Client::admin(&server);
        let [alice, bob, carol] =
            [("alice", 1), ("bob", 2), ("carol", 3)].map(|(name, seed)| key(name, seed));
        for key in [&alice, &bob, &carol] {
            admin.enrol(&key.public()).await;
        }
        Self { server, admin, alice, bob, carol, dir }
    }

    fn restart(self) -> Self {
        let Self { server, alice, bob, carol, dir, .. } = self;
        server.stop();
        let server = Server::start(&dir.path().join("pool"), &[]);
        let admin = Client::admin(&server);
        Self { server, admin, alice, bob, carol, dir }
    }

    fn cli(&self) -> Cli {
        Cli::new(self.dir.path(), &self.server, "")
    }

    async fn page(&self, query: &str) -> Divergences {
        let answer = self.admin.get(&format!("/api/v1/divergence{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_value(answer.json()).unwrap()
    }

    async fn feed(&self) -> Vec<Divergence> {
        let page = self.page("").await;
        assert!(!page.more);
        page.divergences
    }

    /// Something happens to a key.
    async fn event(&self, event: KeyEvent, by: &[&SecretKey]) {
        let info = self.admin.get("/api/v1/info").await.json();
        let origin = format!("{}/keys", info["origin"].as_str().unwrap());
        let signed = event.sign(&origin, by).unwrap();
        let (event, signatures) = (signed.event().clone(), signed.signatures().to_vec());
        let request = KeyEventRequest { event, signatures };
        let request = self.admin.request(Method::POST, "/api/v1/keys/events").json(&request);
        let answer = Answer::to(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// What a divergence says, in short: of which path, and who are on each side.
fn sides(divergence: &Divergence) -> (&StorePath, Vec<String>) {
    assert_eq!(divergence.claim_count as usize, divergence.claims.len());
    let side = |names: &[schema::key::KeyName]| {
        names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
    };
    (&divergence.store_path, divergence.claims.iter().map(|it| side(&it.signers)).collect())
}

/// The NAR of a directory with these files, sorted by name; a name that ends in `*` may be executed.
fn directory(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new()).unwrap();
    encoder.start_directory(None).unwrap();
    for (name, contents) in files {
        let plain = name.trim_end_matches('*');
        encoder.regular(Some(plain.as_bytes()), plain != *name, contents).unwrap();
    }
    encoder.end_directory().unwrap();
    encoder.finish().unwrap()
}
