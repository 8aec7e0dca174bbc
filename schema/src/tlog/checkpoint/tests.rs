use std::sync::Arc;

use super::super::note::NoteSigner;
use super::*;
use crate::key::SecretKey;

const TEXT: &str =
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

fn signer(name: &str, seed: u8) -> NoteSigner {
    let secret = SecretKey::from_seed("log-1".parse().unwrap(), &[seed; 32]);
    NoteSigner::new(name.parse().unwrap(), Arc::new(secret)).unwrap()
}

fn read(text: &str) -> Result<Checkpoint, CheckpointError> {
    text.parse()
}

/// The example of the document, whose key is not known.
#[test]
fn the_documents_example_reads_and_prints() {
    let file = format!(
        "{TEXT}\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    );
    let checkpoint = UnverifiedCheckpoint::parse(file.as_bytes()).unwrap();
    assert_eq!(checkpoint.to_string(), file);
    let checkpoint = checkpoint.checkpoint();
    assert_eq!(checkpoint.origin().as_str(), "example.com/behind-the-sofa");
    assert_eq!(checkpoint.size(), 20_852_163);
    assert_eq!(checkpoint.root().to_base64(), "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=");
    assert_eq!(checkpoint.to_string(), TEXT);
}

#[test]
fn extension_lines_are_kept() {
    let checkpoint = read(&format!("{TEXT}one\ntwo\n")).unwrap();
    assert_eq!(checkpoint.extensions().collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(checkpoint.to_string(), format!("{TEXT}one\ntwo\n"));
}

#[test]
fn loose_texts_are_refused() {
    let root = EMPTY_ROOT.to_base64();
    let long = "x".repeat(256);
    for (text, error) in [
        ("", CheckpointError::Lines),
        ("a\n1\n", CheckpointError::Lines),
        (TEXT.trim_end(), CheckpointError::Lines),
        (&format!("{TEXT}\n"), CheckpointError::Lines),
        (&format!("{TEXT}\nmore\n"), CheckpointError::Lines),
        (&format!("{TEXT}mo\u{1}re\n"), CheckpointError::Lines),
        (&format!("\n1\n{root}\n"), CheckpointError::Origin),
        (&format!("a\tb\n1\n{root}\n"), CheckpointError::Origin),
        (&format!("{long}\n1\n{root}\n"), CheckpointError::Origin),
        (&format!("a\n01\n{root}\n"), CheckpointError::Size),
        (&format!("a\n+1\n{root}\n"), CheckpointError::Size),
        (&format!("a\n\n{root}\n"), CheckpointError::Size),
        (&format!("a\n4611686018427387905\n{root}\n"), CheckpointError::Size),
        (&format!("a\n18446744073709551616\n{root}\n"), CheckpointError::Size),
        (&format!("a\n1\n{}\n", &root[..43]), CheckpointError::Root),
        (&format!("a\n1\n {root}\n"), CheckpointError::Root),
        (&TEXT.replace("20852163", "0"), CheckpointError::Root),
    ] {
        assert_eq!(read(text), Err(error), "{text:?}");
    }
    assert!(read(&format!("a log\n0\n{root}\n")).is_ok());
    assert!(read(&format!("a\n4611686018427387904\n{root}\n")).is_ok());
}

#[test]
fn a_checkpoint_is_opened_with_its_own_logs_key_alone() {
    let log = signer("pool.example/attestations", 1);
    let origin = Origin::from(log.verifier().name());
    let checkpoint = Checkpoint::new(origin, 7, TreeHash::of(b"root")).unwrap();
    let signed = SignedCheckpoint::sign(checkpoint.clone(), &log).unwrap();
    let file = signed.to_string();
    assert_eq!(SignedCheckpoint::open(file.as_bytes(), log.verifier()), Ok(signed));
    let open = |key: &NoteSigner| SignedCheckpoint::open(file.as_bytes(), key.verifier());
    let impostor = signer("pool.example/attestations", 2);
    assert_eq!(open(&impostor), Err(CheckpointError::Note(NoteError::NotSigned)));
    let other = signer("pool.example/keys", 1);
    assert!(matches!(open(&other), Err(CheckpointError::OtherLog { .. })));
    let refused = SignedCheckpoint::sign(checkpoint, &other);
    assert!(matches!(refused, Err(CheckpointError::OtherLog { .. })));
    let grown = file.replace("\n7\n", "\n8\n");
    let grown = SignedCheckpoint::open(grown.as_bytes(), log.verifier());
    assert_eq!(
        grown,
        Err(CheckpointError::Note(NoteError::BadSignature(log.verifier().name().clone())))
    );
}
