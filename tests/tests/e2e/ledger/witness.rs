//! Witnesses: one by others, as the tests know it, and a pool.

use tests::foreign::growth;
use tests::log_copy::{LogCopy, made};
use tests::server::Server;
use tests::wire::{Reply, Request};
use tests::witness::Witness;

/// The name of a log that no pool keeps.
const ORIGIN: &str = "pool.example/attestations";

fn add_checkpoint(witness: (&str, &str), log: &LogCopy, older: u64, proof: &[String]) -> Reply {
    let lines: String = proof.iter().map(|hash| format!("{hash}\n")).collect();
    let checkpoint = String::from_utf8_lossy(log.object("checkpoint").unwrap());
    let body = format!("old {older}\n{lines}\n{checkpoint}");
    post(witness, body)
}

fn post((address, prefix): (&str, &str), body: impl Into<Vec<u8>>) -> Reply {
    Reply::to(address, &Request::new("POST", &format!("{prefix}/add-checkpoint")).body(body))
}

fn entries(count: u64, word: &str) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("{word} {number}").into_bytes()).collect()
}

/// What a pool will be told by it, of a log that none of our code has made.
#[test]
fn a_witness_by_others_cosigns_what_only_grew() {
    let (_, vkey) = made(ORIGIN, 7, &entries(1, "told"));
    let dir = tempfile::tempdir().unwrap();
    let witness = Witness::start(dir.path(), "witness.example/one", &[&vkey]);
    assert!(witness.vkey().starts_with("witness.example/one+"), "{}", witness.vkey());

    cosigns_what_only_grew((witness.address(), ""), "witness.example/one");
}

#[test]
fn a_pool_cosigns_what_only_grew_and_remembers_it() {
    let (_, vkey) = made(ORIGIN, 7, &entries(1, "told"));
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--origin", "pool.example", "--witness-logs", &vkey];
    let server = Server::start(dir.path(), &arguments);
    cosigns_what_only_grew((server.address(), "/witness"), "pool.example/witness");
    for malformed in ["", "old x\n\n", "old 01\n\n", "old 0\n"] {
        let reply = post((server.address(), "/witness"), malformed);
        assert_eq!(reply.status, 400, "{malformed:?}: {reply:?}");
    }
    server.kill();
    let server = Server::start(dir.path(), &arguments);
    let (short, _) = made(ORIGIN, 7, &entries(300, "told"));
    let again = add_checkpoint((server.address(), "/witness"), &short, 300, &[]);
    assert_eq!((again.status, &*again.body), (409, "600\n"), "{again:?}");
    server.stop();
}

fn cosigns_what_only_grew(witness: (&str, &str), name: &str) {
    let [(short, _), (long, _), (rewritten, _)] =
        [entries(300, "told"), entries(600, "told"), entries(600, "rewritten")]
            .map(|entries| made(ORIGIN, 7, &entries));
    let first = add_checkpoint(witness, &short, 0, &[]);
    assert_eq!(first.status, 200, "{first:?}");
    assert!(first.body.starts_with(&format!("\u{2014} {name} ")), "{first:?}");
    let ahead = add_checkpoint(witness, &long, 0, &[]);
    assert_eq!((ahead.status, &*ahead.body), (409, "300\n"), "{ahead:?}");
    assert!(ahead.headers.contains("content-type: text/x.tlog.size"), "{ahead:?}");
    let forked = add_checkpoint(witness, &rewritten, 300, &growth(&rewritten, 300));
    assert_eq!(forked.status, 422, "{forked:?}");
    let (other_key, _) = made(ORIGIN, 9, &entries(600, "told"));
    let unsigned = add_checkpoint(witness, &other_key, 300, &growth(&long, 300));
    assert_eq!(unsigned.status, 403, "{unsigned:?}");
    let grown = add_checkpoint(witness, &long, 300, &growth(&long, 300));
    assert_eq!(grown.status, 200, "{grown:?}");
    let unknown = add_checkpoint(witness, &made("other.example/log", 8, &[]).0, 0, &[]);
    assert_eq!(unknown.status, 404, "{unknown:?}");
}

#[test]
fn of_forks_that_come_at_once_one_is_cosigned() {
    let forks: Vec<_> =
        (0..8).map(|fork| made(ORIGIN, 7, &entries(300, &format!("fork {fork}")))).collect();
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--witness-logs", &forks[0].1]);
    let witness = (server.address(), "/witness");
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let asking = |(log, _): &(LogCopy, String)| add_checkpoint(witness, log, 0, &[]).status;
        let threads: Vec<_> = forks.iter().map(|fork| scope.spawn(move || asking(fork))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let cosigned = statuses.iter().filter(|status| **status == 200).count();
    let refused = statuses.iter().filter(|status| **status == 409).count();
    assert_eq!((cosigned, refused), (1, 7), "{statuses:?}");
    server.stop();
}
