//! The JSON API: bodies that are not JSON, say too much, or do not hold.

use schema::api::AttestItem;
use schema::enrolment;
use schema::hash::NarHash;
use schema::key::SecretKey;
use serde_json::{Value, json};
use tests::nar;
use tests::wire::Request;

use super::{Case, Target};

fn attest(target: &Target, items: &[Value]) -> Request {
    target.post("/api/v1/attestations", json!({ "attestations": items }).to_string())
}

fn item(target: &Target) -> (Vec<u8>, Value) {
    let nar = nar::file(b"attested");
    let item = nar::attestation(&target.alice, &nar::path("attested", "attested"), &nar, &[]);
    (nar, json!(item))
}

fn with(item: &Value, key: &str, value: Value) -> Value {
    let mut item = item.clone();
    item[key] = value;
    item
}

#[test]
fn bodies_that_are_not_what_is_asked_for() {
    let target = Target::start(&[]);
    let (nar, good) = item(&target);
    target.upload(&nar);
    let hash = NarHash::of(b"x").to_string();
    let mut unnamed = good.clone();
    unnamed.as_object_mut().expect("an object").remove("signature");
    let malformed = |name: &str, request: Request| Case::new(name, &request, 400, "json_malformed");
    let (signers, missing, attestations) =
        ("/api/v1/signers", "/api/v1/nars/missing", "/api/v1/attestations");
    target.refuses(vec![
        malformed("nothing", target.post(attestations, "")),
        malformed("no JSON", target.post(attestations, "attestations=1")),
        malformed("half of it", target.post(attestations, r#"{"attestations": ["#)).saying("EOF"),
        malformed("two of it", target.post(missing, r#"{"nar_hashes": []} {}"#)).saying("trailing"),
        malformed("no UTF-8", target.post(missing, b"{\"nar_hashes\": [\"\xff\"]}".to_vec())),
        malformed("another type", target.post(missing, r#"{"nar_hashes": "all"}"#)),
        malformed("a deep body", target.post(missing, "[".repeat(100_000))),
        malformed("an unknown field", target.post(missing, r#"{"nar_hashes": [], "all": true}"#))
            .saying("unknown field"),
        malformed("a field twice", target.post(missing, r#"{"nar_hashes": [], "nar_hashes": []}"#))
            .saying("duplicate"),
        malformed("a field missing", target.post(signers, "{}")).saying("public_key"),
        malformed(
            "a hash in capitals",
            target.post(missing, json!({ "nar_hashes": [hash.to_uppercase()] }).to_string()),
        ),
        malformed(
            "an unknown field of an attestation",
            attest(&target, &[with(&good, "trusted", json!(true))]),
        ),
        malformed("a field of an attestation missing", attest(&target, &[unnamed])),
        malformed("a size below zero", attest(&target, &[with(&good, "nar_size", json!(-1))])),
        malformed(
            "a size with a fraction",
            attest(&target, &[with(&good, "nar_size", json!(1.5))]),
        ),
        malformed(
            "a path out of the store",
            attest(&target, &[with(&good, "store_path", json!("/nix/store/../x"))]),
        ),
        malformed(
            "a path with a newline",
            attest(
                &target,
                &[with(
                    &good,
                    "store_path",
                    json!(format!("{}\n", good["store_path"].as_str().unwrap_or_default())),
                )],
            ),
        )
        .saying("0x0a"),
        malformed(
            "a short signature",
            attest(&target, &[with(&good, "signature", json!("alice:AAAA"))]),
        )
        .saying("64 bytes"),
        Case::new(
            "a long enrolment",
            &target.post(signers, " ".repeat(5000)),
            413,
            "body_too_large",
        ),
        Case::new(
            "too many hashes",
            &target.post(missing, json!({ "nar_hashes": vec![hash; 100_001] }).to_string()),
            413,
            "too_many_hashes",
        ),
        Case::new(
            "too long a list of hashes",
            &target.post(missing, vec![b' '; 6_400_065]),
            413,
            "body_too_large",
        ),
        Case::new(
            "too many attestations",
            &attest(&target, &vec![good.clone(); 100_001]),
            413,
            "too_many_attestations",
        ),
        Case::new(
            "a body that breaks off",
            &target.post(attestations, "{").announcing(100),
            400,
            "body_truncated",
        )
        .breaking_off(),
    ]);
    target.must_take(&attest(&target, &[good]));
}

#[test]
fn attestations_that_do_not_hold_are_refused_with_all_that_came_with_them() {
    let target = Target::start(&[]);
    let (nar, good) = item(&target);
    target.upload(&nar);
    let sign = |key: &SecretKey, nar_size: u64| {
        let item: AttestItem = serde_json::from_value(good.clone()).expect("an attestation");
        let claim =
            schema::claim::Claim::new(item.store_path.clone(), item.nar_hash, nar_size, vec![])
                .expect("a claim");
        json!(AttestItem { nar_size, signature: key.sign(claim.signed_bytes().as_bytes()), ..item })
    };
    let (carol, mallory) = (nar::key("carol", 3), nar::key("alice", 9));
    let size = nar.len() as u64;
    let reference = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-x";
    let refused = |name: &str, item: Value, code| {
        // What comes first would hold, but all are taken or none.
        Case::new(name, &attest(&target, &[sign(&nar::key("bob", 2), size), item]), 422, code)
            .saying("attestation 1")
    };
    target.refuses(vec![
        refused("a stranger's", sign(&carol, size), "unknown_signer"),
        refused("an impostor's", sign(&mallory, size), "signature_invalid"),
        refused(
            "over other references",
            with(&good, "references", json!([reference])),
            "signature_invalid",
        ),
        refused(
            "a reference twice",
            with(&good, "references", json!([reference, reference])),
            "claim_malformed",
        ),
        refused(
            "too many references",
            with(&good, "references", json!(vec![reference; 8193])),
            "claim_malformed",
        ),
        refused("no size", with(&good, "nar_size", json!(0)), "claim_malformed"),
        refused(
            "another store",
            with(&good, "store_path", json!("/home/store/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-x")),
            "other_store",
        ),
        Case::new(
            "a size that the NAR has not",
            &attest(&target, &[sign(&target.alice, size + 8)]),
            422,
            "nar_size_mismatch",
        ),
    ]);
    target.must_take(&attest(&target, &[sign(&nar::key("bob", 2), size), good]));
}

#[test]
fn nobody_enrols_a_key_without_a_right_to() {
    let target = Target::start(&[]);
    let carol = nar::key("carol", 3);
    let open = Target::start(&["--open-enrolment", "true"]);
    let request = |body: Value| Request::new("POST", "/api/v1/signers").body(body.to_string());
    let bare = json!({ "public_key": carol.public() });
    target.refuses(vec![
        Case::new("enrolment is closed", &request(bare.clone()), 403, "enrolment_closed"),
        Case::new(
            "a token that may not",
            &request(bare.clone()).token(&target.server.token("read,upload,attest")),
            403,
            "enrolment_closed",
        ),
    ]);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock")
        .as_secs();
    let proven = |made_at: u64, by: &SecretKey, said: u64| {
        let signature = enrolment::prove(by, made_at);
        request(
            json!({ "public_key": carol.public(), "proof": { "made_at": said, "signature": signature } }),
        )
    };
    let invalid = |name: &str, request| Case::new(name, &request, 403, "proof_invalid");
    open.refuses(vec![
        Case::new("no proof", &request(bare), 403, "proof_missing").saying("pool signer enrol"),
        invalid("an old proof", proven(now - 1000, &carol, now - 1000)),
        invalid("a proof from the future", proven(now + 1000, &carol, now + 1000)),
        invalid("an old proof with a new date", proven(now - 1000, &carol, now)),
        invalid("another key's proof", proven(now, &nar::key("carol", 4), now)),
        invalid("another name's proof", proven(now, &nar::key("carol-2", 3), now)),
    ]);
    open.must_take(&proven(now, &carol, now));
}
