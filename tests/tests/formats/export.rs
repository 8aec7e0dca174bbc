//! What follows a NAR in the streams of `guix archive --export` and `nix-store --export`.

use proptest::prelude::*;
use schema::claim::Claim;
use schema::export::{ExportError, Trailer, print_seal};
use schema::guix::ecdsa::EcdsaSecret;
use schema::guix::signature::GuixSignature;
use schema::store_path::BaseName;

use super::arbitrary::{base_name, claim_in, store_dir};
use super::mutation::mutation;

/// What a trailer is made of.
fn parts() -> impl Strategy<Value = (Claim, Option<BaseName>, Option<GuixSignature>)> {
    let signature = (any::<[u8; 32]>(), any::<[u8; 32]>()).prop_filter_map(
        "not every number is a key",
        |(secret, hash)| {
            let secret = EcdsaSecret::from_bytes(&secret).ok()?;
            Some(GuixSignature::sign(&secret, hash))
        },
    );
    let claim = store_dir().prop_flat_map(claim_in);
    (claim, prop::option::of(base_name()), prop::option::of(signature))
}

fn printed(trailer: &Trailer, signature: Option<&GuixSignature>) -> Vec<u8> {
    [trailer.print(), print_seal(signature)].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn bytes_lead_back((claim, deriver, signature) in parts()) {
        let trailer = Trailer::of(&claim, deriver);
        let bytes = printed(&trailer, signature.as_ref());
        prop_assert_eq!(Trailer::parse(&bytes), Ok((trailer.clone(), signature)));
        prop_assert_eq!(trailer.claim(claim.nar_hash(), claim.nar_size()), Ok(claim));
    }

    #[test]
    fn no_part_is_whole((claim, deriver, signature) in parts(), at in any::<prop::sample::Index>()) {
        let bytes = printed(&Trailer::of(&claim, deriver), signature.as_ref());
        let part = &bytes[..at.index(bytes.len())];
        prop_assert_eq!(Trailer::parse(part), Err(ExportError::Truncated));
    }

    /// What is signed has one spelling: of two that read, the bytes or the meaning differ, never only
    /// one of them.
    #[test]
    fn damaged_bytes_say_something_else_or_nothing(
        (claim, deriver, signature) in parts(), mutation in mutation(),
    ) {
        let trailer = Trailer::of(&claim, deriver);
        let bytes = printed(&trailer, signature.as_ref());
        let damaged = mutation.of(&bytes);
        if let Ok((read, signature)) = Trailer::parse(&damaged) {
            prop_assert!(damaged.starts_with(&read.print()));
            prop_assert_eq!(read == trailer, damaged.starts_with(&trailer.print()));
            let again = printed(&read, signature.as_ref());
            prop_assert_eq!(Trailer::parse(&again), Ok((read, signature)));
        }
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let with_magic = [b"NIXE\0\0\0\0", &bytes[..]].concat();
        for bytes in [bytes, with_magic] {
            if let Ok((read, _)) = Trailer::parse(&bytes) {
                prop_assert!(bytes.starts_with(&read.print()));
            }
        }
    }
}
