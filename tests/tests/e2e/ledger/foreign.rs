//! Programs of others verify the pool's logs, and notice what was changed in one.

use std::fs;

use schema::api::AttestItem;
use schema::key::SecretKey;
use tests::client::Client;
use tests::foreign::{Verifier, accepted_by_all, verify_with_crates};
use tests::log_copy::{LogCopy, made};
use tests::nar::{attestation, file, key, path};
use tests::random::Random;
use tests::run::{long, seed};
use tests::server::Server;

/// A name for logs that no pool keeps.
const ORIGIN: &str = "pool.example/attestations";
/// Two full bundles and a part of one; a tile in level 1.
const ENTRIES: u64 = 600;

/// What `signer` says of paths that nobody else names, numbered from `first`.
fn attestations(signer: &SecretKey, first: u64, count: u64) -> Vec<AttestItem> {
    let nar = file(b"the same in every path");
    let numbered =
        |number: u64| attestation(signer, &path(&number.to_string(), "numbered"), &nar, &[]);
    (first..first + count).map(numbered).collect()
}

/// The key that verifies one of the pool's logs, as the pool tells it.
async fn vkey(client: &Client, log: &str) -> String {
    let info = client.get("/api/v1/info").await.json();
    info["logs"][log].as_str().unwrap_or_else(|| panic!("no key of {log} in {info}")).to_owned()
}

#[tokio::test]
async fn everybody_verifies_every_log_at_every_size() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let (admin, alice) = (Client::admin(&server), key("alice", 1));
    admin.enrol(&alice.public()).await;
    let sizes: &[u64] =
        if long() { &[1, 255, 256, 257, 65_537, 200_000] } else { &[1, 255, 256, 257] };
    let logs = ["keys", "attestations", "index"];
    let mut seen: [Option<LogCopy>; 3] = Default::default();
    let mut handed_in = 0;
    for &size in sizes {
        while handed_in < size {
            let count = (size - handed_in).min(10_000);
            let answer = admin.attest(attestations(&alice, handed_in, count)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            handed_in += count;
        }
        for (log, seen) in logs.into_iter().zip(&mut seen) {
            let vkey = vkey(&admin, log).await;
            let path = format!("/ledger/{log}");
            let copy = accepted_by_all(&admin, &server.url(""), &path, &vkey, seen.as_ref()).await;
            assert!(log != "attestations" || copy.size() == size, "{} of {size}", copy.size());
            *seen = Some(copy);
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_of_the_pools_log_is_noticed_by_everybody() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let (admin, alice) = (Client::admin(&server), key("alice", 1));
    admin.enrol(&alice.public()).await;
    let answer = admin.attest(attestations(&alice, 0, ENTRIES)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let copy = LogCopy::fetch(&admin, "/ledger/attestations").await;
    assert_eq!(copy.size(), ENTRIES);
    flips_are_noticed(&copy, &vkey(&admin, "attestations").await);
}

/// The same of a log that none of our code has made, so that the verifiers are known to be good.
#[test]
fn a_flipped_bit_of_any_log_is_noticed_by_everybody() {
    let (copy, vkey) = made(ORIGIN, 7, &entries(ENTRIES, "told"));
    flips_are_noticed(&copy, &vkey);
}

#[test]
fn a_log_that_was_rewritten_is_noticed_by_everybody() {
    let (short, long) = (entries(300, "told"), entries(ENTRIES, "told"));
    let rewritten = [&entries(1, "rewritten"), &long[1..]].concat();
    let [(older, _), (longer, vkey), (other, _)] =
        [short, long, rewritten].map(|entries| made(ORIGIN, 7, &entries));
    let dir = tempfile::tempdir().unwrap();
    let before = dir.path().join("checkpoint");
    fs::write(&before, older.object("checkpoint").unwrap()).unwrap();
    for (log, goes_on) in [(longer, true), (other, false)] {
        verify_with_crates(&log, &vkey, None).unwrap();
        let verified = verify_with_crates(&log, &vkey, older.object("checkpoint"));
        assert_eq!(verified.is_ok(), goes_on, "{verified:?}");
        let served = log.serve();
        for verifier in [Verifier::Go, Verifier::AicsAudit] {
            verifier.verify(&served.prefix(), &vkey, None).unwrap();
            let verified = verifier.verify(&served.prefix(), &vkey, Some(&before));
            assert_eq!(verified.is_ok(), goes_on, "{verifier:?}: {verified:?}");
        }
    }
}

fn entries(count: u64, word: &str) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("{word} {number}").into_bytes()).collect()
}

/// Flips bits in every object; each program, and the crates, must refuse what they read of it.
fn flips_are_noticed(copy: &LogCopy, vkey: &str) {
    let whole = copy.serve();
    verify_with_crates(copy, vkey, None).unwrap();
    for verifier in Verifier::ALL {
        verifier.verify(&whole.prefix(), vkey, None).unwrap();
    }
    let mut random = Random::new(seed());
    for path in copy.paths() {
        for bit in chosen_bits(copy, path, &mut random) {
            let served = copy.flipped(path, bit).serve();
            for verifier in Verifier::ALL {
                let verified = verifier.verify(&served.prefix(), vkey, None);
                let noticed = verified.is_err();
                assert_eq!(noticed, verifier.reads(path), "{verifier:?}, bit {bit} of {path}");
            }
        }
        // The crates are quick: every bit of what is short, and many of what is long.
        let bits = copy.object(path).unwrap().len() * 8;
        for bit in (0..bits).step_by(if path == "checkpoint" { 1 } else { 997 }) {
            let verified = verify_with_crates(&copy.flipped(path, bit), vkey, None);
            assert!(verified.is_err(), "crates, bit {bit} of {path}");
        }
    }
}

/// A bit of each part of an object: of a checkpoint's text and signature, else of the whole.
fn chosen_bits(copy: &LogCopy, path: &str, random: &mut Random) -> Vec<usize> {
    let object = copy.object(path).unwrap();
    if path != "checkpoint" {
        return vec![random.within(0..object.len() as u64 * 8) as usize];
    }
    let mut start = 0;
    let mut bits = Vec::new();
    for line in object.split_inclusive(|byte| *byte == b'\n').filter(|line| line.len() > 1) {
        // Go takes other spellings of the last bits of a signature, which say nothing.
        let end = start + line.len().saturating_sub(6).max(1);
        bits.push(random.within(start as u64 * 8..end as u64 * 8) as usize);
        start += line.len();
    }
    bits
}
