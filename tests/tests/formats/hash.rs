//! Base 32, and the three spellings of a NAR hash.

use proptest::prelude::*;
use schema::base32;
use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};

use super::arbitrary::nar_hash;
use super::mutation::mutation;

proptest! {
    #[test]
    fn base_32_leads_back(bytes in any::<[u8; 20]>(), digest in any::<[u8; 32]>()) {
        prop_assert_eq!(base32::decode::<20>(base32::encode(&bytes).as_bytes()), Ok(bytes));
        prop_assert_eq!(base32::decode::<32>(base32::encode(&digest).as_bytes()), Ok(digest));
    }

    #[test]
    fn base_32_has_one_spelling(bytes in any::<[u8; 32]>(), mutation in mutation()) {
        let damaged = mutation.of(base32::encode(&bytes).as_bytes());
        if let Ok(read) = base32::decode::<32>(&damaged) {
            prop_assert_eq!(base32::encode(&read).into_bytes(), damaged);
        }
    }

    #[test]
    fn base_32_reads_arbitrary_bytes_or_refuses_them(text in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(read) = base32::decode::<32>(&text) {
            prop_assert_eq!(base32::encode(&read).into_bytes(), text);
        }
    }

    #[test]
    fn three_spellings_are_one_hash(hash in nar_hash()) {
        let hex = format!("sha256:{}", hash.to_hex());
        for spelling in [hash.to_string(), hex, hash.to_sri()] {
            prop_assert_eq!(spelling.parse(), Ok(hash), "{}", spelling);
            prop_assert_eq!(spelling.parse::<FileHash>().map(|file| *file.as_bytes()), Ok(*hash.as_bytes()));
        }
        prop_assert_eq!(NarHash::from_nix32(&hash.to_nix32()), Ok(hash));
    }

    #[test]
    fn a_damaged_hash_is_another_one_or_none(hash in nar_hash(), mutation in mutation()) {
        let hex = format!("sha256:{}", hash.to_hex());
        for spelling in [hash.to_string(), hex, hash.to_sri()] {
            let damaged = mutation.of(spelling.as_bytes());
            let read = std::str::from_utf8(&damaged).ok().and_then(|text| text.parse::<NarHash>().ok());
            if let Some(read) = read {
                prop_assert_eq!(read == hash, damaged == spelling.as_bytes());
                let known = [read.to_string(), format!("sha256:{}", read.to_hex()), read.to_sri()];
                prop_assert!(known.iter().any(|text| text.as_bytes() == damaged));
            }
        }
    }

    #[test]
    fn a_compression_reads_by_its_own_name_alone(name in "[a-z0-9.]{0,6}") {
        if let Ok(compression) = name.parse::<Compression>() {
            prop_assert_eq!(compression.name(), name.as_str());
        }
        if let Some(compression) = Compression::from_suffix(&name) {
            prop_assert_eq!(compression.suffix(), name.as_str());
        }
    }
}

#[test]
fn compressions_lead_back_from_json() {
    for compression in Compression::ALL {
        let json = serde_json::to_string(&compression).unwrap();
        assert_eq!(json, format!("\"{}\"", compression.name()));
        assert_eq!(serde_json::from_str::<Compression>(&json).unwrap(), compression);
    }
}
