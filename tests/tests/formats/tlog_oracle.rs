//! The crates `signed_note` and `tlog_tiles`, by other people, read what we write and judge as we do.

use std::sync::Arc;

use base64::prelude::*;
use ed25519_dalek::{Signature, VerifyingKey};
use proptest::prelude::*;
use schema::hash::TreeHash;
use schema::key::SecretKey;
use schema::tlog::checkpoint::Checkpoint;
use schema::tlog::note::{Note, NoteName, NoteSigner, VerifierKey};
use signed_note::{StandardSigner, StandardVerifier, Verifier, VerifierList};

use super::mutation::mutation;
use super::tlog::{checkpoint, log, note_name, signed};

fn their_verifier(key: &VerifierKey) -> StandardVerifier {
    StandardVerifier::new(&key.to_string()).unwrap()
}

fn their_signer(name: &NoteName, seed: &[u8; 32]) -> StandardSigner {
    let id = signer(name, seed).verifier().id();
    let key = BASE64_STANDARD.encode([&[1][..], seed].concat());
    StandardSigner::new(&format!("PRIVATE+KEY+{name}+{id:08x}+{key}")).unwrap()
}

fn signer(name: &NoteName, seed: &[u8; 32]) -> NoteSigner {
    let secret = SecretKey::from_seed("pool-1".parse().unwrap(), seed);
    NoteSigner::new(name.clone(), Arc::new(secret)).unwrap()
}

fn text() -> impl Strategy<Value = String> {
    "[ -~äé—\\n]{0,80}\\n"
}

/// A verifier of cosignatures for `signed_note`, which brings none.
struct Witness(VerifierKey);

impl Verifier for Witness {
    fn name(&self) -> &str {
        self.0.name().as_str()
    }

    fn key_id(&self) -> u32 {
        self.0.id()
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let (time, signature) = signature.split_at(8);
        let time = u64::from_be_bytes(time.try_into().unwrap());
        let message = [format!("cosignature/v1\ntime {time}\n").as_bytes(), text].concat();
        let key = VerifyingKey::from_bytes(self.0.point().as_bytes()).unwrap();
        key.verify_strict(&message, &Signature::from_slice(signature).unwrap()).is_ok()
    }
}

proptest! {
    #[test]
    fn signatures_and_keys_are_the_same(
        name in note_name(),
        seed in any::<[u8; 32]>(),
        text in text(),
    ) {
        let note = signer(&name, &seed).sign(text.clone()).unwrap();
        let mut theirs = signed_note::Note::new(text.as_bytes(), &[]).unwrap();
        theirs.add_sigs(&[&their_signer(&name, &seed)]).unwrap();
        prop_assert_eq!(String::from_utf8(theirs.to_bytes()).unwrap(), note.to_string());
    }

    #[test]
    fn each_verifies_what_the_other_signed(
        name in note_name(),
        seeds in any::<[[u8; 32]; 2]>(),
        text in text(),
        mutation in prop::option::of(mutation()),
    ) {
        let signer = signer(&name, &seeds[0]);
        let mut file = signer.sign(text).unwrap().to_string().into_bytes();
        if let Some(mutation) = mutation {
            file = mutation.of(&file);
        }
        let theirs = signed_note::Note::from_bytes(&file);
        let ours = Note::parse(&file);
        // Both are strict, and what is generated here is far from either's bounds.
        prop_assert_eq!(ours.is_ok(), theirs.is_ok());
        let (Ok(ours), Ok(theirs)) = (ours, theirs) else { return Ok(()) };
        prop_assert_eq!(ours.text().as_bytes(), theirs.text());
        let known = VerifierList::new(vec![Box::new(their_verifier(signer.verifier()))]);
        let judged = theirs.verify(&known).is_ok();
        prop_assert_eq!(ours.verify([signer.verifier()]).is_ok(), judged);
        let stranger = self::signer(&name, &seeds[1]);
        prop_assert!(ours.verify([stranger.verifier()]).is_err());
    }

    #[test]
    fn cosigned_checkpoints_are_read_and_judged_alike(
        (signed, witness) in signed(),
        damage in prop::option::of(mutation()),
    ) {
        let mut file = signed.to_string().into_bytes();
        if let Some(mutation) = damage {
            file = mutation.of(&file);
        }
        let (Ok(ours), Ok(theirs)) = (Note::parse(&file), signed_note::Note::from_bytes(&file))
        else { return Ok(()) };
        let (log, witness) = (log().verifier().clone(), witness.verifier().clone());
        let known = VerifierList::new(vec![
            Box::new(their_verifier(&log)),
            Box::new(Witness(witness.clone())),
        ]);
        let ours = ours.verify([&log, &witness]).map(|keys| keys.len());
        let theirs = theirs.verify(&known).map(|(verified, _)| verified.len());
        prop_assert_eq!(ours.ok(), theirs.ok());
    }

    #[test]
    fn checkpoints_are_the_same(checkpoint in checkpoint(), mutation in prop::option::of(mutation())) {
        let mut text = checkpoint.to_string().into_bytes();
        if let Some(mutation) = mutation {
            text = mutation.of(&text);
        }
        let ours = std::str::from_utf8(&text).ok().and_then(|text| text.parse::<Checkpoint>().ok());
        let Some(ours) = ours else { return Ok(()) };
        let theirs = tlog_tiles::Checkpoint::from_bytes(&text).unwrap();
        prop_assert_eq!(theirs.origin(), ours.origin().as_str());
        prop_assert_eq!(theirs.size(), ours.size());
        prop_assert_eq!(TreeHash::from_bytes(theirs.hash().0), *ours.root());
        let extension: String = ours.extensions().map(|line| format!("{line}\n")).collect();
        prop_assert_eq!(theirs.extension(), extension);
        prop_assert_eq!(String::from_utf8(theirs.to_bytes()).unwrap(), ours.to_string());
    }
}
