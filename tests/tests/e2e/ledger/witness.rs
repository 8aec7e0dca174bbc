//! A witness by others, as the tests know it.

use tests::foreign::growth;
use tests::log_copy::{LogCopy, made};
use tests::wire::{Reply, Request};
use tests::witness::Witness;

/// The name of a log that no pool keeps.
const ORIGIN: &str = "pool.example/attestations";

fn add_checkpoint(witness: &Witness, log: &LogCopy, older: u64, proof: &[String]) -> Reply {
    let lines: String = proof.iter().map(|hash| format!("{hash}\n")).collect();
    let checkpoint = String::from_utf8_lossy(log.object("checkpoint").unwrap());
    let body = format!("old {older}\n{lines}\n{checkpoint}");
    Reply::to(witness.address(), &Request::new("POST", "/add-checkpoint").body(body))
}

/// What a pool will be told by it, of a log that none of our code has made.
#[test]
fn a_witness_by_others_cosigns_what_only_grew() {
    let entries = |count: u64, word: &str| -> Vec<Vec<u8>> {
        (0..count).map(|number| format!("{word} {number}").into_bytes()).collect()
    };
    let (short, vkey) = made(ORIGIN, 7, &entries(300, "told"));
    let (long, _) = made(ORIGIN, 7, &entries(600, "told"));
    let (rewritten, _) = made(ORIGIN, 7, &entries(600, "rewritten"));
    let dir = tempfile::tempdir().unwrap();
    let witness = Witness::start(dir.path(), "witness.example/one", &[&vkey]);
    assert!(witness.vkey().starts_with("witness.example/one+"), "{}", witness.vkey());

    let first = add_checkpoint(&witness, &short, 0, &[]);
    assert_eq!(first.status, 200, "{first:?}");
    assert!(first.body.starts_with("\u{2014} witness.example/one "), "{first:?}");
    let ahead = add_checkpoint(&witness, &long, 0, &[]);
    assert_eq!((ahead.status, &*ahead.body), (409, "300\n"), "{ahead:?}");
    assert!(ahead.headers.contains("content-type: text/x.tlog.size"), "{ahead:?}");
    let forked = add_checkpoint(&witness, &rewritten, 300, &growth(&rewritten, 300));
    assert_eq!(forked.status, 422, "{forked:?}");
    let grown = add_checkpoint(&witness, &long, 300, &growth(&long, 300));
    assert_eq!(grown.status, 200, "{grown:?}");
    let unknown = add_checkpoint(&witness, &made("other.example/log", 8, &[]).0, 0, &[]);
    assert_eq!(unknown.status, 404, "{unknown:?}");
}
