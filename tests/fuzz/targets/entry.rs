//! Whatever reads as an entry of the ledger is written so again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::attestation::Entry;

fuzz_target!(|data: &[u8]| {
    if let Ok(entry) = Entry::parse(data) {
        assert_eq!(entry.to_bytes(), data);
    }
});
