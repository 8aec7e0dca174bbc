use super::*;
use crate::key::SecretKey;

/// An entry as it must be, in pieces that may be exchanged.
const HEAD: &str = r#"{"logged_at":2001,"attestations":9,"event":"#;
const EVENT: &str = r#"{"event":"revoke","key":"29befc63bb643231c43ab92e1adcf9ffd3be9cdb8ab27795b6e11f3ad3951a69","reason":"retired"}"#;
const SIGNATURE: &str = "\"box-1:r9VngHfvBen0M/+x4BOmVWV0OVt7w4a+IKZID+9W4P1Z2oahGX1btsS+AcWojxNfG93wlJ4mkDuWU5u5PPdMAg==\"";

fn entry(event: &str, signatures: &str) -> String {
    format!("{HEAD}{event},\"signatures\":[{signatures}]}}")
}

fn parse(text: &str) -> Result<KeyEntry, KeyEventError> {
    KeyEntry::parse(text.as_bytes())
}

#[test]
fn there_is_one_spelling() {
    let text = entry(EVENT, SIGNATURE);
    assert_eq!(parse(&text).unwrap().to_json(), text.as_bytes());
    let reordered = EVENT.replace(r#""event":"revoke","#, "").replace('}', r#","event":"revoke"}"#);
    for (loose, why) in [
        (text.replace(',', ", "), "spaces"),
        (format!("{text}\n"), "a line's end"),
        (entry(&reordered, SIGNATURE), "another order"),
        (text.replace("2001", "2001.0"), "a fraction"),
        (text.replace("box-1", "box\\u002d1"), "an escape"),
        (text.replace("29be", "29BE"), "capitals"),
        (text.replace("\"retired\"", "{\"retired\":null}"), "the other form of a name"),
        (text.replace(HEAD, &HEAD.replace("2001", "02001")), "a leading zero"),
    ] {
        assert!(parse(&loose).is_err(), "{why}: {loose}");
    }
}

#[test]
fn unknown_repeated_and_missing_fields_are_refused() {
    let text = entry(EVENT, SIGNATURE);
    for bad in [
        text.replace("{\"logged_at\"", "{\"note\":1,\"logged_at\""),
        text.replace("\"reason\"", "\"note\":1,\"reason\""),
        text.replace("\"attestations\":9", "\"attestations\":9,\"attestations\":9"),
        text.replace("\"attestations\":9,", ""),
        text.replace("revoke", "forget"),
        text.replace("\"retired\"", "\"lost\""),
        text.replace("\"retired\"", "{\"compromised\":{\"from\":1,\"to\":2}}"),
        text.replace("\"attestations\":9", "\"attestations\":-9"),
        text.replace("\"attestations\":9", "\"attestations\":18446744073709551616"),
    ] {
        assert!(matches!(parse(&bad), Err(KeyEventError::Json(_))), "{bad}");
    }
}

#[test]
fn one_or_two_signatures_in_order_and_no_entry_without_bounds() {
    let other = SIGNATURE.replace("box", "abc");
    assert!(parse(&entry(EVENT, &format!("{other},{SIGNATURE}"))).is_ok());
    let unsorted = parse(&entry(EVENT, &format!("{SIGNATURE},{other}")));
    assert_eq!(unsorted, Err(KeyEventError::NonCanonical));
    let twice = parse(&entry(EVENT, &format!("{SIGNATURE},{SIGNATURE}")));
    assert_eq!(twice, Err(KeyEventError::RepeatedSignature));
    assert_eq!(parse(&entry(EVENT, "")), Err(KeyEventError::SignatureCount(0)));
    let three = format!("{other},{SIGNATURE},{}", SIGNATURE.replace("box", "cbc"));
    assert_eq!(parse(&entry(EVENT, &three)), Err(KeyEventError::SignatureCount(3)));
    let long = " ".repeat(MAX_KEY_ENTRY_LEN) + &entry(EVENT, SIGNATURE);
    assert_eq!(parse(&long), Err(KeyEventError::Length(long.len())));
}

#[test]
fn signatures_are_sorted_as_texts_and_over_the_published_bytes() {
    let (old, new) = (key("alice-1", 1), key("alice-1", 2));
    let event = KeyEvent::Rotate { old: old.public().id(), key: new.public() };
    let bytes = event.signed_bytes("pool/keys");
    assert!(bytes.starts_with(b"narpool-key-event/1\npool/keys\n{\"event\":\"rotate\",\"old\":"));
    let signed = event.clone().sign("pool/keys", &[&new, &old]).unwrap();
    assert_eq!(signed, event.clone().sign("pool/keys", &[&old, &new]).unwrap());
    let texts: Vec<String> = signed.signatures().iter().map(ToString::to_string).collect();
    assert!(texts.is_sorted(), "{texts:?}");
    for key in [&old.public(), &new.public()] {
        assert!(signed.signatures().iter().any(|it| key.verifies(&bytes, it.signature())));
    }
    assert_eq!(event.sign("pool/keys", &[&old, &old]), Err(KeyEventError::RepeatedSignature));
}

fn key(name: &str, seed: u8) -> SecretKey {
    SecretKey::from_seed(name.parse().unwrap(), &[seed; 32])
}
