//! Claims: each has one spelling, which is what signers sign.

use proptest::prelude::*;
use schema::claim::Claim;
use schema::hash::ClaimId;

use super::arbitrary::claim;
use super::mutation::mutation;

proptest! {
    #[test]
    fn signed_bytes_lead_back(claim in claim()) {
        let bytes = claim.signed_bytes();
        prop_assert_eq!(Claim::parse(bytes.as_bytes()), Ok(claim.clone()));
        prop_assert_eq!(claim.id(), ClaimId::of(bytes.as_bytes()));
    }

    #[test]
    fn the_order_in_which_references_come_does_not_matter(claim in claim()) {
        let backwards = claim.references().iter().rev().cloned().collect();
        let (path, size) = (claim.path().clone(), claim.nar_size());
        prop_assert_eq!(Claim::new(path, claim.nar_hash(), size, backwards), Ok(claim));
    }

    #[test]
    fn damaged_bytes_are_another_claim_or_none(claim in claim(), mutation in mutation()) {
        let bytes = claim.signed_bytes().as_bytes().to_vec();
        let damaged = mutation.of(&bytes);
        if let Ok(read) = Claim::parse(&damaged) {
            prop_assert_eq!(read.signed_bytes().as_bytes().to_vec(), damaged.clone());
            prop_assert_eq!(read == claim, damaged == bytes);
        }
    }
}

/// All 255 other values of every byte: none is read as what was signed.
#[test]
fn no_single_byte_can_change_unnoticed() {
    let text = "1;/nix/store/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-hello-2.12;\
        sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73;226560;\
        /nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-glibc-2.37-8,\
        /nix/store/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-hello-2.12";
    let claim = Claim::parse(text.as_bytes()).unwrap();
    for at in 0..text.len() {
        for byte in (0..=255).filter(|byte| *byte != text.as_bytes()[at]) {
            let mut damaged = text.as_bytes().to_vec();
            damaged[at] = byte;
            if let Ok(read) = Claim::parse(&damaged) {
                assert_ne!(read, claim, "byte {at} as {byte:#04x}");
                assert_eq!(
                    read.signed_bytes().as_bytes().to_vec(),
                    damaged,
                    "byte {at} as {byte:#04x}"
                );
            }
        }
    }
}
