//! The door for NARs: the first byte says how the rest is said to be compressed. What is taken is
//! what was sent, within the limits; what is refused says so with a code.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pool_server::ingest::{Declared, Limits, check};
use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};

const LIMITS: Limits = Limits {
    nar_size: 1 << 20,
    file_size: 1 << 18,
    decoder_memory: 8 << 20,
    listing_size: 1 << 14,
};

fuzz_target!(|data: &[u8]| {
    let Some((&how, file)) = data.split_first() else { return };
    let declared =
        Declared { compression: Compression::from_number(how % 8), ..Declared::default() };
    let verified = match check(file, &declared, &LIMITS) {
        Ok(verified) => verified,
        Err(refused) => {
            assert!(!refused.code().is_empty() && refused.to_string().len() < 1 << 16);
            return;
        }
    };
    assert!(verified.nar_size() <= LIMITS.nar_size && verified.file_size() <= LIMITS.file_size);
    assert_eq!(verified.file_hash(), FileHash::of(file));
    assert_eq!(verified.file_size(), file.len() as u64);
    if verified.compression() == Compression::None {
        assert_eq!(verified.nar_hash(), NarHash::of(file));
    }
    let truth = Declared {
        compression: Some(verified.compression()),
        nar_hash: Some(verified.nar_hash()),
        nar_size: Some(verified.nar_size()),
        file_hash: Some(verified.file_hash()),
        file_size: Some(verified.file_size()),
    };
    assert!(check(file, &truth, &LIMITS).is_ok());
    let shorter = Declared { nar_size: Some(verified.nar_size() - 1), ..truth };
    assert!(check(file, &shorter, &LIMITS).is_err());
});
