//! Logs with two histories, and such as go back.

use tests::double::{Ledger, Shown, Upstream};
use tests::nar::key;

use super::super::scene::{Pool, alice};
use super::story::{
    claim, grow, is_caught, ledger, mirror, mirrors, report_of, seen, shown, status,
};
use super::uploads::Uploader;

/// The same ledger with another entry from the number `at` on, `size` in all.
fn other_history(origin: &str, at: u64, size: u64) -> Ledger {
    let mut other = ledger(origin, at);
    other.attest(&alice(), &claim(origin, 11));
    grow(&mut other, at, size - at - 1);
    other
}

/// After a fork was met: both are kept, and neither is followed.
async fn assert_forked(what: &str, b: &Pool, upstream: &Upstream, origin: &str, log: &str) {
    let report = report_of(b, origin, log).await;
    let fork = report.fork.unwrap_or_else(|| panic!("{what}: no fork"));
    assert_eq!(fork.source, upstream.url(), "{what}");
    assert_ne!(fork.mirrored, fork.other, "{what}");
    for note in [&fork.mirrored, &fork.other] {
        assert!(note.starts_with(&format!("{origin}/{log}\n")), "{what}: {note}");
    }
    let (code, told) = status(b);
    assert_eq!(code, 1, "{what}: {told}");
    let lines = fork.mirrored.lines().chain(fork.other.lines());
    for line in lines.filter(|line| !line.is_empty()) {
        assert!(told.contains(line), "{what}: {line} is not in {told}");
    }
    let metric = format!("narpool_mirror_forked{{log=\"{origin}/{log}\"}}");
    assert_eq!(b.admin().metric(&metric).await, 1.0, "{what}");
    let ready = b.admin().get("/readyz").await;
    assert_eq!(ready.status, 200, "{what}");
    let said = format!("mirror of {origin}/{log}: forked");
    assert!(ready.text().contains(&said), "{what}: {}", ready.text());
}

#[tokio::test]
async fn a_log_with_two_histories_is_left_as_it_was() {
    let mut b = Pool::start(&[]);
    let upstream = Upstream::of(shown(&ledger("first.example", 1)));
    // How much is known, where the other history leaves it, and how much that has.
    let forks = [(4, 2, 4), (4, 2, 9), (4, 0, 5), (6, 5, 9), (6, 2, 8), (5, 4, 5), (7, 2, 4)];
    let mut origins = Vec::new();
    for (number, (old, at, size)) in forks.into_iter().enumerate() {
        let (what, origin) = (format!("{old}, {at}, {size}"), format!("fork-{number}.example"));
        let mut ours = ledger(&origin, old);
        upstream.shows(shown(&ours));
        mirrors(&b, &upstream);
        let before = seen(&b, &origin).await;
        upstream.shows(shown(&other_history(&origin, at, size)));
        let caught = is_caught(&what, &b, &upstream, "attestations", "");
        assert_eq!(caught["code"], "fork", "{what}: {caught}");
        seen(&b, &origin).await.assert_same(&before, &what);
        assert_forked(&what, &b, &upstream, &origin, "attestations").await;
        // It stays so, whoever is asked, and whatever they show.
        grow(&mut ours, old, 1);
        upstream.shows(shown(&ours));
        let (outcome, _) = mirror(&b, &upstream, &[]);
        assert_eq!(outcome.code, 1, "{what}: {outcome:?}");
        assert!(outcome.stderr.contains("forked"), "{what}: {outcome:?}");
        let uploader = Uploader::of(&b, &shown(&ours), "attestations");
        assert_eq!(uploader.add_checkpoint(old, old + 1).await.status, 422, "{what}");
        let body = uploader.body(old, old + 1, 1);
        assert_eq!(uploader.add_entries(body).await.status, 422, "{what}");
        let after = seen(&b, &origin).await;
        assert_eq!(after.narinfos(), before.narinfos(), "{what}");
        assert_eq!(report_of(&b, &origin, "attestations").await.size, Some(old), "{what}");
        origins.push(origin);
    }
    b.stop();
    b.start_again();
    for origin in origins {
        assert_forked("after a restart", &b, &upstream, &origin, "attestations").await;
    }
}

#[tokio::test]
async fn the_other_logs_fork_as_well() {
    let b = Pool::start(&[]);
    let upstream = Upstream::of(shown(&ledger("first.example", 1)));
    let mut of_keys = ledger("keys.example", 3);
    of_keys.enrol(&key("bob", 2).public());
    upstream.shows(shown(&of_keys));
    mirrors(&b, &upstream);
    let mut other = ledger("keys.example", 3);
    other.enrol(&key("carol", 3).public());
    upstream.shows(shown(&other));
    is_caught("keys", &b, &upstream, "keys", "");
    assert_forked("keys", &b, &upstream, "keys.example", "keys").await;
    let of_index = ledger("index.example", 3);
    upstream.shows(shown(&of_index));
    mirrors(&b, &upstream);
    let mut other = ledger("index.example", 0);
    grow(&mut other, 0, 3);
    upstream.shows(shown(&other));
    is_caught("index", &b, &upstream, "index", "");
    assert_forked("index", &b, &upstream, "index.example", "index").await;
}

/// Two checkpoints of one size are evidence by themselves: no tile is needed, and none can hide it.
#[tokio::test]
async fn a_fork_is_proven_without_the_help_of_the_liar() {
    let b = Pool::start(&[]);
    let ours = shown(&ledger("hidden.example", 4));
    let upstream = Upstream::of(ours.clone());
    mirrors(&b, &upstream);
    let other = other_history("hidden.example", 2, 4);
    let mut lying = shown(&other);
    for path in ["tile/0/000.p/4", "tile/entries/000.p/4"] {
        let file = ours.log("attestations").object(path).unwrap().to_vec();
        lying.files.insert(format!("attestations/{path}"), file);
    }
    upstream.shows(lying);
    is_caught("hidden", &b, &upstream, "attestations", "");
    assert_forked("hidden", &b, &upstream, "hidden.example", "attestations").await;
}

/// The mirror was promised more entries than it has when the log turned.
#[tokio::test]
async fn a_fork_in_the_midst_of_an_upload_is_met() {
    let b = Pool::start(&[]);
    let upstream = Upstream::of(shown(&ledger("first.example", 1)));
    for (number, at) in [100_u64, 270, 290].into_iter().enumerate() {
        let origin = format!("half-{number}.example");
        let ours = shown(&ledger(&origin, 300));
        let uploader = Uploader::of(&b, &ours, "attestations");
        // Everything but the attestations is there, and of those the first package.
        let mut without = ours.clone();
        without.logs.insert("attestations", Vec::new());
        without.logs.insert("index", Vec::new());
        upstream.shows(without);
        mirrors(&b, &upstream);
        assert_eq!(uploader.add_checkpoint(0, 300).await.status, 200);
        let part = uploader.body(0, 300, 1);
        assert_eq!(uploader.add_entries(part).await.status, 202);
        assert_eq!(report_of(&b, &origin, "attestations").await.next, 256);
        upstream.shows(shown(&other_history(&origin, at, 320)));
        let caught = is_caught(&origin, &b, &upstream, "attestations", "");
        assert_eq!(caught["code"], "fork", "{caught}");
        assert_forked(&origin, &b, &upstream, &origin, "attestations").await;
        assert_eq!(report_of(&b, &origin, "attestations").await.size, None);
    }
}

#[tokio::test]
async fn a_log_that_shrank_is_no_fork_and_is_told() {
    let mut b = Pool::start(&[]);
    let mut ledger = ledger("back.example", 3);
    let old = shown(&ledger);
    grow(&mut ledger, 3, 3);
    let new: Shown = shown(&ledger);
    let upstream = Upstream::of(new.clone());
    mirrors(&b, &upstream);
    let before = seen(&b, "back.example").await;
    upstream.shows(old);
    let (outcome, report) = mirror(&b, &upstream, &[]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let behind = report["behind"].as_array().unwrap();
    let logs: Vec<_> = behind.iter().map(|it| it["log"].as_str().unwrap()).collect();
    assert_eq!(logs, ["attestations", "index"], "{report}");
    assert!(behind.iter().all(|it| it["source"] == upstream.url().as_str()), "{report}");
    assert_eq!((&behind[0]["here"], &behind[0]["there"]), (&6.into(), &3.into()));
    b.stop();
    b.start_again();
    seen(&b, "back.example").await.assert_same(&before, "forks");
    let (code, told) = status(&b);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains(&format!("{} went back from 6 to 3 entries", upstream.url())), "{told}");
    let ready = b.admin().get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert!(ready.text().contains("went back from 6 to 3"), "{}", ready.text());
    assert!(report_of(&b, "back.example", "attestations").await.fork.is_none());
    // It was restored from something, and finds the rest again.
    upstream.shows(new);
    mirrors(&b, &upstream);
    assert_eq!(status(&b).0, 0);
}
