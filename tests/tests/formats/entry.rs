//! Entries of the ledger.

use proptest::prelude::*;
use schema::attestation::{ENTRY_LEN, Entry, Signed};
use schema::hash::{ClaimId, KeyId, NarHash, PathKey};
use schema::signature::Signature;

use super::arbitrary::{claim, secret_key};
use super::mutation::mutation;

fn entry() -> impl Strategy<Value = Entry> {
    let hashes = any::<[[u8; 32]; 4]>();
    (any::<u64>(), hashes, any::<[u8; 64]>()).prop_map(|(logged_at, hashes, signature)| Entry {
        dialect: schema::claim::Dialect::Nix,
        logged_at,
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
    ) {
        bytes[..8].copy_from_slice(b"NPA1\x01\x01\0\0");
        bytes[144..146].copy_from_slice(&[0, 64]);
        prop_assert_eq!(Entry::parse(&bytes).map(|entry| entry.to_bytes().to_vec()), Ok(bytes));
    }

    #[test]
    fn only_what_was_signed_becomes_an_entry(
        claim in claim(),
        other in claim(),
        secret in secret_key(),
        logged_at in any::<u64>(),
    ) {
        let signature = secret.sign(claim.signed_bytes().as_bytes());
        let public = secret.public();
        let verified = Signed::new(claim.clone(), signature.clone()).verify(&public).unwrap();
        let entry = verified.entry(logged_at);
        prop_assert_eq!(entry.subject, claim.nar_hash());
        prop_assert_eq!(entry.path_key, PathKey::of(claim.path().to_string().as_bytes()));
        prop_assert_eq!(entry.claim, ClaimId::of(claim.signed_bytes().as_bytes()));
        prop_assert_eq!(entry.key_id, public.id());
        prop_assert!(public.verifies(claim.signed_bytes().as_bytes(), &entry.signature));
        prop_assert!(Signed::new(other, signature).verify(&public).is_err());
    }
}
