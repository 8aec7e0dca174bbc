//! Whatever reads as a batch of NARs is written so again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::nar_batch::Record;

fuzz_target!(|data: &[u8]| {
    let Ok(records) = Record::parse_all(data) else { return };
    let mut body = Vec::new();
    for record in records {
        assert_eq!(record.encode_to(&mut body), Ok(()));
    }
    assert_eq!(body, data);
});
