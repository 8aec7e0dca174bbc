use std::collections::HashMap;
use std::sync::Arc;

use super::*;
use crate::assemble::view::{DefaultView, View};
use crate::index::{AttestationRecord, LedgerId};
use schema::claim::Claim;
use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};
use schema::key::{PublicKey, SecretKey};
use schema::key_event::{KeyEntry, KeyEvent, RevokeReason};
use schema::narinfo::NarInfo;
use schema::signers::Signers;

const PATH: &str = "/nix/store/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-hello-2.12";

fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(name.parse().unwrap(), NarHash::of(name.as_bytes()).as_bytes())
}

fn signers() -> Signers {
    let pool = key("pool");
    let mut signers = Signers::new("pool/keys", pool.public());
    for name in ["alice", "bob", "carol"] {
        enter(&mut signers, KeyEvent::Enrol { key: key(name).public() }, &[&pool], 0);
    }
    signers
}

fn enter(signers: &mut Signers, event: KeyEvent, by: &[&SecretKey], attestations: u64) {
    let signed = event.sign("pool/keys", by).unwrap();
    signers.apply(&KeyEntry { logged_at: 1, attestations, signed }).unwrap();
}

fn claim(nar: &str, by: &[(&str, u64)], stored: bool) -> ClaimRecord {
    let claim =
        Claim::new(PATH.parse().unwrap(), NarHash::of(nar.as_bytes()), 112, Vec::new()).unwrap();
    let bytes = claim.signed_bytes().into_owned();
    let word = |&(name, index): &(&str, u64)| AttestationRecord {
        ledger: LedgerId::OWN,
        key_id: key(name).public().id(),
        index,
        logged_at: 7,
        signature: *key(name).sign(bytes.as_bytes()).signature(),
    };
    let attestations = by.iter().map(word).collect();
    let file =
        FileRecord { compression: Compression::Xz, file_hash: FileHash::of(b"f"), file_size: 9 };
    ClaimRecord { file: stored.then_some(file), attestations, ..ClaimRecord::new(claim) }
}

fn ask(claims: Vec<ClaimRecord>, view: View) -> Result<NarInfo, RefusedCode> {
    ask_with(&signers(), claims, view)
}

fn ask_with(
    signers: &Signers,
    claims: Vec<ClaimRecord>,
    view: View,
) -> Result<NarInfo, RefusedCode> {
    ask_of(&Roll::new(Arc::new(signers.clone()), HashMap::new()), claims, view)
}

fn ask_of(roll: &Roll, claims: Vec<ClaimRecord>, view: View) -> Result<NarInfo, RefusedCode> {
    let record = PathRecord { claims };
    let default = DefaultView { k: 1, names: Vec::new() };
    let hash_part = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz".parse().unwrap();
    let panel = Panel::of(&view, &default, roll).map_err(|refused| refused.code)?;
    let shown = shown(&hash_part, Some(&record), (&StoreDir::nix(), &panel), roll);
    let text = narinfo(&shown.map_err(|refused| refused.code)?, roll, None);
    Ok(NarInfo::parse_nix(text.as_bytes()).unwrap())
}

fn of(k: usize, names: &[&str]) -> View {
    View::Signers { k, names: names.iter().map(|name| name.parse().unwrap()).collect() }
}

fn by(name: &str) -> View {
    View::As(name.parse().unwrap())
}

mod guix;

#[test]
fn a_narinfo_carries_every_signature_of_its_claim_and_they_verify() {
    let shown =
        ask(vec![claim("n", &[("alice", 0), ("bob", 1)], true)], of(2, &["alice", "bob"])).unwrap();
    assert_eq!(shown.delivery.url, format!("nar/{}.nar.xz", NarHash::of(b"n").to_nix32()));
    let names: Vec<&str> = shown.signatures.iter().map(|line| line.name().as_str()).collect();
    assert_eq!(names, ["alice", "bob"]);
    for line in &shown.signatures {
        let key = key(line.name().as_str()).public();
        assert!(key.verifies(shown.claim.signed_bytes().as_bytes(), line.signature()));
    }
}

#[test]
fn the_count_of_a_view_must_be_reached_by_its_own_signers() {
    let claims = || vec![claim("n", &[("alice", 0), ("carol", 1)], true)];
    assert!(ask(claims(), of(1, &["alice", "bob"])).is_ok());
    assert_eq!(ask(claims(), of(2, &["alice", "bob"])), Err(RefusedCode::NotEnoughSigners));
    assert_eq!(ask(claims(), by("bob")), Err(RefusedCode::NotEnoughSigners));
    assert_eq!(ask(claims(), of(1, &["alice", "mallory"])), Err(RefusedCode::UnknownSigner));
}

#[test]
fn each_view_shows_the_claim_its_signers_chose() {
    let claims =
        || vec![claim("a", &[("alice", 0)], true), claim("b", &[("bob", 1), ("carol", 2)], true)];
    let hash = |shown: Result<NarInfo, _>| shown.map(|narinfo| narinfo.claim.nar_hash());
    assert_eq!(hash(ask(claims(), by("alice"))), Ok(NarHash::of(b"a")));
    assert_eq!(hash(ask(claims(), by("bob"))), Ok(NarHash::of(b"b")));
    assert_eq!(hash(ask(claims(), View::Default)), Ok(NarHash::of(b"b")));
    assert_eq!(ask(claims(), of(2, &["alice", "bob"])), Err(RefusedCode::SignersDisagree));
    assert_eq!(hash(ask(claims(), of(2, &["alice", "bob", "carol"]))), Ok(NarHash::of(b"b")));
}

#[test]
fn with_as_many_votes_the_oldest_claim_is_shown() {
    let claims = vec![claim("a", &[("alice", 5)], true), claim("b", &[("bob", 1)], true)];
    assert_eq!(ask(claims, View::Default).unwrap().claim.nar_hash(), NarHash::of(b"a"));
}

#[test]
fn who_claims_two_things_counts_for_neither_where_votes_are_counted() {
    let claims =
        || vec![claim("a", &[("alice", 0), ("bob", 1)], true), claim("b", &[("alice", 2)], true)];
    assert_eq!(ask(claims(), of(2, &["alice", "bob"])), Err(RefusedCode::NotEnoughSigners));
    assert_eq!(ask(claims(), of(1, &["bob"])).unwrap().claim.nar_hash(), NarHash::of(b"a"));
    assert_eq!(ask(claims(), by("alice")).unwrap().claim.nar_hash(), NarHash::of(b"b"));
}

#[test]
fn a_claim_without_its_nar_is_seen_but_not_shown() {
    assert_eq!(
        ask(vec![claim("a", &[("alice", 0)], false)], View::Default),
        Err(RefusedCode::NoNar)
    );
    let claims =
        vec![claim("a", &[("alice", 0), ("bob", 1)], false), claim("b", &[("carol", 2)], true)];
    assert_eq!(ask(claims, View::Default).unwrap().claim.nar_hash(), NarHash::of(b"b"));
    assert_eq!(ask(Vec::new(), View::Default), Err(RefusedCode::NeverSeen));
}

#[test]
fn machines_and_older_keys_share_the_vote_of_their_signer() {
    let mut signers = signers();
    let delegate = |key: PublicKey| KeyEvent::Delegate {
        root: self::key("alice").public().id(),
        key,
        names: "hello*".parse().unwrap(),
        not_after: 9,
    };
    for machine in ["m1", "m2"] {
        enter(&mut signers, delegate(key(machine).public()), &[&key("alice")], 0);
    }
    let words = [("m1", 0), ("m2", 1), ("alice", 2), ("bob", 3)];
    let ask = |words: &[_], view| ask_with(&signers, vec![claim("n", words, true)], view);
    assert!(ask(&words, of(2, &["alice", "bob"])).is_ok());
    let machines = of(2, &["m1", "m2"]);
    assert_eq!(ask(&words, machines), Err(RefusedCode::NotEnoughSigners), "one principal");
    assert!(ask(&words[..1], of(1, &["alice"])).is_ok(), "a machine speaks for its root");
    assert_eq!(ask(&words[2..3], of(1, &["m1"])), Err(RefusedCode::NotEnoughSigners));
    let shown = ask(&words, View::Default).unwrap();
    assert_eq!(shown.signatures.len(), 4, "each signature under its key's own name");
}

#[test]
fn entries_after_the_cut_of_a_compromised_key_are_neither_counted_nor_shown() {
    let mut signers = signers();
    let event = KeyEvent::Revoke {
        key: key("alice").public().id(),
        reason: RevokeReason::Compromised { from: 5 },
    };
    enter(&mut signers, event, &[&key("alice")], 9);
    let claims = |index| vec![claim("n", &[("alice", index), ("bob", 8)], true)];
    let names = |index| {
        let shown = ask_with(&signers, claims(index), View::Default).unwrap();
        shown.signatures.iter().map(|line| line.name().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(4), ["alice", "bob"]);
    assert_eq!(names(5), ["bob"]);
    let voted = |index| ask_with(&signers, claims(index), of(2, &["alice", "bob"])).err();
    assert_eq!((voted(4), voted(5)), (None, Some(RefusedCode::NotEnoughSigners)));
}

/// The roll of a pool that mirrors the ledger of another, in which these are enrolled.
fn roll_with(mirrored: &[&SecretKey]) -> Roll {
    let pool = key("other-pool");
    let mut theirs = Signers::new("other/keys", pool.public());
    for signer in mirrored {
        let event = KeyEvent::Enrol { key: signer.public() };
        let signed = event.sign("other/keys", &[&pool]).unwrap();
        theirs.apply(&KeyEntry { logged_at: 1, attestations: 0, signed }).unwrap();
    }
    let mut roll = Roll::new(Arc::new(signers()), HashMap::new());
    for signer in mirrored {
        roll.bind(signer.name(), LedgerId::from_number(1));
    }
    roll.with_mirrored(LedgerId::from_number(1), &Arc::from("other"), theirs)
}

/// The word of this key, in the ledger of another.
fn mirrored(by: &SecretKey, claim: &Claim) -> AttestationRecord {
    AttestationRecord {
        ledger: LedgerId::from_number(1),
        key_id: by.public().id(),
        index: 0,
        logged_at: 7,
        signature: *by.sign(claim.signed_bytes().as_bytes()).signature(),
    }
}

#[test]
fn the_word_of_a_mirrored_ledger_counts_and_each_key_is_named_once() {
    let dora = key("dora");
    let roll = roll_with(&[&key("alice"), &dora]);
    let mut claim = claim("n", &[("alice", 5)], true);
    for signer in [&key("alice"), &dora] {
        let word = mirrored(signer, &claim.claim);
        claim.attestations.push(word);
    }
    let shown = ask_of(&roll, vec![claim.clone()], of(2, &["alice", "dora"])).unwrap();
    let names: Vec<&str> = shown.signatures.iter().map(|line| line.name().as_str()).collect();
    assert_eq!(names, ["alice", "dora"]);
    let alone = ask(vec![claim], of(1, &["dora"]));
    assert_eq!(alone, Err(RefusedCode::UnknownSigner), "whose ledger is not held");
}

#[test]
fn a_name_of_this_pools_own_is_nobody_elses_in_a_mirrored_ledger() {
    // Somebody else's pool calls another key so.
    let impostor = SecretKey::from_seed("alice".parse().unwrap(), &[66; 32]);
    let roll = roll_with(&[&impostor]);
    let mut claim = claim("n", &[("bob", 5)], true);
    let word = mirrored(&impostor, &claim.claim);
    claim.attestations.push(word);
    let asked = |view| ask_of(&roll, vec![claim.clone()], view);
    assert_eq!(asked(of(1, &["alice"])), Err(RefusedCode::NotEnoughSigners));
    assert_eq!(asked(of(2, &["alice", "bob"])), Err(RefusedCode::NotEnoughSigners));
    assert_eq!(asked(by("alice")), Err(RefusedCode::NotEnoughSigners));
    assert!(asked(of(1, &["bob"])).is_ok());
}

#[test]
fn what_an_impostor_says_takes_no_vote_away() {
    let impostor = SecretKey::from_seed("alice".parse().unwrap(), &[66; 32]);
    let roll = roll_with(&[&impostor]);
    let real = claim("n", &[("alice", 5)], true);
    let mut other = claim("m", &[], true);
    let word = mirrored(&impostor, &other.claim);
    other.attestations.push(word);
    let shown = ask_of(&roll, vec![real, other], of(1, &["alice"])).unwrap();
    assert_eq!(shown.claim.nar_hash(), NarHash::of(b"n"));
}

#[test]
fn a_key_that_was_compromised_here_counts_in_no_other_ledger() {
    let mut signers = signers();
    let reason = RevokeReason::Compromised { from: 5 };
    let event = KeyEvent::Revoke { key: key("alice").public().id(), reason };
    enter(&mut signers, event, &[&key("alice")], 9);
    let roll = roll_with(&[&key("alice")]).with_own(signers);
    let mut claim = claim("n", &[("bob", 1)], true);
    let word = mirrored(&key("alice"), &claim.claim);
    claim.attestations.push(word);
    let asked = ask_of(&roll, vec![claim], of(2, &["alice", "bob"]));
    assert_eq!(asked, Err(RefusedCode::NotEnoughSigners));
}
