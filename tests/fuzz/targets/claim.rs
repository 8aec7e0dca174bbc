//! Whatever reads as a claim is spelled as its signers sign it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::claim::Claim;

fuzz_target!(|data: &[u8]| {
    if let Ok(claim) = Claim::parse(data) {
        assert_eq!(claim.signed_bytes().as_bytes(), data);
    }
});
