use super::*;

const BASE: &str = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-hello-2.12";

fn claim(nar: &[u8], signers: &[&str]) -> ClaimReport {
    let attestations: Vec<_> = signers
        .iter()
        .map(|name| {
            let key = schema::key::SecretKey::from_seed(name.parse().unwrap(), &[1; 32]);
            schema::api::AttestationReport {
                signer: key.name().clone(),
                key_id: key.public().id(),
                origin: None,
                index: 7,
                logged_at: 0,
                signature: key.sign(nar),
            }
        })
        .collect();
    ClaimReport {
        dialect: schema::claim::Dialect::Nix,
        claim: schema::hash::ClaimId::of(nar),
        store_path: format!("/nix/store/{BASE}").parse().unwrap(),
        nar_hash: NarHash::of(nar),
        nar_size: 112,
        references: vec![BASE.parse().unwrap()],
        deriver: None,
        ca: None,
        file: None,
        scan: None,
        attestations,
    }
}

#[test]
fn a_disagreement_and_who_is_on_which_side_is_in_plain_sight() {
    let claims = vec![claim(b"one", &["alice-1", "carol-1"]), claim(b"two", &["bob-1"])];
    let hash_part = BASE[..32].parse().unwrap();
    let mut report = PathReport { hash_part, disagreement: true, refused: None, claims };
    let text = path_text(&report);
    let at = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("{needle} in {text}"));
    assert!(at("alice-1") < at("carol-1") && at("carol-1") < at("claim 2"));
    assert!(at("claim 2") < at("bob-1") && at("bob-1") < at("SIGNERS DISAGREE: 2"));
    assert_eq!(text.matches(&format!("/nix/store/{BASE}\n")).count(), 1);
    report.disagreement = false;
    report.claims.pop();
    let text = path_text(&report);
    assert!(!text.contains("DISAGREE") && !text.contains("bob-1"));
}

#[test]
fn paths_hash_parts_and_nars_are_told_apart() {
    let hash = NarHash::of(b"");
    let path = Subject::Path(BASE[..32].parse().unwrap());
    for text in [BASE, &BASE[..32], &format!("/gnu/store/{BASE}/bin")] {
        assert_eq!(Subject::read(Path::new(text)).unwrap(), path, "{text}");
    }
    for text in
        [hash.to_string(), hash.to_sri(), hash.to_nix32(), format!("sha256:{}", hash.to_hex())]
    {
        assert_eq!(Subject::read(Path::new(&text)).unwrap(), Subject::Nar(hash), "{text}");
    }
    assert!(Subject::read(Path::new("nonsense")).is_err());
}
