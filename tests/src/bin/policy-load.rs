//! Times one decision by a policy, and gives a pool a large closure that three signers attest, for
//! others to decide of.
//!
//! `policy-load URL TOKEN-FILE DIR` writes DIR/policy.toml and DIR/root, the path that refers to all.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use reqwest::{Client, StatusCode};
use schema::api::{AttestItem, AttestRequest, EnrolRequest};
use schema::attestation::Signed;
use schema::claim::Claim;
use schema::decide::{Hearing, Said, decide};
use schema::key::SecretKey;
use schema::key_event::{KeyEntry, KeyEvent};
use schema::policy::Policy;
use schema::signers::Signers;
use schema::statement::Statement;
use schema::store_path::{BaseName, StorePath};
use tests::nar::{attestation, file, key, path};

/// Paths of the closure.
const PATHS: usize = 10_000;
/// How many of those before it each path refers to, at most.
const REFERENCES: usize = 6;
/// Signers whose word one decision is timed with.
const SIGNERS: u8 = 10;
const DECISIONS: u32 = 20_000;
/// Attestations in a request.
const BATCH: usize = 5_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, dir] = &arguments[..] else {
        return Err("policy-load URL TOKEN-FILE DIR".into());
    };
    let mut out = std::io::stdout();
    let micros = one_decision()?;
    writeln!(out, "one decision, {SIGNERS} signers            {micros:9.2} µs")?;
    // Fails only if it was done before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let token = fs::read_to_string(token)?;
    let load = Load { client: Client::new(), url, token: token.trim_end() };
    let keys: Vec<SecretKey> = (1..=3).map(builder).collect();
    for key in &keys {
        let request = EnrolRequest { public_key: key.public(), proof: None };
        load.post("signers", &request).await?;
    }
    let claims = closure();
    for key in &keys {
        let items: Vec<AttestItem> = claims
            .iter()
            .map(|(path, references)| attestation(key, path, &nar_of(path), references))
            .collect();
        for attestations in items.chunks(BATCH) {
            let request = AttestRequest { attestations: attestations.to_vec() };
            load.post("attestations?receipts=false", &request).await?;
        }
    }
    let root = claims.last().map(|(path, _)| path.to_string()).unwrap_or_default();
    fs::write(Path::new(dir).join("root"), root)?;
    fs::write(Path::new(dir).join("policy.toml"), policy(&keys, 2))?;
    Ok(())
}

struct Load<'l> {
    client: Client,
    url: &'l str,
    token: &'l str,
}

impl Load<'_> {
    async fn post(
        &self,
        route: &str,
        body: &impl serde::Serialize,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let request = self.client.post(format!("{}/api/v1/{route}", self.url));
        let request = request.bearer_auth(self.token).json(body);
        let answer = request.send().await?;
        let status = answer.status();
        if status != StatusCode::OK && status != StatusCode::CREATED {
            return Err(format!("{route}: {status}: {}", answer.text().await?).into());
        }
        Ok(())
    }
}

fn builder(number: u8) -> SecretKey {
    key(&format!("builder{number}.example-1"), number)
}

fn nar_of(path: &StorePath) -> Vec<u8> {
    file(path.to_string().as_bytes())
}

/// Paths with what they refer to, each to some of those before it, the last to nearly all.
fn closure() -> Vec<(StorePath, Vec<BaseName>)> {
    let paths: Vec<StorePath> =
        (0..PATHS).map(|number| path(&format!("closure {number}"), "part-1.0")).collect();
    let mut all = Vec::new();
    for (number, it) in paths.iter().enumerate() {
        let before = (1..=REFERENCES).filter_map(|step| number.checked_sub(step * step));
        let references = before.map(|at| paths[at].base().clone()).collect();
        all.push((it.clone(), references));
    }
    all
}

fn policy(keys: &[SecretKey], k: usize) -> String {
    let mut text = "format = \"narpool-policy/1\"\nname = \"bench\"\nversion = 1\n\
                    store_dir = \"/nix/store\"\n"
        .to_owned();
    for (number, key) in keys.iter().enumerate() {
        text += &format!("[principal.p{number}]\nkeys = [\"{}\"]\n", key.public());
    }
    let members: Vec<String> = (0..keys.len()).map(|number| format!("\"p{number}\"")).collect();
    text += &format!("[group.builders]\nk = {k}\nmembers = [{}]\n", members.join(", "));
    text + "[default]\nrequire = \"group:builders\"\n"
}

/// Microseconds that one decision takes, all signatures being verified.
fn one_decision() -> Result<f64, Box<dyn std::error::Error>> {
    let pool = key("pool-1", 100);
    let keys: Vec<SecretKey> = (1..=SIGNERS).map(builder).collect();
    let policy = Policy::parse(&policy(&keys, keys.len()))?;
    let mut signers = Signers::new("bench/keys", pool.public());
    for key in &keys {
        let event = KeyEvent::Enrol { key: key.public() };
        let signed = event.sign("bench/keys", &[&pool])?;
        signers.apply(&KeyEntry { logged_at: 1, attestations: 0, signed })?;
    }
    let path = path("decided", "hello-2.12.1");
    let mut statements = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let item = attestation(key, &path, &nar_of(&path), &[]);
        let claim = Claim::new(item.store_path, item.nar_hash, item.nar_size, item.references)?;
        let entry = Signed::new(claim.clone(), item.signature).verify(&key.public())?.entry(2);
        let claim = Arc::new(claim);
        statements.push(Statement::verified(index as u64, &entry, claim, &key.public())?);
    }
    let start = Instant::now();
    for _ in 0..DECISIONS {
        let said = Ok(Said { as_of: 3, statements: &statements });
        let hearing = Hearing { ledger: "bench", signers: &signers, said };
        let decision = decide(&policy, std::hint::black_box(&path), &[hearing], None, 3);
        assert!(decision.outcome().claim().is_some());
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(DECISIONS))
}
