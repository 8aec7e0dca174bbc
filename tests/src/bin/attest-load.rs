//! Attests as fast as a pool takes it, and says how fast that was, beside the floors of the same
//! machine in the same run: `verify_strict` alone on one core, and syncs of the disk.
//!
//! `attest-load URL TOKEN-FILE KEY-FILE DIR`, where DIR is on the disk that the pool writes to.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use schema::api::{AttestItem, AttestRequest};
use schema::claim::Claim;
use schema::key::SecretKey;
use tests::nar::{attestation, file, path};

/// How long each row is measured.
const SPAN: Duration = Duration::from_secs(5);

/// A row: so many clients at once, each with so many attestations in a request.
struct Shape {
    clients: usize,
    batch: usize,
    /// Attestations that are signed beforehand; a row ends early when there are no more.
    most: usize,
}

const SHAPES: [Shape; 5] = [
    Shape { clients: 1, batch: 1, most: 6_000 },
    Shape { clients: 16, batch: 1, most: 40_000 },
    Shape { clients: 64, batch: 1, most: 60_000 },
    Shape { clients: 4, batch: 256, most: 131_072 },
    Shape { clients: 16, batch: 256, most: 131_072 },
];

struct Load {
    client: Client,
    url: String,
    token: String,
    key: SecretKey,
    number: u64,
}

struct Row {
    attested: usize,
    took: Duration,
    answers: Vec<Duration>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, key, dir] = &arguments[..] else {
        return Err("attest-load URL TOKEN-FILE KEY-FILE DIR".into());
    };
    let key = fs::read_to_string(key)?.trim_end().parse().map_err(|_| "no key")?;
    let token = fs::read_to_string(token)?.trim_end().to_owned();
    let mut out = std::io::stdout();
    let verified = verify_floor(&key)?;
    writeln!(out, "verify_strict on one core         {verified:9.0} /s")?;
    writeln!(out, "syncs of a written block          {:9.0} /s", sync_floor(Path::new(dir))?)?;
    // Fails only if it was done before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut load = Load { client: Client::new(), url: url.clone(), token, key, number: 0 };
    for shape in &SHAPES {
        let row = load.run(shape).await?;
        let rate = row.attested as f64 / row.took.as_secs_f64();
        writeln!(
            out,
            "{:3} clients, {:3} a request          {rate:9.0} /s  {:4.2} of two cores' verifying  \
             p50 {:7.2} ms  p99 {:7.2} ms",
            shape.clients,
            shape.batch,
            rate / (2.0 * verified),
            quantile(&row.answers, 0.50),
            quantile(&row.answers, 0.99),
        )?;
    }
    writeln!(out, "attested {}", load.number)?;
    Ok(())
}

impl Load {
    async fn run(&mut self, shape: &Shape) -> Result<Row, Box<dyn std::error::Error>> {
        let mut shares = self.bodies(shape)?;
        let start = Instant::now();
        let clients: Vec<_> =
            shares.drain(..).map(|share| tokio::spawn(self.client_of(share, start))).collect();
        let (mut answers, mut attested) = (Vec::new(), 0);
        for client in clients {
            for answer in client.await?? {
                answers.push(answer);
                attested += shape.batch;
            }
        }
        let took = start.elapsed();
        answers.sort_unstable();
        Ok(Row { attested, took, answers })
    }

    /// Sends a client's requests, one after the other, and answers with how long each took.
    fn client_of(
        &self,
        share: Vec<Vec<u8>>,
        start: Instant,
    ) -> impl Future<Output = reqwest::Result<Vec<Duration>>> + use<> {
        let address = format!("{}/api/v1/attestations?receipts=false", self.url);
        let (client, token) = (self.client.clone(), self.token.clone());
        async move {
            let mut answers = Vec::new();
            for body in share {
                if start.elapsed() > SPAN {
                    break;
                }
                let sent = Instant::now();
                let request = client.post(&address).bearer_auth(&token);
                let request = request.header("content-type", "application/json").body(body);
                let answer = request.send().await?;
                assert_eq!(answer.status(), StatusCode::OK);
                answer.bytes().await?;
                answers.push(sent.elapsed());
            }
            Ok(answers)
        }
    }

    /// What each client sends, signed and written out before the clock starts.
    fn bodies(&mut self, shape: &Shape) -> serde_json::Result<Vec<Vec<Vec<u8>>>> {
        let requests = shape.most / shape.batch / shape.clients;
        let mut client = || (0..requests).map(|_| self.body(shape.batch)).collect();
        (0..shape.clients).map(|_| client()).collect()
    }

    fn body(&mut self, batch: usize) -> serde_json::Result<Vec<u8>> {
        let attestations = (0..batch).map(|_| self.item()).collect();
        serde_json::to_vec(&AttestRequest { attestations })
    }

    /// Each of another path with another NAR, as builds are.
    fn item(&mut self) -> AttestItem {
        self.number += 1;
        let nar = file(&self.number.to_be_bytes());
        attestation(&self.key, &path(&self.number.to_string(), "hello-2.12.1"), &nar, &[])
    }
}

/// Signatures over claims that one core verifies in a second.
fn verify_floor(key: &SecretKey) -> Result<f64, Box<dyn std::error::Error>> {
    const COUNT: u32 = 20_000;
    let item = attestation(key, &path("floor", "hello-2.12.1"), &file(b"floor"), &[]);
    let signature = *item.signature.signature();
    let claim = Claim::new(item.store_path, item.nar_hash, item.nar_size, item.references)?;
    let (bytes, public) = (claim.signed_bytes(), key.public());
    let start = Instant::now();
    for _ in 0..COUNT {
        assert!(std::hint::black_box(&public).verifies(bytes.as_bytes(), &signature));
    }
    Ok(f64::from(COUNT) / start.elapsed().as_secs_f64())
}

fn sync_floor(dir: &Path) -> std::io::Result<f64> {
    const COUNT: u32 = 300;
    let path = dir.join("sync-floor");
    let file = File::create(&path)?;
    file.write_all_at(&[0; 8192], 0)?;
    file.sync_all()?;
    let start = Instant::now();
    for number in 0..COUNT {
        file.write_all_at(&[1; 4096], u64::from(number % 2) * 4096)?;
        file.sync_data()?;
    }
    let rate = f64::from(COUNT) / start.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(rate)
}

/// In milliseconds; there is one answer at least.
fn quantile(sorted: &[Duration], part: f64) -> f64 {
    let at = ((sorted.len() - 1) as f64 * part) as usize;
    sorted[at].as_secs_f64() * 1e3
}
