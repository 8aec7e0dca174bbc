use std::sync::Arc;

use super::*;
use crate::key::SecretKey;

const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const SEED: &str = "gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM=";

/// The example of Go's golang.org/x/mod/sumdb/note, which the format comes from.
const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\
    \n\
    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn key() -> VerifierKey {
    KEY.parse().unwrap()
}

fn signer(name: &str) -> NoteSigner {
    let seed = STANDARD.decode(SEED).unwrap().try_into().unwrap();
    let secret = SecretKey::from_seed("elsewhere-1".parse().unwrap(), &seed);
    NoteSigner::new(name.parse().unwrap(), Arc::new(secret)).unwrap()
}

#[test]
fn the_best_known_note_reads_prints_and_verifies() {
    let note = Note::parse(NOTE.as_bytes()).unwrap();
    assert_eq!(note.to_string(), NOTE);
    assert_eq!(note.verify(&[key()]), Ok(vec![&key()]));
    assert_eq!(note.signatures()[0].key_id(), 0xc74f_20a3);
    assert_eq!(key().to_string(), KEY);
}

#[test]
fn the_same_key_signs_the_same() {
    let signer = signer("PeterNeumann");
    assert_eq!(*signer.verifier(), key());
    let text = Note::parse(NOTE.as_bytes()).unwrap().text().to_owned();
    assert_eq!(signer.sign(text).unwrap().to_string(), NOTE);
}

#[test]
fn strangers_are_not_looked_at_and_known_keys_must_be_right() {
    let mut note = Note::parse(NOTE.as_bytes()).unwrap();
    let other = signer("host/attestations").verifier().clone();
    assert_eq!(note.verify([&other]), Err(NoteError::NotSigned));
    assert_eq!(note.verify(&[]), Err(NoteError::NotSigned));
    let forged = NoteSignature::new(&other, &[7; 64]);
    note.add(forged.clone()).unwrap();
    assert_eq!(note.verify(&[key()]), Ok(vec![&key()]));
    let bad = Err(NoteError::BadSignature(other.name().clone()));
    assert_eq!(note.verify(&[key(), other.clone()]), bad);
    note.add(NoteSignature::new(&other, &[7; 63])).unwrap();
    assert_eq!(note.signatures().len(), 2, "one for each key");
    assert_eq!(note.verify(&[key(), other]), bad);
}

#[test]
fn an_empty_line_may_stand_in_the_text() {
    let note = signer("a").sign("one\n\n— not a signature\n\n".to_owned()).unwrap();
    let read = Note::parse(note.to_string().as_bytes()).unwrap();
    assert_eq!(read.text(), "one\n\n— not a signature\n\n");
    assert_eq!(read, note);
}

#[test]
fn loose_notes_are_refused() {
    let line = NOTE.rsplit_once("\n\n").unwrap().1;
    for (note, error) in [
        (String::new(), NoteError::NoSignatures),
        ("text\n".to_owned(), NoteError::NoSignatures),
        ("text\n\n".to_owned(), NoteError::NoSignatures),
        (format!("text\n{line}"), NoteError::NoSignatures),
        (format!("text\n\n{}", line.trim_end()), NoteError::NoSignatures),
        (format!("text\n\n\n{}", line.replace('=', "")), NoteError::SignatureLine),
        (format!("text\n\n{line}rest\n"), NoteError::SignatureLine),
        (format!("text\n\n{}", line.replace('—', "-")), NoteError::SignatureLine),
        (format!("text\n\n{}", line.replace(" x08", "  x08")), NoteError::SignatureLine),
        (format!("text\n\n{}", line.replace("Neu", "+")), NoteError::SignatureLine),
        ("text\n\n— a AAAAAA==\n".to_owned(), NoteError::SignatureLine),
        (format!("te\txt\n\n{line}"), NoteError::Characters),
        (format!("text\r\n\n{line}"), NoteError::Characters),
        (format!("text\n\n{}", line.repeat(17)), NoteError::TooLarge),
        (format!("{}\n\n{line}", "x".repeat(MAX_NOTE_LEN)), NoteError::TooLarge),
    ] {
        assert_eq!(Note::parse(note.as_bytes()), Err(error), "{note:.90}");
    }
    assert_eq!(Note::parse(b"t\xff\n\n\xe2\x80\x94 a AAAAAAA=\n"), Err(NoteError::Characters));
    assert_eq!(signer("a").sign("text".to_owned()), Err(NoteError::Unterminated));
    assert_eq!(signer("a").sign("a\u{1}b\n".to_owned()), Err(NoteError::Characters));
    assert!(Note::parse(format!("text\n\n{}", line.repeat(16)).as_bytes()).is_ok());
}

#[test]
fn a_note_that_is_made_can_be_read() {
    let line = signer("a").sign("x\n".to_owned()).unwrap().signatures()[0].line_len();
    let longest = "x".repeat(MAX_NOTE_LEN - line - 2) + "\n";
    let note = signer("a").sign(longest.clone()).unwrap();
    assert_eq!(note.to_string().len(), MAX_NOTE_LEN);
    assert_eq!(Note::parse(note.to_string().as_bytes()), Ok(note.clone()));
    assert_eq!(signer("a").sign("x".to_owned() + &longest), Err(NoteError::TooLarge));
    let mut full = note.clone();
    let more = signer("b").sign("x\n".to_owned()).unwrap().signatures()[0].clone();
    assert_eq!(full.add(more), Err(NoteError::TooLarge));
    assert_eq!(full, note);
}

#[test]
fn loose_keys_are_refused() {
    let key = |text: &str| text.parse::<VerifierKey>();
    assert_eq!(key(&KEY.replace("c74f", "C74F")), Err(NoteKeyError::Id));
    assert_eq!(key(&KEY.replace("c74f", "+c74f")), Err(NoteKeyError::Base64));
    assert_eq!(key(&KEY.replace("c74f", "074f")), Err(NoteKeyError::Id));
    assert_eq!(key(&KEY.replace("Peter", "Petra")), Err(NoteKeyError::Id));
    assert_eq!(key(&KEY.replace("+AR", "+AA")), Err(NoteKeyError::Kind(0)));
    assert_eq!(key(&KEY.replace("+AR", "+BR")), Err(NoteKeyError::Kind(5)));
    assert_eq!(key(&KEY.replace("10TW", "")), Err(NoteKeyError::Base64));
    assert_eq!(key("a+00000000+"), Err(NoteKeyError::Base64));
    assert_eq!(key("a+00000000+AQ=="), Err(NoteKeyError::Base64));
    assert_eq!(key("a+00000000"), Err(NoteKeyError::Form));
    assert_eq!(key("a"), Err(NoteKeyError::Form));
    let small = format!("a+00000000+{}", STANDARD.encode([&[1_u8][..], &[0; 32]].concat()));
    assert_eq!(key(&small), Err(NoteKeyError::Key(crate::key::KeyError::SmallOrder)));
    let long = "x".repeat(256);
    for name in ["", " ", "a b", "a+b", "a\u{a0}b", "a\u{2003}", "a\n", "a\u{0}", &long] {
        assert_eq!(name.parse::<NoteName>(), Err(NoteKeyError::Name), "{name:?}");
    }
    for name in ["host/attestations", "transparency.dev/DEV:witness-little-garden", "ä"] {
        assert_eq!(name.parse::<NoteName>().unwrap().as_str(), name);
    }
}
