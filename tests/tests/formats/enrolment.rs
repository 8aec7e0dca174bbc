//! Proofs of possession.

use proptest::prelude::*;
use schema::enrolment::{MAX_CLOCK_SKEW, check, prove};
use schema::signature::{NamedSignature, Signature};

use super::arbitrary::{claim, secret_key};
use super::mutation::mutation;

proptest! {
    #[test]
    fn a_proof_holds_for_its_key_and_time_alone(
        secret in secret_key(),
        other in secret_key(),
        made in any::<u64>(),
        later in 0..=MAX_CLOCK_SKEW,
        another in any::<u64>(),
    ) {
        let proof = prove(&secret, made);
        let now = made.saturating_add(later);
        prop_assert_eq!(check(&secret.public(), &proof, made, now), Ok(()));
        prop_assert!(check(&other.public(), &proof, made, now).is_err());
        prop_assert_eq!(check(&secret.public(), &proof, another, another).is_ok(), another == made);
        let far = made.abs_diff(another) > MAX_CLOCK_SKEW;
        prop_assert_eq!(check(&secret.public(), &proof, made, another).is_err(), far);
    }

    #[test]
    fn a_damaged_proof_does_not_hold(secret in secret_key(), made in any::<u64>(), mutation in mutation()) {
        let proof = prove(&secret, made);
        if let Ok(bytes) = <[u8; 64]>::try_from(mutation.of(proof.signature().as_bytes())) {
            let damaged = NamedSignature::new(proof.name().clone(), Signature::from_bytes(bytes));
            prop_assert_eq!(check(&secret.public(), &damaged, made, made).is_ok(), damaged == proof);
        }
    }

    /// Nobody can be made to enrol by signing a claim, nor to claim by enrolling.
    #[test]
    fn a_signature_over_a_claim_proves_nothing(secret in secret_key(), claim in claim(), made in any::<u64>()) {
        let signature = secret.sign(claim.signed_bytes().as_bytes());
        prop_assert!(check(&secret.public(), &signature, made, made).is_err());
        let proof = prove(&secret, made);
        prop_assert!(!secret.public().verifies(claim.signed_bytes().as_bytes(), proof.signature()));
    }
}
