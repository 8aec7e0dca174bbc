//! Whatever reads as a tile's path, a receipt, a request to a witness or a bundle has one spelling,
//! and a policy asks for no more witnesses than it names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::tlog::bundle;
use schema::tlog::policy::{Policy, QuorumError};
use schema::tlog::receipt::Receipt;
use schema::tlog::tile::TilePath;
use schema::tlog::witness::{AddCheckpoint, parse_tree_size, print_tree_size};

fuzz_target!(|data: &[u8]| {
    if let Ok(receipt) = Receipt::parse(data) {
        assert_eq!(receipt.to_string().as_bytes(), data);
        let checkpoint = receipt.checkpoint().checkpoint();
        let leaf = schema::hash::TreeHash::of(b"a leaf");
        let size = checkpoint.size();
        let _ = receipt.proof().verify(receipt.index(), size, leaf, checkpoint.root());
    }
    if let Ok(request) = AddCheckpoint::parse(data) {
        assert_eq!(request.to_string().as_bytes(), data);
        let checkpoint = request.checkpoint().checkpoint();
        let (root, size) = (checkpoint.root(), checkpoint.size());
        let _ = request.proof().verify(request.old(), size, root, root);
    }
    if let Ok(policy) = Policy::parse(data) {
        assert_eq!(policy.judge(|_| true), Ok(()));
        if let Err(QuorumError::Unmet { missing }) = policy.judge(|_| false) {
            assert!((1..=policy.witnesses().len()).contains(&missing.len()));
        }
    }
    if let Ok(entries) = bundle::parse(data) {
        assert_eq!(bundle::encode(&entries).as_deref(), Ok(data));
    }
    if let Ok(size) = parse_tree_size(data) {
        assert_eq!(print_tree_size(size).as_bytes(), data);
    }
    if let Some(path) = std::str::from_utf8(data).ok()
        && let Ok(tile) = path.parse::<TilePath>()
    {
        assert_eq!(tile.path(), path);
    }
});
