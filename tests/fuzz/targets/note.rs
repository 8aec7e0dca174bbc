//! Whatever reads as a note, a checkpoint, a signature line or a verifier's key has one spelling, and
//! only who has the key makes what verifies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::tlog::checkpoint::{Checkpoint, UnverifiedCheckpoint};
use schema::tlog::note::{Note, NoteSignature, VerifierKey};
use schema::tlog::witness::{parse_cosignatures, print_cosignatures};

/// Of the log and the witness in the seed `cosigned`.
const KEYS: [&str; 2] = [
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f",
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
];

/// What that log signed.
const ROOT: &str = "U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=";

fuzz_target!(|data: &[u8]| {
    let [log, witness] = KEYS.map(|key| key.parse::<VerifierKey>().expect("it is a key"));
    if let Ok(note) = Note::parse(data) {
        assert_eq!(note.to_string().as_bytes(), data);
        if let Ok(keys) = note.verify([&log, &witness]) {
            assert!(!keys.is_empty() && note.text().contains(ROOT));
        }
    }
    if let Ok(checkpoint) = UnverifiedCheckpoint::parse(data) {
        assert_eq!(checkpoint.to_string().as_bytes(), data);
        if let Ok(signed) = checkpoint.verify(&log) {
            assert_eq!(signed.root().to_base64(), ROOT);
            if let Ok(found) = signed.cosignatures([&witness]) {
                assert!(found.len() <= 1, "one for each witness");
            }
        }
    }
    if let Ok(lines) = parse_cosignatures(data) {
        assert_eq!(print_cosignatures(&lines).as_bytes(), data);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(checkpoint) = text.parse::<Checkpoint>() {
        assert_eq!(checkpoint.to_string(), text);
    }
    if let Ok(line) = text.parse::<NoteSignature>() {
        assert_eq!(line.to_string(), text);
    }
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text);
    }
});
