//! Signatures of Guix: what libgcrypt has made verifies, and is made again byte for byte.

use std::fs;

use proptest::prelude::*;
use schema::guix::ecdsa::{EcdsaKey, EcdsaSecret, EcdsaSignature};
use schema::guix::key_file::{parse_public, print_public};
use schema::guix::signature::{GuixSignature, GuixSignatureError};
use schema::sexp::Sexp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tests::program::project;

fn vector(name: &str) -> Vec<u8> {
    fs::read(project().join("tests/vectors/guix").join(name)).unwrap()
}

fn hex<const LEN: usize>(value: &Value) -> [u8; LEN] {
    let text = value.as_str().unwrap();
    let bytes = (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..][..2], 16));
    bytes.collect::<Result<Vec<_>, _>>().unwrap().try_into().unwrap()
}

fn sha256(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

#[test]
fn libgcrypts_signatures_verify_and_ours_are_the_same() {
    let vectors: Value = serde_json::from_slice(&vector("ecdsa.json")).unwrap();
    let vectors = vectors["ecdsa"].as_array().unwrap();
    assert!(vectors.len() > 20);
    for vector in vectors {
        let secret = EcdsaSecret::from_bytes(&hex(&vector["d"])).unwrap();
        let key = EcdsaKey::from_bytes(&hex(&vector["q"])).unwrap();
        assert_eq!(secret.public(), key);
        let hash = sha256(vector["msg"].as_str().unwrap().as_bytes());
        assert_eq!(hash, hex(&vector["sha256"]));
        let text = latin1(vector["sig_sexp"].as_str().unwrap());
        let read = GuixSignature::parse(&text).unwrap();
        assert!(read.holds(&hash) && *read.key() == key);
        let ours = GuixSignature::sign(&secret, hash);
        assert_eq!(ours.to_sexp().print(), text);
    }
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect()
}

/// The text of a Scheme string as Guile writes it, in Latin-1.
fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        out.push(match char {
            '\\' => match chars.next().unwrap() {
                'n' => b'\n',
                'r' => b'\r',
                't' => b'\t',
                'x' => {
                    let digits: String = chars.by_ref().take(2).collect();
                    u8::from_str_radix(&digits, 16).unwrap()
                }
                other => u8::try_from(other).unwrap(),
            },
            other => u8::try_from(u32::from(other)).unwrap(),
        });
    }
    out
}

#[test]
fn values_that_happen_to_be_text_are_read_and_written_as_text() {
    let text = String::from_utf8(vector("quoted-values.txt")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() > 3);
    for line in lines {
        let (message, rest) = line[2..].split_once("\" \"").unwrap();
        let expression = unescaped(rest.strip_suffix("\" #t)").unwrap());
        let read = GuixSignature::parse(&expression).unwrap();
        assert!(read.holds(&sha256(&unescaped(message))), "{message}");
        assert_eq!(read.to_sexp().print(), expression, "{message}");
        assert_eq!(GuixSignature::parse_line(&read.to_line("vm")), Ok(read));
    }
}

#[test]
fn narinfos_by_guix_publish_hold() {
    let names = [
        "d65b0whlqqa0dzxh2vkb232f7jjphdgi.narinfo",
        "qjn255qfwia10b4dabwshvhpsgf1w2d7.narinfo",
        "sr37x1sjhsgj193l0avparp0x2vhvllq.narinfo",
    ];
    let file = String::from_utf8(vector("signing-key.pub")).unwrap();
    let key = parse_public(&file).unwrap();
    assert_eq!(print_public(&key), file);
    for name in names {
        let narinfo = String::from_utf8(vector(name)).unwrap();
        let (signed, rest) = narinfo.split_once("Signature: ").unwrap();
        let line = rest.lines().next().unwrap();
        let signature = GuixSignature::parse_line(line).unwrap();
        assert_eq!(*signature.key(), key);
        assert!(signature.holds(&sha256(signed.as_bytes())), "{name}");
        assert_eq!(signature.to_line("vm"), line);
    }
}

#[test]
fn no_other_spelling_is_a_signature() {
    let secret = EcdsaSecret::from_bytes(&[7; 32]).unwrap();
    let good = String::from_utf8(GuixSignature::sign(&secret, [1; 32]).to_sexp().print()).unwrap();
    let refuse = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        let read = GuixSignature::parse(good.replacen(from, to, 1).as_bytes());
        read.expect_err(&format!("{from} -> {to}"))
    };
    refuse("sha256", "sha512");
    refuse("rfc6979", "raw");
    refuse("(flags rfc6979)", "(flags rfc6979 prehash)");
    refuse("Ed25519", "Ed448");
    refuse("(curve Ed25519)", "(curve Ed25519) (flags eddsa)");
    refuse("(sig-val", "(comment x) (sig-val");
    refuse("(r #", "(r #00");
    refuse("(s #", "(t #");
    assert_eq!(refuse("(ecdsa", "(rsa"), GuixSignatureError::Rsa);
    for line in ["", "1;vm", "2;vm;KGEp", "1;vm;KGEp;x", "1;vm;!", "1;vm;/w=="] {
        assert!(GuixSignature::parse_line(line).is_err(), "{line}");
    }
}

#[test]
fn keys_with_which_anything_verifies_are_none() {
    // The neutral element, the points of order 2, 4 and 8, one of them in another encoding, and no point.
    let small = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0200000000000000000000000000000000000000000000000000000000000000",
    ];
    for text in small {
        let bytes: [u8; 32] = hex(&Value::from(text));
        assert!(EcdsaKey::from_bytes(&bytes).is_err(), "{text}");
    }
    // A good key plus a point of order 2: the same x and y, negated modulo the field.
    let order: [u8; 32] =
        hex(&Value::from("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed"));
    assert!(EcdsaSecret::from_bytes(&order).is_err());
    assert!(EcdsaSecret::from_bytes(&[0; 32]).is_err());
    assert_eq!(EcdsaSignature::new(&order, &[1]), None);
    assert_eq!(EcdsaSignature::new(&[1], &[]), None);
    assert_eq!(EcdsaSignature::new(&[1], &[0, 1]), None);
    assert!(EcdsaSignature::new(&[1], &[1]).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does(
        secret in any::<[u8; 32]>(), other in any::<[u8; 32]>(), hash in any::<[u8; 32]>(),
        bit in 0_usize..253,
    ) {
        let (secret, other) = (EcdsaSecret::from_bytes(&secret)?, EcdsaSecret::from_bytes(&other)?);
        let signature = secret.sign(&hash);
        prop_assert!(secret.public().verifies(&hash, &signature));
        prop_assert!(!other.public().verifies(&hash, &signature));
        // The last three bits of a hash are not signed; the others are.
        let mut changed = hash;
        changed[bit / 8] ^= 0x80 >> (bit % 8);
        prop_assert!(!secret.public().verifies(&changed, &signature));
        let line = GuixSignature::sign(&secret, hash).to_line("host");
        prop_assert!(GuixSignature::parse_line(&line).unwrap().holds(&hash));
        prop_assert!(!GuixSignature::parse_line(&line).unwrap().holds(&changed));
    }

    #[test]
    fn expressions_lead_back(sexp in sexp()) {
        prop_assert_eq!(Sexp::parse(&sexp.print()).unwrap(), sexp);
    }
}

fn sexp() -> impl Strategy<Value = Sexp> {
    let atom = prop_oneof![
        any::<Vec<u8>>().prop_map(Sexp::Atom),
        "[ -~]{0,9}".prop_map(|text| Sexp::from(text.as_str())),
        "[a-z0-9]{0,9}".prop_map(|text| Sexp::from(text.as_str())),
    ];
    atom.prop_recursive(4, 24, 6, |item| proptest::collection::vec(item, 0..6).prop_map(Sexp::List))
}
