use super::super::checkpoint::{Checkpoint, CheckpointError, Origin};
use super::super::merkle::EMPTY_ROOT;
use super::super::note::NoteSigner;
use super::*;

/// A checkpoint of a public log and its witnesses, of May 2026. Its first signature is of type 5.
const FILE: &str = "arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
";

const LOG: &str =
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";

const REMORA: &str = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";

fn secret(seed: u8) -> Arc<SecretKey> {
    Arc::new(SecretKey::from_seed("pool-1".parse().unwrap(), &[seed; 32]))
}

fn checkpoint() -> SignedCheckpoint {
    let log = NoteSigner::new("pool.example/keys".parse().unwrap(), secret(1)).unwrap();
    let origin = Origin::from(log.verifier().name());
    SignedCheckpoint::sign(Checkpoint::new(origin, 0, EMPTY_ROOT).unwrap(), &log).unwrap()
}

#[test]
fn a_public_witness_is_believed() {
    let log: VerifierKey = LOG.parse().unwrap();
    let remora: VerifierKey = REMORA.parse().unwrap();
    let mut signed = SignedCheckpoint::open(FILE.as_bytes(), &log).unwrap();
    assert_eq!((signed.size(), signed.to_string()), (1_432_088_532, FILE.to_owned()));
    let found = signed.cosignatures([&remora]).unwrap();
    assert_eq!(found, [Cosignature { witness: &remora, time: 1_779_573_024 }]);
    let line = signed.note().signatures()[4].clone();
    assert_eq!(signed.cosign(line, &remora), Ok(1_779_573_024));
    let earlier = FILE.replace("2net5wAAAABqEiEg", "2net5wAAAABqEiEf");
    let earlier = SignedCheckpoint::open(earlier.as_bytes(), &log).unwrap();
    let bad = CosignatureError::Note(NoteError::BadSignature(remora.name().clone()));
    assert_eq!(earlier.cosignatures([&remora]), Err(bad));
    let swapped = SignedCheckpoint::open(FILE.as_bytes(), &remora);
    assert_eq!(swapped, Err(CheckpointError::KeyKind(remora.name().clone())));
}

#[test]
fn what_is_signed_is_the_documents_message() {
    let text =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let signed = format!("cosignature/v1\ntime 1679315147\n{text}");
    assert_eq!(message(1_679_315_147, text), signed.as_bytes());
}

#[test]
fn a_cosignature_is_added_once_and_the_text_stays() {
    let mut signed = checkpoint();
    let before = signed.to_string();
    let witness = Cosigner::new("witness.example/w".parse().unwrap(), secret(2)).unwrap();
    for time in [7, MAX_COSIGNATURE_TIME] {
        let line = witness.cosign(&signed, time).unwrap();
        assert_eq!(signed.cosign(line, witness.verifier()), Ok(time));
        assert!(signed.to_string().starts_with(&before));
        assert_eq!(signed.note().signatures().len(), 2);
        assert_eq!(signed.cosignatures([witness.verifier()]).unwrap()[0].time, time);
    }
    let late = MAX_COSIGNATURE_TIME + 1;
    assert_eq!(witness.cosign(&signed, late), Err(CosignatureError::Time(late)));
}

#[test]
fn only_a_witness_cosigns_and_only_what_it_saw() {
    let mut signed = checkpoint();
    let witness = Cosigner::new("witness.example/w".parse().unwrap(), secret(2)).unwrap();
    let other = Cosigner::new("witness.example/w".parse().unwrap(), secret(3)).unwrap();
    let line = witness.cosign(&signed, 7).unwrap();
    let name = witness.verifier().name();
    assert_eq!(
        signed.cosign(line.clone(), other.verifier()),
        Err(CosignatureError::OtherKey(name.clone()))
    );
    let forged = NoteSignature::new(other.verifier(), line.bytes());
    let bad = CosignatureError::Note(NoteError::BadSignature(name.clone()));
    assert_eq!(signed.cosign(forged, other.verifier()), Err(bad));
    let log = NoteSigner::new("witness.example/w".parse().unwrap(), secret(2)).unwrap();
    assert_eq!(signed.cosign(line, log.verifier()), Err(CosignatureError::KeyKind(name.clone())));
    assert_eq!(signed.cosignatures([witness.verifier()]), Ok(Vec::new()));
    assert_eq!(signed, checkpoint(), "nothing of it stayed");
}
