//! The scan for references, against that of the crate `nix-archive`, which is told what to look for.

use std::collections::BTreeSet;

use nix_archive::nar::ReferencePattern;
use proptest::prelude::*;
use schema::compression::Compression;
use schema::store_path::HashPart;

use super::arbitrary::base_name;
use super::tree::{ingested, tree};

/// Store paths as they stand in files: with and without their directory, after other digits, and
/// hash parts alone, which no path is followed by.
fn contents() -> impl Strategy<Value = Vec<u8>> + Clone {
    let noise = prop::collection::vec(any::<u8>(), 0..50).boxed();
    let reference = (base_name(), 0..4).prop_map(|(base, form)| match form {
        0 => format!("/nix/store/{base}/bin/sh").into_bytes(),
        1 => base.to_string().into_bytes(),
        2 => format!("zz{base}").into_bytes(),
        _ => format!("{} ", base.hash_part()).into_bytes(),
    });
    let piece = prop_oneof![2 => noise, 1 => reference.boxed()];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()).boxed()
}

/// Every run of 32 digits, in Nix's eyes, that a dash follows.
fn followed_by_a_dash(nar: &[u8]) -> BTreeSet<HashPart> {
    let windows = nar.windows(33).filter(|window| window[32] == b'-');
    windows.filter_map(|window| std::str::from_utf8(&window[..32]).ok()?.parse().ok()).collect()
}

proptest! {
    #[test]
    fn whatever_nix_would_find_before_a_dash_is_found(tree in tree(contents())) {
        let nar = tree.to_nar();
        let (candidates, _) = ingested(&nar, Compression::None).into_findings();
        prop_assert!(!candidates.truncated);
        let expected: Vec<_> = followed_by_a_dash(&nar).into_iter().collect();
        prop_assert_eq!(&candidates.hash_parts, &expected);
        let digits = candidates.hash_parts.iter().map(ToString::to_string);
        let pattern = ReferencePattern::new(digits).unwrap();
        let mut scanner = pattern.scanner();
        scanner.scan(&nar);
        prop_assert_eq!(scanner.matched_count(), expected.len());
    }
}
