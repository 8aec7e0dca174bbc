//! Views for Guix.

use schema::guix::ecdsa::EcdsaSecret;
use schema::narinfo::guix::{GuixNarInfo, SignatureLine};

use super::*;

const ITEM: &str = "/gnu/store/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-hello-2.12";

fn guix_key(name: &str) -> SecretKey {
    let secret = EcdsaSecret::from_bytes(NarHash::of(name.as_bytes()).as_bytes()).unwrap();
    SecretKey::of_guix(name.parse().unwrap(), secret)
}

/// Alice and bob have keys of Nix's; gina and gus have keys of Guix's.
fn signers() -> Signers {
    let (pool, mut signers) = (key("pool"), super::signers());
    for name in ["gina", "gus"] {
        enter(&mut signers, KeyEvent::Enrol { key: guix_key(name).public() }, &[&pool], 0);
    }
    signers
}

/// What these say, each in their words, with what they say of the deriver.
fn claims(nar: &str, by: &[(&str, u64, Option<&str>)]) -> Vec<ClaimRecord> {
    let hash = NarHash::of(nar.as_bytes());
    let claim = Claim::new(ITEM.parse().unwrap(), hash, 112, Vec::new()).unwrap();
    let mut records: Vec<ClaimRecord> = Vec::new();
    for (name, index, deriver) in by {
        let key = if name.starts_with('g') { guix_key(name) } else { key(name) };
        let deriver = deriver.map(|it| format!("{}-{it}.drv", "1".repeat(32)).parse().unwrap());
        let claim = claim.in_dialect(key.public().dialect(), deriver.as_ref());
        let word = AttestationRecord {
            ledger: LedgerId::OWN,
            key_id: key.public().id(),
            index: *index,
            logged_at: 7,
            signature: *key.sign(claim.signed_bytes().as_bytes()).signature(),
        };
        match records.iter_mut().find(|record| record.claim == claim) {
            Some(record) => record.attestations.push(word),
            None => {
                let file = FileRecord {
                    compression: Compression::Zstd,
                    file_hash: FileHash::of(b"f"),
                    file_size: 9,
                };
                let record = ClaimRecord { file: Some(file), ..ClaimRecord::new(claim) };
                records.push(ClaimRecord { attestations: vec![word], ..record });
            }
        }
    }
    records
}

fn ask(claims: Vec<ClaimRecord>, view: View) -> Result<String, RefusedCode> {
    let (roll, record) = (Roll::new(Arc::new(signers()), HashMap::new()), PathRecord { claims });
    let hash_part = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz".parse().unwrap();
    let panel = Panel::of(&view, &DefaultView { k: 1, names: Vec::new() }, &roll);
    let panel = panel.map_err(|refused| refused.code)?;
    let shown = shown(&hash_part, Some(&record), (&StoreDir::guix(), &panel), &roll);
    let shown = shown.map_err(|refused| refused.code)?;
    let told = |nar_url| {
        guix_narinfo(&shown, &roll, nar_url, |word| panel.rank(word, &roll))
            .map_err(|refused| refused.code)
    };
    let text = told(None)?;
    // Elsewhere is told in the one line that is about it, below all that is signed.
    let elsewhere = told(Some(&"https://b.example/".parse().unwrap()))?;
    let (claimed, place) = text.rsplit_once("\nURL: ").unwrap();
    assert_eq!(elsewhere, format!("{claimed}\nURL: https://b.example/{place}"));
    Ok(text)
}

/// By whom a narinfo is signed, by a signature that holds.
fn signed_by(text: &str) -> Option<String> {
    let narinfo = GuixNarInfo::parse(text.as_bytes()).unwrap();
    let SignatureLine::Ecdsa(signature) = narinfo.signature? else { panic!("{text}") };
    assert!(signature.holds(narinfo.claim.id().as_bytes()), "{text}");
    let named = ["gina", "gus"].into_iter();
    let mut named = named.filter(|it| guix_key(it).public().guix() == Some(signature.key()));
    named.next().map(str::to_owned)
}

#[test]
fn a_view_has_its_own_signers_signature_and_the_root_none() {
    let claims = || claims("n", &[("alice", 0, None), ("gina", 1, None), ("gus", 2, None)]);
    let signer = |view| signed_by(&ask(claims(), view).unwrap());
    assert_eq!(signer(View::Default), None);
    assert_eq!(signer(by("gus")).as_deref(), Some("gus"));
    assert_eq!(signer(of(2, &["gina", "gus"])).as_deref(), Some("gina"));
    assert_eq!(signer(of(2, &["gus", "gina"])).as_deref(), Some("gus"));
    assert_eq!(signer(of(2, &["alice", "gus"])).as_deref(), Some("gus"));
    assert_eq!(signer(of(1, &["alice"])), None, "a key of Nix's signs nothing for Guix");
    let text = ask(claims(), by("gina")).unwrap();
    let url = format!(
        "URL: nar/{}.nar.zst\nCompression: zstd\nFileSize: 9\n",
        NarHash::of(b"n").to_nix32()
    );
    assert!(text.starts_with(&format!("StorePath: {ITEM}\n")) && text.ends_with(&url), "{text}");
}

#[test]
fn the_same_in_other_words_is_one_claim_with_the_votes_of_all() {
    let claims = || claims("n", &[("alice", 0, None), ("gina", 1, Some("a")), ("gus", 2, None)]);
    assert_eq!(claims().len(), 3);
    let of_all = of(3, &["alice", "gina", "gus"]);
    let text = ask(claims(), of_all).unwrap();
    assert_eq!(signed_by(&text).as_deref(), Some("gina"));
    assert!(text.contains("\nDeriver: 1"), "{text}");
    // Whoever is asked for has signed other bytes.
    let text = ask(claims(), by("gus")).unwrap();
    assert_eq!(signed_by(&text).as_deref(), Some("gus"));
    assert!(!text.contains("Deriver"), "{text}");
}

#[test]
fn each_store_has_its_own_paths() {
    let both =
        || [claims("g", &[("gina", 0, None)]), vec![claim("n", &[("alice", 1)], true)]].concat();
    assert!(ask(both(), View::Default).unwrap().contains(&NarHash::of(b"g").to_nix32()));
    let nix = ask_with(&signers(), both(), View::Default).unwrap();
    assert_eq!(nix.claim.nar_hash(), NarHash::of(b"n"));
    assert_eq!(
        ask(vec![claim("n", &[("alice", 1)], true)], View::Default),
        Err(RefusedCode::NeverSeen)
    );
}

#[test]
fn what_guix_cannot_unpack_is_not_shown_to_it() {
    let mut brotli = claims("n", &[("gina", 0, None)]);
    for record in &mut brotli {
        record.file.as_mut().unwrap().compression = Compression::Brotli;
    }
    assert_eq!(ask(brotli, View::Default), Err(RefusedCode::NoNar));
}
