//! Entries of the ledger.

use proptest::prelude::*;
use proptest::sample::select;
use schema::attestation::{ENTRY_LEN, Entry, Signed};
use schema::claim::Dialect;
use schema::hash::{ClaimId, KeyId, NarHash, PathKey};
use schema::signature::Signature;

use super::arbitrary::{any_key, guix_claim};
use super::mutation::mutation;

fn entry() -> impl Strategy<Value = Entry> {
    let numbers = (select(vec![Dialect::Nix, Dialect::Guix]), any::<u64>());
    let hashes = any::<[[u8; 32]; 4]>();
    (numbers, hashes, any::<[u8; 64]>()).prop_map(|(numbers, hashes, signature)| Entry {
        dialect: numbers.0,
        logged_at: numbers.1,
        subject: NarHash::from_bytes(hashes[0]),
        path_key: PathKey::from_bytes(hashes[1]),
        claim: ClaimId::from_bytes(hashes[2]),
        key_id: KeyId::from_bytes(hashes[3]),
        signature: Signature::from_bytes(signature),
    })
}

proptest! {
    #[test]
    fn bytes_lead_back(entry in entry()) {
        prop_assert_eq!(Entry::parse(&entry.to_bytes()), Ok(entry));
    }

    #[test]
    fn damaged_bytes_are_another_entry_or_none(entry in entry(), mutation in mutation()) {
        let bytes = entry.to_bytes();
        let damaged = mutation.of(&bytes);
        if let Ok(read) = Entry::parse(&damaged) {
            prop_assert_eq!(&read.to_bytes()[..], &damaged[..]);
            prop_assert_eq!(read == entry, damaged == bytes);
        }
    }

    #[test]
    fn a_frame_around_anything_is_read_as_it_is_written(
        mut bytes in prop::collection::vec(any::<u8>(), ENTRY_LEN),
        kind in 1u8..3,
    ) {
        bytes[..8].copy_from_slice(&[b'N', b'P', b'A', b'1', kind, kind, 0, 0]);
        bytes[144..146].copy_from_slice(&[0, 64]);
        prop_assert_eq!(Entry::parse(&bytes).map(|entry| entry.to_bytes().to_vec()), Ok(bytes));
    }

    #[test]
    fn only_what_was_signed_becomes_an_entry(
        claim in guix_claim(),
        other in guix_claim(),
        secret in any_key(),
        logged_at in any::<u64>(),
    ) {
        let dialect = secret.public().dialect();
        let (claim, other) = (claim.in_dialect(dialect, None), other.in_dialect(dialect, None));
        let signature = secret.sign(claim.signed_bytes().as_bytes());
        let public = secret.public();
        let verified = Signed::new(claim.clone(), signature.clone()).verify(&public).unwrap();
        let entry = verified.entry(logged_at);
        prop_assert_eq!(entry.subject, claim.nar_hash());
        prop_assert_eq!(entry.path_key, PathKey::of(claim.path().to_string().as_bytes()));
        prop_assert_eq!(entry.claim, ClaimId::of(claim.signed_bytes().as_bytes()));
        prop_assert_eq!(entry.key_id, public.id());
        prop_assert!(public.verifies(claim.signed_bytes().as_bytes(), &entry.signature));
        prop_assert_eq!(entry.dialect, dialect);
        prop_assert!(Signed::new(other, signature).verify(&public).is_err());
    }

    /// A signature counts in the words that its key's holders use, and in no others.
    #[test]
    fn a_key_signs_claims_in_its_own_words(claim in guix_claim(), secret in any_key()) {
        let public = secret.public();
        for claim in [claim.in_nix(), claim] {
            let signature = secret.sign(claim.signed_bytes().as_bytes());
            let dialect = claim.dialect();
            let verified = Signed::new(claim, signature).verify(&public);
            prop_assert_eq!(verified.is_ok(), dialect == public.dialect());
        }
    }
}
