//! Gives a pool one NAR and many paths that have it, which one signer attests.
//!
//! `mirror-load URL TOKEN-FILE KEY-FILE DIR PATHS MORE` attests so many paths. DIR/more is requests for
//! so many more, a line each: `POST /api/v1/attestations` takes them.

use std::fs;
use std::path::Path;

use schema::api::{AttestItem, AttestRequest};
use schema::compression::Compression;
use schema::key::SecretKey;
use tests::client::Client;
use tests::nar::{attestation, file, path, zstd};

/// Attestations in a request.
const TOGETHER: usize = 1000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, key, dir, paths, more] = &arguments[..] else {
        return Err("mirror-load URL TOKEN-FILE KEY-FILE DIR PATHS MORE".into());
    };
    let key: SecretKey = fs::read_to_string(key)?.trim_end().parse().map_err(|_| "no key")?;
    let (paths, more): (usize, usize) = (paths.parse()?, more.parse()?);
    let client = Client::of(url).holding(fs::read_to_string(token)?.trim_end());
    let nar = file(b"the one NAR");
    client.upload(&nar, Compression::Zstd, zstd(&nar)).await;
    let item =
        |number: usize| attestation(&key, &path(&number.to_string(), "hello-2.12.1"), &nar, &[]);
    let mut done = 0;
    while done < paths {
        let batch: Vec<AttestItem> = (done..paths.min(done + TOGETHER)).map(item).collect();
        done += batch.len();
        let answer = client.attest(batch).await;
        if answer.status != 200 {
            return Err(answer.text().into());
        }
    }
    let mut requests = String::new();
    for number in paths..paths + more {
        let request = AttestRequest { attestations: vec![item(number)] };
        requests.push_str(&serde_json::to_string(&request)?);
        requests.push('\n');
    }
    fs::write(Path::new(dir).join("more"), requests)?;
    Ok(())
}
