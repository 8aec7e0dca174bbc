//! Whatever reads as an upload to a mirror, or as what a mirror says of itself, is written so again;
//! and no byte too few is enough.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::hash::{OriginHash, TreeHash};
use schema::tlog::fork::ForkProof;
use schema::tlog::mirror::{AddEntries, MirrorInfo, Package, origin_hash, packages};
use schema::tlog::proof::ConsistencyProof;

fuzz_target!(|data: &[u8]| {
    if let Ok(info) = MirrorInfo::parse(data) {
        assert_eq!(info.to_string().as_bytes(), data);
    }
    if let Some(text) = std::str::from_utf8(data).ok()
        && let Ok(hash) = text.parse::<OriginHash>()
    {
        assert_eq!(hash.to_string(), text);
    }
    if let Ok(Some((head, len))) = AddEntries::parse(data) {
        assert_eq!(head.encode(), &data[..len]);
        assert_eq!(AddEntries::parse(&data[..len - 1]), Ok(None));
        assert_eq!(origin_hash(head.origin()).to_string().len(), 64);
        upload(&head, &data[len..]);
    }
    fork(data);
});

/// The packages that are there whole.
fn upload(head: &AddEntries, body: &[u8]) {
    let mut rest = body;
    for range in packages(head.upload_start(), head.upload_end()) {
        let Ok(Some((package, len))) = Package::parse(range, rest) else { return };
        let again = Package::encode(&package.entries, &package.proof);
        assert_eq!(again.as_deref(), Ok(&rest[..len]));
        assert_eq!(package.entries.len() as u64, range.end() - range.start());
        assert_eq!(Package::parse(range, &rest[..len - 1]), Ok(None));
        let root = TreeHash::of(rest);
        let _ = package.proof.verify(range.subtree(), head.upload_end(), &root, &root);
        rest = &rest[len..];
    }
}

/// Any sizes, and any number of hashes: none of them panics, and what one proof shows, all do.
fn fork(data: &[u8]) {
    let Some((sizes, rest)) = data.split_first_chunk::<16>() else { return };
    let (old, new) = sizes.split_at(8);
    let [old, new] = [old, new].map(|size| size.try_into().map_or(0, u64::from_be_bytes));
    let hashes: Vec<_> = rest.as_chunks().0.iter().copied().map(TreeHash::from_bytes).collect();
    let root = hashes.last().copied().unwrap_or(TreeHash::of(rest));
    let consistency = ConsistencyProof::from_hashes(hashes.clone());
    let shown = consistency.ok().and_then(|proof| proof.old_root(old, new, &root));
    let fork = ForkProof::from_hashes(hashes).and_then(|proof| proof.old_root(old, new, &root));
    assert!(shown.is_none() || shown == fork.ok());
}
