//! A mirror's key: it cosigns checkpoints of a pool, as one does that has copied its logs.

use std::sync::Arc;

use reqwest::Method;
use schema::key::SecretKey;
use schema::tlog::checkpoint::SignedCheckpoint;
use schema::tlog::cosignature::Cosigner;
use schema::tlog::note::VerifierKey;
use serde_json::json;

use crate::client::{Answer, Client};

/// What cosigns as a mirror.
pub struct Mirror(Cosigner);

impl Mirror {
    /// The mirror with this name, such as `b.example/mirror`, and a key of its own.
    ///
    /// # Panics
    /// When it is no name.
    #[must_use]
    pub fn new(name: &str, seed: u8) -> Self {
        let secret = SecretKey::from_seed("mirror".parse().expect("a name"), &[seed; 32]);
        let name = name.parse().expect("the name of a mirror");
        Self(Cosigner::new(name, Arc::new(secret)).expect("an Ed25519 key"))
    }

    /// What a pool's configuration says of it, when it is at this address.
    #[must_use]
    pub fn named_at(&self, url: &str) -> String {
        format!("{url} {}", self.0.verifier())
    }

    /// The newest checkpoint of the pool's attestations log, with its cosignature of this time, POSIX
    /// seconds.
    ///
    /// # Panics
    /// When the pool does not show one.
    pub async fn cosigns(&self, pool: &Client, time: u64) -> String {
        let info = pool.get("/api/v1/info").await.json();
        let log: VerifierKey =
            info["logs"]["attestations"].as_str().expect("a key").parse().expect("a log's key");
        let shown = pool.get("/ledger/attestations/checkpoint").await;
        let checkpoint = SignedCheckpoint::open(&shown.body, &log).expect("the log's checkpoint");
        self.cosign(checkpoint, time)
    }

    /// A checkpoint's file with its cosignature of this time, POSIX seconds.
    ///
    /// # Panics
    /// At a time that no cosignature can tell.
    #[must_use]
    pub fn cosign(&self, mut checkpoint: SignedCheckpoint, time: u64) -> String {
        let line = self.0.cosign(&checkpoint, time).expect("a time that can be told");
        checkpoint.cosign(line, self.0.verifier()).expect("its own cosignature");
        checkpoint.note().to_string()
    }
}

/// Announces the file of a checkpoint to a pool.
pub async fn announce(pool: &Client, note: &str) -> Answer {
    let body = json!({ "checkpoint": note });
    Answer::to(pool.request(Method::POST, "/api/v1/mirrors").json(&body)).await
}
