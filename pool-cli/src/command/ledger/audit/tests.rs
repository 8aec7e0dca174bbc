//! What an audit finds in entries that tests make up; what it finds at a pool, the end-to-end
//! tests tell.

use std::collections::HashMap;

use schema::api::ClaimAnswer;
use schema::attestation::{Entry, Signed};
use schema::claim::Claim;
use schema::hash::ClaimId;
use schema::key::SecretKey;
use schema::key_event::{KeyEntry, KeyEvent, RevokeReason};
use schema::tlog::edge::Edge;
use schema::tlog::merkle::leaf_hash;
use schema::tlog::note::{SignatureKind, VerifierKey};
use schema::verifiable_map::{IndexLeaf, MapContents};

use super::copy::Copy;
use super::replay::{Replayed, replay};
use super::*;
use crate::ledger_reader::fake;

fn key(name: &str, seed: u8) -> SecretKey {
    SecretKey::from_seed(name.parse().unwrap(), &[seed; 32])
}

fn claim(number: usize) -> Claim {
    let hash = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
    let path = format!("/nix/store/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-linux-{number}");
    Claim::parse(format!("1;{path};{hash};112;").as_bytes()).unwrap()
}

/// What `signer` says of the path with this number, logged at `logged_at`.
fn entry(signer: &SecretKey, number: usize, logged_at: u64) -> Entry {
    let claim = claim(number);
    let signature = signer.sign(claim.signed_bytes().as_bytes());
    Signed::new(claim, signature).verify(&signer.public()).unwrap().entry(logged_at)
}

fn pinned(pool: &SecretKey) -> Pinned {
    let key = |log: &str| {
        let name = format!("pool.example/{log}").parse().unwrap();
        VerifierKey::new(name, SignatureKind::Ed25519, pool.public().point().unwrap().clone())
    };
    Pinned {
        origin: "pool.example".to_owned(),
        pool: pool.public(),
        keys: key("keys"),
        attestations: key("attestations"),
        index: key("index"),
    }
}

/// A leaf of the index log that tells the truth of these entries.
fn leaf(entries: &[Entry]) -> IndexLeaf {
    let (mut contents, mut edge) = (MapContents::default(), Edge::new());
    for entry in entries {
        contents.add(entry).unwrap();
        edge.push(leaf_hash(&entry.to_bytes()));
    }
    IndexLeaf { size: edge.size(), attestations: edge.root(), map: contents.root() }
}

fn replayed(entries: &[Entry], leaves: &[IndexLeaf], checked: Sizes) -> Replayed {
    let signers = schema::signers::Signers::new("pool.example/keys", key("pool", 9).public());
    let entries = entries.iter().map(|entry| Ok(entry.to_bytes().to_vec()));
    let leaves = leaves.iter().map(|leaf| Ok(leaf.to_bytes().to_vec()));
    replay(entries, true, leaves, checked, &signers).unwrap()
}

#[test]
fn order_repeats_and_the_index_are_checked_for_what_is_new() {
    let alice = key("alice", 1);
    let good: Vec<Entry> = (0..5).map(|at| entry(&alice, at, 1000 + at as u64)).collect();
    let leaves = [leaf(&good[..1]), leaf(&good[..3]), leaf(&good)];
    let none = Sizes::default();
    let clean = replayed(&good, &leaves, none);
    assert_eq!((clean.findings.told(), clean.covered), (vec![], 5));

    let mut bad = good.clone();
    bad[3] = Entry { logged_at: 1004, ..good[1].clone() };
    let told = replayed(&bad, &[], none).findings.told();
    assert_eq!(told, ["attestations, entry 3: entry 1 once more: the same signer and claim"]);
    let back = Entry { logged_at: 999, ..good[4].clone() };
    let bad = [&good[..4], &[back]].concat();
    let told = replayed(&bad, &[], none).findings.told();
    assert_eq!(told, ["attestations, entry 4: logged at 999, after 1003"]);
    let seen = Sizes { attestations: 5, ..none };
    assert!(replayed(&bad, &[], seen).findings.is_empty(), "it was told before");

    let (of_one, of_three) = (leaves[0], leaves[1]);
    for (bad, told) in [
        (IndexLeaf { map: of_one.map, ..of_three }, "its map is not that of the first 3"),
        (IndexLeaf { attestations: of_one.attestations, ..of_three }, "it has another root of"),
        (IndexLeaf { size: 6, ..of_three }, "it is about 6 attestations, but there are 5"),
        (of_one, "it is about 1 attestations, and the one before 1"),
    ] {
        let found = replayed(&good, &[of_one, bad], none).findings.told();
        let [found] = found.as_slice() else { panic!("{found:?}") };
        assert!(found.starts_with(&format!("index, entry 1: {told}")), "{found}");
    }
}

/// A copy of a keys log with these events, each logged when there were so many attestations.
fn keys_log(dir: &std::path::Path, events: &[(KeyEvent, &SecretKey, u64)]) -> Copy {
    let mut copy = Copy::open(dir, KEYS, &fake::key(), 0).unwrap();
    let (mut appended, mut edge) = (copy.append().unwrap(), Edge::new());
    for (event, by, attestations) in events {
        let signed = event.clone().sign("pool.example/keys", &[by]).unwrap();
        let entry = KeyEntry { logged_at: 1000, attestations: *attestations, signed }.to_json();
        appended.push(&entry).unwrap();
        edge.push(leaf_hash(&entry));
    }
    copy.commit(appended, &edge, fake::signed(&edge)).unwrap();
    copy
}

fn replay_keys(copy: &Copy, read: Sizes) -> (Keys, Vec<String>) {
    let progress = Progress { pinned: pinned(&key("pool", 9)), checked: read, read };
    let mut findings = Findings::default();
    let keys = Keys::replay(copy, &progress, &mut findings).unwrap();
    (keys, findings.told())
}

#[test]
fn a_key_might_attest_from_its_enrolment_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let (pool, alice, machine) = (key("pool", 9), key("alice", 1), key("box", 3));
    let id = alice.public().id();
    let names = "linux-*".parse().unwrap();
    let delegate = KeyEvent::Delegate { root: id, key: machine.public(), names, not_after: 1500 };
    let reason = RevokeReason::Compromised { from: 4 };
    let copy = keys_log(
        dir.path(),
        &[
            (KeyEvent::Enrol { key: alice.public() }, &pool, 2),
            (delegate, &alice, 3),
            (KeyEvent::Revoke { key: id, reason }, &alice, 7),
        ],
    );
    let (mut keys, told) = replay_keys(&copy, Sizes::default());
    assert_eq!(told, [""; 0]);
    let mut may = |signer: &SecretKey, index, name, logged_at| {
        keys.may_attest(index, &entry(signer, 0, logged_at), name).is_ok()
    };
    assert!(!may(&alice, 1, Some("linux-1"), 1000), "before its enrolment");
    assert!(may(&alice, 2, Some("linux-1"), 1000));
    assert!(!may(&machine, 2, Some("linux-1"), 1000), "before its delegation");
    assert!(may(&machine, 3, Some("linux-1"), 1500));
    assert!(!may(&machine, 3, Some("bash-5"), 1500), "of what it may not speak of");
    assert!(may(&machine, 3, None, 1500), "of what nobody knows any more");
    assert!(!may(&machine, 3, Some("linux-1"), 1501), "too late");
    // It was taken in good faith, though it is void now.
    assert!(may(&alice, 6, Some("linux-1"), 1000));
    assert!(!may(&alice, 7, Some("linux-1"), 1000), "after its end");
    assert!(!may(&machine, 8, None, 1000), "its root has ended");
}

#[test]
fn an_event_cannot_come_to_light_later_than_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let (pool, alice) = (key("pool", 9), key("alice", 1));
    let (id, reason) = (alice.public().id(), RevokeReason::Retired);
    let enrol = (KeyEvent::Enrol { key: alice.public() }, &pool, 0);
    let revoke = (KeyEvent::Revoke { key: id, reason }, &alice, 450);
    let forged = (KeyEvent::Enrol { key: key("bob", 2).public() }, &alice, 500);
    let copy = keys_log(dir.path(), &[enrol.clone(), revoke, forged, enrol]);
    let read = Sizes { keys: 1, attestations: 500, index: 0 };
    let (_, told) = replay_keys(&copy, read);
    let [late, forged, back] = told.as_slice() else { panic!("{told:?}") };
    assert!(late.contains("keys, entry 1: it says that it came when there were 450"), "{late}");
    assert!(forged.starts_with("keys, entry 2: not signed by pool"), "{forged}");
    assert!(back.starts_with("keys, entry 3: "), "{back}");
    let all = Sizes { keys: 4, attestations: 500, index: 0 };
    assert_eq!(replay_keys(&copy, all).1.len(), 2, "what was there before was in time");
}

#[test]
fn each_entry_is_held_against_its_claim() {
    let dir = tempfile::tempdir().unwrap();
    let (pool, alice) = (key("pool", 9), key("alice", 1));
    let enrol = (KeyEvent::Enrol { key: alice.public() }, &pool, 0);
    let (mut keys, _) = replay_keys(&keys_log(dir.path(), &[enrol]), Sizes::default());
    let good: Vec<(u64, Entry)> = (0..7).map(|at| (at, entry(&alice, at as usize, 1000))).collect();
    let mut part = good.clone();
    part[2].1.path_key = good[1].1.path_key;
    part[3].1.subject = schema::hash::NarHash::of(b"another");
    part[6].1.signature = good[5].1.signature;
    let answer = |(at, entry): &(u64, Entry)| {
        let text = (*at != 4 && *at != 5).then(|| claim(*at as usize).signed_bytes().into_owned());
        let text = if *at == 1 { text.map(|text| text.replace("112", "113")) } else { text };
        (entry.claim, ClaimAnswer { claim: entry.claim, text, collected: *at == 5 })
    };
    let answers: HashMap<ClaimId, ClaimAnswer> = good.iter().map(answer).collect();
    let mut findings = Findings::default();
    let checked = claims::check_part(&part, &answers, &mut keys, &mut findings);
    let told = findings.told();
    assert_eq!((checked.signatures, checked.not_checkable), (1, 1), "{told:?}");
    assert_eq!(told.len(), 5, "{told:?}");
    for (told, said) in told.iter().zip([
        "entry 1: the pool has another text",
        "entry 2: it is under another path",
        "entry 3: it is under the NAR",
        "entry 4: the pool does not have the claim",
        "entry 6: the signature by alice does not verify",
    ]) {
        assert!(told.starts_with(&format!("attestations, {said}")), "{told}");
    }
}

#[test]
fn a_copy_survives_what_was_not_finished_and_notices_what_was_changed() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Copy::open(dir.path(), "log", &fake::key(), 0);
    let all = fake::entries(300);
    let mut edge = Edge::new();
    for (from, to) in [(0, 0), (0, 257), (257, 300)] {
        let mut copy = open().unwrap();
        assert_eq!(copy.size(), from as u64);
        let mut unfinished = copy.append().unwrap();
        unfinished.push(b"never finished").unwrap();
        drop(unfinished);
        let mut copy_again = open().unwrap();
        let mut appended = copy_again.append().unwrap();
        for entry in &all[from..to] {
            appended.push(entry).unwrap();
            edge.push(leaf_hash(entry));
        }
        copy_again.commit(appended, &edge, fake::signed(&edge)).unwrap();
        copy = open().unwrap();
        let read: Vec<Vec<u8>> = copy.entries().unwrap().map(Result::unwrap).collect();
        assert_eq!(read, all[..to]);
    }
    let cut = Copy::open(dir.path(), "log", &fake::key(), 301).err().unwrap().to_string();
    assert!(cut.contains("it had 301 entries, and has 300"), "{cut}");
    let file = dir.path().join("log.entries");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[505] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    assert!(open().err().unwrap().to_string().contains("is damaged"));
    std::fs::write(&file, &bytes[..1000]).unwrap();
    assert!(open().is_err());
}

#[test]
fn the_same_pool_has_the_same_keys() {
    let (ours, other) = (pinned(&key("pool", 9)), pinned(&key("pool", 8)));
    assert_eq!(ours.differs(&ours), []);
    assert_eq!(ours.differs(&other).len(), 4);
    assert_eq!(ours.check(&[&ours.keys, &ours.index]), []);
    assert_eq!(ours.check(&[&other.index]).len(), 1);
    let renamed = Pinned { pool: key("pool", 7).public(), ..ours };
    assert_eq!(renamed.check(&[]).len(), 1, "an operator who signs no log");
}
