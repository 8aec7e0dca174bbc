use super::*;
use crate::assemble::view::{DefaultView, View};
use crate::index::AttestationRecord;
use crate::ledger::key_event::KeyEvent;
use schema::claim::Claim;
use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};
use schema::key::SecretKey;
use schema::narinfo::NarInfo;

const PATH: &str = "/nix/store/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-hello-2.12";

fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(name.parse().unwrap(), NarHash::of(name.as_bytes()).as_bytes())
}

fn signers() -> Signers {
    let mut signers = Signers::default();
    for name in ["alice", "bob", "carol"] {
        signers.apply(&KeyEvent::Enrol { at: 1, key: key(name).public() }).unwrap();
    }
    signers
}

fn claim(nar: &str, by: &[(&str, u64)], stored: bool) -> ClaimRecord {
    let claim =
        Claim::new(PATH.parse().unwrap(), NarHash::of(nar.as_bytes()), 112, Vec::new()).unwrap();
    let bytes = claim.signed_bytes();
    let word = |&(name, index): &(&str, u64)| AttestationRecord {
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
    let (record, signers) = (PathRecord { claims }, signers());
    let default = DefaultView { k: 1, names: Vec::new() };
    let hash_part = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz".parse().unwrap();
    let panel = Panel::of(&view, &default, &signers).map_err(|refused| refused.code)?;
    let text =
        narinfo(&hash_part, Some(&record), &panel, &signers).map_err(|refused| refused.code)?;
    Ok(NarInfo::parse_nix(text.as_bytes()).unwrap())
}

fn of(k: usize, names: &[&str]) -> View {
    View::Signers { k, names: names.iter().map(|name| name.parse().unwrap()).collect() }
}

fn by(name: &str) -> View {
    View::As(name.parse().unwrap())
}

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
