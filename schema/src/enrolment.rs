//! Enrolment: how a key and its name become known to a pool.
//!
//! Being known means that the key's signatures are kept and shown. It makes nobody believe them.

use thiserror::Error;

use crate::key::{PublicKey, SecretKey};
use crate::signature::NamedSignature;

/// How far the time in a proof of possession may be off, in seconds.
pub const MAX_CLOCK_SKEW: u64 = 300;

/// Why a proof of possession is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The time in the proof is too far from now: an old proof, or a wrong clock.
    #[error("the proof was made at {made}, now is {now}: more than {MAX_CLOCK_SKEW} seconds apart")]
    Time {
        /// POSIX seconds in the proof.
        made: u64,
        /// POSIX seconds here.
        now: u64,
    },
    /// The signature is not the key's.
    #[error("the proof is not signed by the key it is for")]
    Signature,
}

/// Signs that the holder of `key` wants it enrolled at `now`, POSIX seconds.
#[must_use]
pub fn prove(key: &SecretKey, now: u64) -> NamedSignature {
    key.sign(statement(&key.public(), now).as_bytes())
}

/// Checks that whoever made `proof` at `made` holds the secret half of `key`.
///
/// # Errors
/// A time that is too far off, or a signature by another key.
pub fn check(
    key: &PublicKey,
    proof: &NamedSignature,
    made: u64,
    now: u64,
) -> Result<(), ProofError> {
    if made.abs_diff(now) > MAX_CLOCK_SKEW {
        return Err(ProofError::Time { made, now });
    }
    let named = proof.name() == key.name();
    if named && key.verifies(statement(key, made).as_bytes(), proof.signature()) {
        Ok(())
    } else {
        Err(ProofError::Signature)
    }
}

/// No fingerprint begins like this, so a proof is never a signature over a claim.
fn statement(key: &PublicKey, now: u64) -> String {
    format!("narpool-enrol/1\n{key}\n{now}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_for_one_key_and_one_time() {
        let alice = SecretKey::from_seed("alice-1".parse().unwrap(), &[1; 32]);
        let mallory = SecretKey::from_seed("alice-1".parse().unwrap(), &[2; 32]);
        let proof = prove(&alice, 1000);
        assert_eq!(check(&alice.public(), &proof, 1000, 1300), Ok(()));
        assert_eq!(check(&alice.public(), &proof, 1001, 1001), Err(ProofError::Signature));
        assert_eq!(check(&mallory.public(), &proof, 1000, 1000), Err(ProofError::Signature));
        let old = check(&alice.public(), &proof, 1000, 1301);
        assert_eq!(old, Err(ProofError::Time { made: 1000, now: 1301 }));
    }
}
