//! Times ECDSA over Ed25519 on one core, and gives a pool a thousand items of one signer with a key
//! of Guix's.
//!
//! `guix-load URL TOKEN-FILE DIR` writes DIR/urls, the address of each item's narinfo, a line each.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use schema::key::SecretKey;
use schema::store_path::StorePath;
use tests::client::Client;
use tests::nar::{attestation, file, guix_key, guix_path};

/// As many as Guix asks for in one go.
const ITEMS: usize = 1000;
/// Signatures that are made, and verified.
const SIGNATURES: u32 = 2000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, dir] = &arguments[..] else {
        return Err("guix-load URL TOKEN-FILE DIR".into());
    };
    let key = guix_key("guix-1", 1);
    let mut out = std::io::stdout();
    let [signed, verified] = per_second(&key);
    writeln!(out, "ECDSA signatures made, one core       {signed:9.0} /s")?;
    writeln!(out, "ECDSA signatures verified, one core   {verified:9.0} /s")?;
    let client = Client::of(url).holding(fs::read_to_string(token)?.trim_end());
    client.enrol(&key.public()).await;
    let items: Vec<StorePath> =
        (0..ITEMS).map(|number| guix_path(&number.to_string(), "item-1.0")).collect();
    // A closure as items have it: a reference to itself, and to some that are built before.
    let references = |at: usize| items[at.saturating_sub(5)..=at].iter();
    let references = |at| references(at).map(|item| item.base().clone()).collect::<Vec<_>>();
    let nar = file(b"item");
    client.push(&key, &items[0], &nar, &references(0)).await;
    let attested =
        items.iter().enumerate().map(|(at, item)| attestation(&key, item, &nar, &references(at)));
    let answer = client.attest(attested.collect()).await;
    if answer.status != 200 {
        return Err(answer.text().into());
    }
    let urls =
        items.iter().map(|item| format!("/gnu/as/guix-1/{}.narinfo\n", item.base().hash_part()));
    fs::write(Path::new(dir).join("urls"), urls.collect::<String>())?;
    Ok(())
}

/// How many signatures one core makes, and how many it verifies.
fn per_second(key: &SecretKey) -> [f64; 2] {
    let public = key.public();
    let message = |number: u32| number.to_be_bytes();
    let start = Instant::now();
    let signatures: Vec<_> = (0..SIGNATURES).map(|number| key.sign(&message(number))).collect();
    let signed = start.elapsed();
    let start = Instant::now();
    for (number, signature) in (0..SIGNATURES).zip(&signatures) {
        assert!(std::hint::black_box(&public).verifies(&message(number), signature.signature()));
    }
    [signed, start.elapsed()].map(|took| f64::from(SIGNATURES) / took.as_secs_f64())
}
