//! Lies of a pool that signs whatever it likes, and of one in whose logs somebody meddles.

use schema::attestation::Entry;
use schema::hash::TreeHash;
use schema::key_event::KeyEvent;
use schema::verifiable_map::IndexLeaf;
use tests::double::{Ledger, Shown, Upstream};
use tests::nar::key;

use super::super::scene::{Pool, alice};
use super::story::{
    claim, grow, is_caught, ledger, mirror, mirrors, seen, shown, status, store_path, word,
};

/// A lie: its name, in which log, and what is said of it; how the ledger grows, and how it is shown.
struct Lie(&'static str, &'static str, &'static str, fn(&mut Ledger), fn(&mut Shown));

/// Logs that are signed as they are: nobody can take these back.
const SIGNED: [Lie; 14] = [
    Lie("a forged signature", "attestations", "signature does not verify", forges, honest),
    Lie("an unknown key", "attestations", "no such key", unknown_key, honest),
    Lie("a repetition", "attestations", "before", repeats, honest),
    Lie("twice at once", "attestations", "twice", twice_at_once, honest),
    Lie("time goes back", "attestations", "before", goes_back, honest),
    Lie("no entry", "attestations", "an entry has 210 bytes", nothing, |shown| {
        shown.logs.get_mut("attestations").unwrap().push(b"no entry".to_vec());
    }),
    Lie("another text", "attestations", "another text", nothing, |shown| {
        shown.claims[3].text = shown.claims[0].text.clone();
    }),
    Lie("no text", "attestations", "does not have the claim", nothing, |shown| {
        shown.claims[3].text = None;
    }),
    Lie("enrolled by nobody", "keys", "not signed by pool-1", enrols_itself, honest),
    Lie("no event", "keys", "does not read", |ledger| ledger.happens_as(b"{}"), honest),
    Lie(
        "enrolled again",
        "keys",
        "stands there before",
        |ledger| ledger.enrol(&alice().public()),
        honest,
    ),
    Lie("a leaf of others", "index", "other attestations", leaf_of_others, honest),
    Lie("no leaf", "index", "80 bytes, this has 7", nothing, |shown| {
        shown.logs.get_mut("index").unwrap().push(b"no leaf".to_vec());
    }),
    Lie("an entry under another path", "attestations", "another path", other_path, honest),
];

/// What is not signed can be right the next time.
const MEDDLED: [Lie; 6] = [
    Lie("another's checkpoint", "index", "not the log's", nothing, |shown| shown.seed += 1),
    Lie("a changed tile", "attestations", "does not begin with", nothing, |shown| {
        flip(shown, "attestations", "tile/0/000.p/4", 8);
    }),
    Lie("a short tile", "attestations", "4 hashes in 64 bytes", nothing, |shown| {
        let tile = shown.log("attestations").object("tile/0/000.p/4").unwrap()[..64].to_vec();
        shown.files.insert("attestations/tile/0/000.p/4".to_owned(), tile);
    }),
    Lie("a changed bundle", "attestations", "another entry than the tree", nothing, |shown| {
        flip(shown, "attestations", "tile/entries/000.p/4", 8 * 700);
    }),
    Lie("a changed bundle of keys", "keys", "another entry than the tree", enrols_bob, |shown| {
        flip(shown, "keys", "tile/entries/000.p/2", 8 * 30);
    }),
    Lie("no bundle", "attestations", "ends within an entry", nothing, |shown| {
        shown.files.insert("attestations/tile/entries/000.p/4".to_owned(), vec![0, 9]);
    }),
];

fn honest(_: &mut Shown) {}

fn nothing(_: &mut Ledger) {}

fn origin(ledger: &Ledger) -> String {
    ledger.logs().origin().to_owned()
}

fn late(ledger: &Ledger) -> u64 {
    ledger.entries().last().unwrap().logged_at + 1
}

fn forges(ledger: &mut Ledger) {
    let (right, other) = (claim(&origin(ledger), 9), claim(&origin(ledger), 8));
    let time = late(ledger);
    let signature = word(&alice(), &other, time).signature;
    ledger.takes(&right, Entry { signature, ..word(&alice(), &right, time) });
}

fn unknown_key(ledger: &mut Ledger) {
    let (claim, time) = (claim(&origin(ledger), 9), late(ledger));
    ledger.takes(&claim, word(&key("mallory", 6), &claim, time));
}

fn repeats(ledger: &mut Ledger) {
    let (claim, time) = (claim(&origin(ledger), 0), late(ledger));
    ledger.takes(&claim, word(&alice(), &claim, time));
}

fn twice_at_once(ledger: &mut Ledger) {
    let (claim, time) = (claim(&origin(ledger), 9), late(ledger));
    ledger.takes(&claim, word(&alice(), &claim, time));
    ledger.takes(&claim, word(&alice(), &claim, time));
}

fn goes_back(ledger: &mut Ledger) {
    let claim = claim(&origin(ledger), 9);
    ledger.takes(&claim, word(&alice(), &claim, 1_700_000_000));
}

fn other_path(ledger: &mut Ledger) {
    let (right, other) = (claim(&origin(ledger), 9), claim(&origin(ledger), 8));
    let time = late(ledger);
    let path_key = word(&alice(), &other, time).path_key;
    ledger.takes(&right, Entry { path_key, ..word(&alice(), &right, time) });
}

fn enrols_itself(ledger: &mut Ledger) {
    let mallory = key("mallory", 6);
    ledger.happens(KeyEvent::Enrol { key: mallory.public() }, &[&mallory]);
}

fn enrols_bob(ledger: &mut Ledger) {
    ledger.enrol(&key("bob", 2).public());
}

fn leaf_of_others(ledger: &mut Ledger) {
    let leaf = ledger.leaf(4);
    ledger.names_map(IndexLeaf { attestations: TreeHash::of(b"others"), ..leaf });
}

fn flip(shown: &mut Shown, log: &str, path: &str, bit: usize) {
    let file = shown.log(log).flipped(path, bit).object(path).unwrap().to_vec();
    shown.files.insert(format!("{log}/{path}"), file);
}

#[tokio::test]
async fn what_is_signed_and_wrong_is_not_kept() {
    let b = Pool::start(&[]);
    let upstream = Upstream::of(shown(&ledger("first.example", 1)));
    for (number, Lie(what, log, says, grows, shows)) in SIGNED.into_iter().enumerate() {
        let origin = format!("signed-{number}.example");
        let mut ledger = ledger(&origin, 3);
        upstream.shows(shown(&ledger));
        assert_eq!(mirrors(&b, &upstream)["nars_fetched"], 3, "{what}");
        let before = seen(&b, &origin).await;
        assert_eq!(before.narinfos(), 3, "{what}");
        grow(&mut ledger, 3, 1);
        grows(&mut ledger);
        let mut lying = shown(&ledger);
        shows(&mut lying);
        upstream.shows(lying);
        // The second time, too.
        for _ in 0..2 {
            is_caught(what, &b, &upstream, log, says);
            let after = seen(&b, &origin).await;
            if log == "attestations" {
                after.assert_same(&before, what);
            } else {
                // What the others say is right.
                let comes = if log == "index" { 4 } else { 3 };
                assert_eq!(after.narinfos(), comes, "{what}");
                assert_eq!(after.nars(), comes, "{what}");
                let report = super::story::report_of(&b, &origin, log).await;
                assert_eq!(report.size, Some(1), "{what}");
            }
        }
        let bad = store_path(&origin, 9).base().hash_part();
        assert_eq!(b.admin().get(&format!("/{bad}.narinfo")).await.status, 404, "{what}");
    }
    // Nobody has two histories.
    assert_eq!(status(&b).0, 0);
}

#[tokio::test]
async fn what_is_meddled_with_comes_once_it_is_right() {
    let b = Pool::start(&[]);
    let upstream = Upstream::of(shown(&ledger("first.example", 1)));
    for (number, Lie(what, log, says, grows, shows)) in MEDDLED.into_iter().enumerate() {
        let origin = format!("meddled-{number}.example");
        let mut ledger = ledger(&origin, 3);
        upstream.shows(shown(&ledger));
        mirrors(&b, &upstream);
        let before = seen(&b, &origin).await;
        grow(&mut ledger, 3, 1);
        grows(&mut ledger);
        let mut lying = shown(&ledger);
        shows(&mut lying);
        upstream.shows(lying);
        is_caught(what, &b, &upstream, log, says);
        seen(&b, &origin).await.assert_same(&before, what);
        assert_eq!(status(&b).0, 0, "{what}");
        upstream.shows(shown(&ledger));
        assert_eq!(mirrors(&b, &upstream)["nars_fetched"], 1, "{what}");
        assert_eq!(seen(&b, &origin).await.narinfos(), 4, "{what}");
    }
}

/// A claim may have been collected, so this is no lie that anybody could prove. Who has it can bring it.
#[tokio::test]
async fn a_claim_that_is_kept_back_is_carried_and_not_believed() {
    let b = Pool::start(&[]);
    let ledger = ledger("collected.example", 3);
    let mut lying = shown(&ledger);
    (lying.claims[1].text, lying.claims[1].collected) = (None, true);
    let upstream = Upstream::of(lying);
    mirrors(&b, &upstream);
    assert_eq!(seen(&b, "collected.example").await.narinfos(), 2);
    assert_eq!(
        super::story::report_of(&b, "collected.example", "attestations").await.size,
        Some(3)
    );
    upstream.shows(shown(&ledger));
    let (outcome, report) = mirror(&b, &upstream, &["--rescan"]);
    assert_eq!((outcome.code, &report["nars_fetched"]), (0, &1.into()), "{outcome:?}");
    assert_eq!(seen(&b, "collected.example").await.narinfos(), 3);
}
