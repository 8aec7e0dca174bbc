//! Signatures that do not hold, and keys that nobody could hold anything by.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schema::key::SecretKey;
use schema::narinfo::NarInfo;
use schema::signature::{NamedSignature, Signature};
use serde_json::json;
use tests::nar;

use super::{Case, Target};

/// L, the order of Ed25519's group, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn good(target: &Target) -> NarInfo {
    let nar = nar::file(b"signed");
    target.upload(&nar);
    target.narinfo(&nar::path("signed", "signed"), &nar, &[])
}

/// The same signature with S + L for S: it solves the same equation.
fn respelled(signature: &Signature) -> Signature {
    let (mut bytes, mut carry) = (*signature.as_bytes(), 0);
    for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    Signature::from_bytes(bytes)
}

fn named(name: &str, signature: Signature) -> NamedSignature {
    NamedSignature::new(name.parse().expect("a name"), signature)
}

#[test]
fn only_the_named_keys_own_signature_counts() {
    let target = Target::start(&[]);
    let good = good(&target);
    let fingerprint = good.claim.signed_bytes();
    let by = |key: &SecretKey| key.sign(fingerprint.as_bytes());
    let own = *good.signatures[0].signature();
    let mut flipped = *own.as_bytes();
    flipped[40] ^= 1;
    let (bob, carol, mallory) = (nar::key("bob", 2), nar::key("carol", 3), nar::key("alice", 9));
    let path = format!("{}.narinfo", good.claim.path().base().hash_part());
    let signed = |signatures: &[NamedSignature]| {
        NarInfo { signatures: signatures.to_vec(), ..good.clone() }.print_nix()
    };
    let put = |view: &str, text: String| target.put(&format!("/{view}{path}"), text);
    let invalid = |name: &str, signature: NamedSignature| {
        Case::new(name, &put("as/alice/", signed(&[signature])), 422, "signature_invalid")
    };
    target.refuses(vec![
        invalid("one bit flipped", named("alice", Signature::from_bytes(flipped))),
        invalid("another key's under her name", by(&mallory)).saying("alice"),
        invalid("Bob's under her name", named("alice", *by(&bob).signature())),
        invalid("zeros", named("alice", Signature::from_bytes([0; 64]))),
        invalid("ones", named("alice", Signature::from_bytes([0xff; 64]))),
        invalid("S not reduced", named("alice", respelled(&own))),
        invalid("over something else", target.alice.sign(b"1;something else")),
        Case::new(
            "one good and one bad",
            &put("", signed(&[by(&bob), named("alice", *by(&mallory).signature())])),
            422,
            "signature_invalid",
        ),
        Case::new("nobody's", &put("", signed(&[])), 422, "unsigned").saying("secret-key"),
        Case::new(
            "nobody's, in her view",
            &put("as/alice/", signed(&[])),
            422,
            "not_signed_by_builder",
        )
        .saying("secret-key"),
        Case::new("a stranger's", &put("", signed(&[by(&carol)])), 422, "unknown_signer")
            .saying("carol"),
        Case::new(
            "Bob's, in her view",
            &put("as/alice/", signed(&[by(&bob)])),
            422,
            "not_signed_by_builder",
        )
        .saying("alice"),
        Case::new(
            "in a stranger's view",
            &put("as/carol/", signed(&[by(&carol)])),
            422,
            "not_signed_by_builder",
        ),
    ]);
    assert_eq!(target.get(&format!("/{path}")).status, 404);
    target.must_take(&put("as/alice/", signed(&[by(&carol), named("alice", own)])));
}

#[test]
fn a_signature_has_one_spelling() {
    let target = Target::start(&[]);
    let good = good(&target);
    let text = good.print_nix();
    let own = good.signatures[0].to_string();
    let (name, base64) = own.split_once(':').expect("a signature");
    let spare = format!("{}{}==", &base64[..85], next_letter(base64.as_bytes()[85]));
    let address = format!("/as/alice/{}.narinfo", good.claim.path().base().hash_part());
    let spelled = |title: &str, spelling: String| {
        let text = text.replace(&own, &spelling);
        Case::new(title, &target.put(&address, text), 400, "narinfo_malformed").saying("Sig")
    };
    target.refuses(vec![
        spelled("no signature", format!("{name}:")),
        spelled("no name", format!(":{base64}")),
        spelled("no colon", base64.to_owned()),
        spelled("63 bytes", format!("{name}:{}", &base64[..84])),
        spelled("66 bytes", format!("{name}:{}AAAA", &base64[..84])),
        spelled("no padding", format!("{name}:{}", &base64[..86])),
        spelled("spare bits set", format!("{name}:{spare}")),
        spelled("URL's alphabet", format!("{name}:{}==", "-_".repeat(43))),
        spelled("a space before it", format!("{name}: {base64}")),
        spelled("a space after it", format!("{name}:{base64} ")),
        spelled("a name with a space", format!("al ice:{base64}")),
        spelled("a long name", format!("{}:{base64}", "a".repeat(129))),
        spelled("not base 64", format!("{name}:{}", "!".repeat(88))),
    ]);
    target.must_take(&target.put(&address, text));
}

/// The base-64 digit after this one, which ends the same bytes with a bit more.
fn next_letter(digit: u8) -> char {
    match digit {
        b'A' => 'B',
        b'Q' => 'R',
        b'g' => 'h',
        b'w' => 'x',
        other => panic!("{other} does not end 64 bytes"),
    }
}

#[test]
fn only_good_keys_with_free_names_are_enrolled() {
    let target = Target::start(&[]);
    let line = |name: &str, bytes: [u8; 32]| format!("{name}:{}", STANDARD.encode(bytes));
    let point = |first: u8, middle: u8, last: u8| {
        let mut bytes = [middle; 32];
        (bytes[0], bytes[31]) = (first, last);
        bytes
    };
    let enrol = |title: &str, key: String, status, code| {
        Case::new(
            title,
            &target.post("/api/v1/signers", json!({ "public_key": key }).to_string()),
            status,
            code,
        )
    };
    let malformed = |title: &str, key: String| enrol(title, key, 400, "json_malformed");
    let alice = target.alice.public().to_string();
    let digits = alice.trim_start_matches("alice:");
    target.refuses(vec![
        malformed("the identity", line("eve", point(1, 0, 0))).saying("small order"),
        malformed("order 4", line("eve", [0; 32])).saying("small order"),
        malformed("order 2", line("eve", point(0xec, 0xff, 0x7f))).saying("small order"),
        malformed("the identity, respelled", line("eve", point(0xee, 0xff, 0x7f)))
            .saying("canonical"),
        malformed("y beyond p", line("eve", [0xff; 32])).saying("canonical"),
        malformed("no point", line("eve", point(2, 0, 0))).saying("point"),
        malformed("31 bytes", format!("eve:{}", &digits[..40])),
        malformed("a secret key", target.alice.to_text().to_string()).saying("32 bytes"),
        malformed("a name with a slash", format!("a/b:{digits}")).saying("name"),
        malformed("a name with a comma", format!("a,b:{digits}")),
        malformed("no name", format!(":{digits}")),
        malformed("a long name", format!("{}:{digits}", "a".repeat(129))),
        enrol("a name that is taken", nar::key("alice", 7).public().to_string(), 409, "name_taken"),
        enrol("a key that has a name", format!("alice-2:{digits}"), 409, "key_enrolled")
            .saying("alice"),
    ]);
    target.enrol(&nar::key("carol", 3).public());
}
