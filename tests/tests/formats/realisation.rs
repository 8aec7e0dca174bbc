//! Realisations, as JSON and as what is signed.

use std::fs;

use proptest::prelude::*;
use schema::key::PublicKey;
use schema::realisation::{DrvOutput, Realisation, RealisationError, SignedRealisation};
use schema::signature::{NamedSignature, Signature};

use super::arbitrary::{base_name, named_signature, secret_key};
use super::mutation::mutation;

fn drv_output() -> impl Strategy<Value = DrvOutput> {
    "sha256:[0-9a-f]{64}![0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]{0,40}"
        .prop_map(|id| id.parse().expect("what was generated is well formed"))
}

fn realisation() -> impl Strategy<Value = Realisation> {
    let dependencies = prop::collection::btree_map(drv_output(), base_name(), 0..4);
    (drv_output(), base_name(), dependencies).prop_map(|(id, out_path, dependencies)| Realisation {
        id,
        out_path,
        dependencies,
    })
}

fn signed() -> impl Strategy<Value = SignedRealisation> {
    (realisation(), prop::collection::vec(named_signature(), 0..4))
        .prop_map(|(realisation, signatures)| SignedRealisation { realisation, signatures })
}

fn read(json: &[u8]) -> serde_json::Result<SignedRealisation> {
    serde_json::from_slice(json)
}

proptest! {
    #[test]
    fn json_leads_back(signed in signed()) {
        prop_assert_eq!(read(signed.print().as_bytes()).unwrap(), signed);
    }

    /// Nix signs what a library for JSON makes of the object without its signatures.
    #[test]
    fn the_fingerprint_is_the_object_without_its_signatures(signed in signed()) {
        let mut object: serde_json::Value = serde_json::from_str(&signed.print()).unwrap();
        object.as_object_mut().unwrap().remove("signatures");
        prop_assert_eq!(object.to_string(), signed.realisation.fingerprint());
    }

    #[test]
    fn white_space_and_order_do_not_matter(signed in signed()) {
        let object: serde_json::Value = serde_json::from_str(&signed.print()).unwrap();
        let fields: Vec<_> = object.as_object().unwrap().iter().rev().map(|(key, value)| format!(" \"{key}\" :\n{value:#}")).collect();
        prop_assert_eq!(read(format!("{{{}}}", fields.join(",")).as_bytes()).unwrap(), signed);
    }

    /// What is read of damaged bytes says something else, is the same in another spelling, or is
    /// nothing.
    #[test]
    fn damage_never_leaves_two_readings(signed in signed(), mutation in mutation()) {
        let json = signed.print().into_bytes();
        let damaged = mutation.of(&json);
        if let Ok(again) = read(&damaged) {
            prop_assert_eq!(&read(again.print().as_bytes()).unwrap(), &again);
            let same = again.realisation.fingerprint() == signed.realisation.fingerprint();
            prop_assert_eq!(same, again.realisation == signed.realisation);
        }
    }

    #[test]
    fn only_the_named_key_verifies(realisation in realisation(), secret in secret_key(), other in secret_key(), mutation in mutation()) {
        let line = secret.sign(realisation.fingerprint().as_bytes());
        let verify = |line: NamedSignature, key: PublicKey| {
            let name = line.name().clone();
            let signed = SignedRealisation { realisation: realisation.clone(), signatures: vec![line] };
            signed.verify(|asked| (*asked == name).then_some(&key))
        };
        let verified = verify(line.clone(), secret.public()).unwrap();
        prop_assert_eq!(verified.signatures(), &[(secret.public().id(), *line.signature())][..]);
        prop_assert!(verify(line.clone(), other.public()).is_err());
        if let Ok(bytes) = <[u8; 64]>::try_from(mutation.of(line.signature().as_bytes())) {
            let damaged = NamedSignature::new(line.name().clone(), Signature::from_bytes(bytes));
            prop_assert_eq!(verify(damaged.clone(), secret.public()).is_ok(), damaged == line);
        }
    }
}

/// See `tests/vectors/README.md`.
#[test]
fn realisations_that_nix_signed_verify_and_print_as_it_wrote_them() {
    let vectors = tests::program::project().join("tests/vectors/realisations");
    for file in ["nix-2.8/inner", "nix-2.8/outer", "nix-2.34/outer"] {
        let path = vectors.join(file).with_extension("doi");
        let json = fs::read_to_string(&path).unwrap();
        let key = fs::read_to_string(path.with_file_name("keys")).unwrap();
        let key: PublicKey = key.trim().parse().unwrap();
        let signed = read(json.as_bytes()).unwrap();
        assert_eq!(signed.print(), json, "{file}");
        let verify =
            |signed: SignedRealisation| signed.verify(|name| (name == key.name()).then_some(&key));
        assert_eq!(verify(signed.clone()).unwrap().signatures().len(), 1, "{file}");

        let mut elsewhere = signed.clone();
        elsewhere.realisation.out_path = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-evil".parse().unwrap();
        assert_eq!(verify(elsewhere), Err(RealisationError::Signature(key.name().clone())));
        let mut depending = signed;
        let dependencies = &mut depending.realisation.dependencies;
        if dependencies.pop_first().is_none() {
            let id = depending.realisation.id.clone();
            dependencies.insert(id, depending.realisation.out_path.clone());
        }
        assert!(verify(depending).is_err(), "{file}");
    }
}

#[test]
fn what_two_readers_could_read_in_two_ways_is_refused() {
    let hash = "0".repeat(64);
    let (id, path) = (format!("sha256:{hash}!out"), "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-a");
    let good = format!(
        r#"{{"dependentRealisations":{{"{id}":"{path}"}},"id":"{id}","outPath":"{path}","signatures":[]}}"#
    );
    assert_eq!(read(good.as_bytes()).unwrap().print(), good);
    let bare = format!(r#"{{"id":"{id}","outPath":"{path}"}}"#);
    assert!(read(bare.as_bytes()).unwrap().signatures.is_empty());
    for (bad, why) in [
        (good.replace(r#""signatures":[]"#, r#""signature":[]"#), "unknown field"),
        (good.replace(r#""id":"#, r#""id":"sha256:","id":"#), "id is not sha256"),
        (good.replace(r#""id""#, &format!(r#""id":"{id}","id""#)), "duplicate field"),
        (good.replacen('{', "{\"x\":1,", 1), "unknown field"),
        (
            good.replacen(
                &format!(r#"{{"{id}":"{path}""#),
                &format!(r#"{{"{id}":"{path}","{id}":"{path}b""#),
                1,
            ),
            "a second path",
        ),
        (good.replace("!out\",\"outPath", "\",\"outPath"), "id is not sha256"),
        (good.replace("!out\",\"outPath", "!../out\",\"outPath"), "starts with a dot"),
        (good.replace("!out\",\"outPath", "!o!t\",\"outPath"), "byte 0x21"),
        (good.replace("sha256:0", "sha256:A"), "id is not sha256"),
        (good.replace("sha256:0", "sha512:0"), "id is not sha256"),
        (good.replace("\"outPath\":\"", "\"outPath\":\"/nix/store/"), "not a hash part"),
        (good.replace("[]", r#"["alice:short"]"#), "base 64 of 64"),
        (good.replace("[]", "[[]]"), "invalid type"),
        (format!("{good}{good}"), "trailing"),
        (good[..good.len() - 1].to_owned(), "EOF"),
    ] {
        let error = read(bad.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(why), "{bad}: {error} does not say {why}");
    }
}

#[test]
fn more_signatures_than_a_narinfo_may_have_are_refused() {
    let line = NamedSignature::new("a".parse().unwrap(), Signature::from_bytes([1; 64]));
    let realisation = Realisation {
        id: format!("sha256:{}!out", "0".repeat(64)).parse().unwrap(),
        out_path: "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-a".parse().unwrap(),
        dependencies: [].into(),
    };
    let of = |count| SignedRealisation {
        realisation: realisation.clone(),
        signatures: vec![line.clone(); count],
    };
    assert!(read(of(256).print().as_bytes()).is_ok());
    let error = read(of(257).print().as_bytes()).unwrap_err().to_string();
    assert!(error.contains("257 signatures"), "{error}");
}
