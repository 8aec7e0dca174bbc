//! Whatever reads as a store path, or a part of one, has one spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::store_path::{BaseName, HashPart, StoreDir, StorePath};

fuzz_target!(|text: &str| {
    if let Ok(path) = text.parse::<StorePath>() {
        assert_eq!(path.to_string(), text);
        assert_eq!(StorePath::parse_in(path.dir(), text), Ok(path));
    }
    if let Ok(base) = text.parse::<BaseName>() {
        assert_eq!(base.to_string(), text);
        assert_eq!(format!("{}-{}", base.hash_part(), base.name()), text);
    }
    if let Ok(hash_part) = text.parse::<HashPart>() {
        assert_eq!(hash_part.to_string(), text);
    }
    if let Ok(dir) = text.parse::<StoreDir>() {
        assert_eq!(dir.to_string(), text);
        assert!(!text.contains("//") && !text.contains("/../"));
    }
});
