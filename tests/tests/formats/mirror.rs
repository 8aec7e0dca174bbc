//! What a log sends to a mirror, and what the mirror says of itself.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use schema::hash::{OriginHash, TreeHash};
use schema::tlog::checkpoint::Origin;
use schema::tlog::edge::Edge;
use schema::tlog::merkle::{MAX_TREE_SIZE, leaf_hash, root};
use schema::tlog::mirror::{
    AddEntries, MAX_TICKET_LEN, MirrorError, MirrorInfo, Package, origin_hash, packages,
};
use schema::tlog::subtree::{SubtreeProof, subtree_consistency};

use super::mutation::mutation;
use super::tlog_trees::Tree;

fn origin() -> impl Strategy<Value = Origin> {
    "[ -~ä]{1,127}".prop_map(|line| line.parse().unwrap())
}

fn ticket() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..60), vec(any::<u8>(), MAX_TICKET_LEN)]
}

fn head() -> impl Strategy<Value = AddEntries> {
    (origin(), 0..=MAX_TREE_SIZE, 0..=MAX_TREE_SIZE, ticket()).prop_map(
        |(origin, one, other, ticket)| {
            AddEntries::new(origin, one.min(other), one.max(other), ticket).unwrap()
        },
    )
}

fn info() -> impl Strategy<Value = MirrorInfo> {
    (0..=MAX_TREE_SIZE, 0..=MAX_TREE_SIZE, ticket())
        .prop_map(|(size, next, ticket)| MirrorInfo::new(size, next, ticket).unwrap())
}

fn package() -> impl Strategy<Value = Package> {
    let hashes = vec(any::<[u8; 32]>().prop_map(TreeHash::from_bytes), 0..=63);
    (vec(vec(any::<u8>(), 0..20), 1..=256), hashes).prop_map(|(entries, hashes)| Package {
        entries,
        proof: SubtreeProof::from_hashes(hashes).unwrap(),
    })
}

proptest! {
    #[test]
    fn a_head_leads_back(head in head(), more in vec(any::<u8>(), 0..40), cut in any::<Index>()) {
        let bytes = head.encode();
        prop_assert_eq!(AddEntries::parse(&bytes[..cut.index(bytes.len())]), Ok(None));
        let body = [&bytes[..], &more].concat();
        prop_assert_eq!(AddEntries::parse(&body), Ok(Some((head, bytes.len()))));
    }

    #[test]
    fn a_damaged_head_is_another_one_or_none(head in head(), mutation in mutation()) {
        let bytes = head.encode();
        let damaged = mutation.of(&bytes);
        if let Ok(Some((read, len))) = AddEntries::parse(&damaged) {
            prop_assert_eq!(&read.encode()[..], &damaged[..len]);
            prop_assert_eq!(read == head, damaged[..len] == bytes);
        }
    }

    #[test]
    fn a_package_leads_back(
        package in package(), more in vec(any::<u8>(), 0..40), cut in any::<Index>(),
    ) {
        let range = packages(512, 512 + package.entries.len() as u64).next().unwrap();
        let bytes = Package::encode(&package.entries, &package.proof).unwrap();
        prop_assert_eq!(Package::parse(range, &bytes[..cut.index(bytes.len())]), Ok(None));
        let body = [&bytes[..], &more].concat();
        prop_assert_eq!(Package::parse(range, &body), Ok(Some((package, bytes.len()))));
    }

    #[test]
    fn a_damaged_package_is_another_one_or_none(package in package(), mutation in mutation()) {
        let range = packages(512, 512 + package.entries.len() as u64).next().unwrap();
        let bytes = Package::encode(&package.entries, &package.proof).unwrap();
        let damaged = mutation.of(&bytes);
        if let Ok(Some((read, len))) = Package::parse(range, &damaged) {
            let again = Package::encode(&read.entries, &read.proof).unwrap();
            prop_assert_eq!(&again[..], &damaged[..len]);
            prop_assert_eq!(read == package, damaged[..len] == bytes);
        }
    }

    #[test]
    fn a_mirrors_state_leads_back_and_damaged_is_another(info in info(), mutation in mutation()) {
        let text = info.to_string();
        prop_assert_eq!(MirrorInfo::parse(text.as_bytes()), Ok(info.clone()));
        let damaged = mutation.of(text.as_bytes());
        if let Ok(read) = MirrorInfo::parse(&damaged) {
            prop_assert_eq!(read.to_string().into_bytes(), damaged.clone());
            prop_assert_eq!(read == info, damaged == text.as_bytes());
        }
    }

    #[test]
    fn an_origins_address_leads_back(origin in origin(), mutation in mutation()) {
        let (hash, text) = (origin_hash(&origin), origin_hash(&origin).to_string());
        prop_assert_eq!(text.parse(), Ok(hash));
        let Ok(damaged) = String::from_utf8(mutation.of(text.as_bytes())) else { return Ok(()) };
        if let Ok(read) = damaged.parse::<OriginHash>() {
            prop_assert_eq!(read.to_string(), damaged.clone());
            prop_assert_eq!(read == hash, damaged == text);
        }
    }

    /// By the document's own formulas.
    #[test]
    fn packages_are_the_canonical_sequence(
        near in 0..=MAX_TREE_SIZE - 3000, from in 0_u64..1500, more in 0_u64..1500,
    ) {
        let (upload_start, upload_end) = (near + from, near + from + more);
        let rounded_start = upload_start / 256 * 256;
        let rounded_end = upload_end.div_ceil(256) * 256;
        let count = if more == 0 { 0 } else { (rounded_end - rounded_start) / 256 };
        let ranges: Vec<_> = packages(upload_start, upload_end).collect();
        prop_assert_eq!(ranges.len() as u64, count);
        for (i, range) in (0..).zip(ranges) {
            prop_assert_eq!(range.start(), upload_start.max(rounded_start + i * 256));
            prop_assert_eq!(range.end(), upload_end.min(rounded_start + (i + 1) * 256));
            prop_assert_eq!(range.subtree().start(), rounded_start + i * 256);
            prop_assert_eq!(range.subtree().end(), range.end());
        }
    }

    /// A mirror that has the first entries takes the rest package by package, and ends with the
    /// log's own root; another entry is noticed in its package.
    #[test]
    fn an_upload_is_proved_package_by_package(
        size in 1_u64..1500, has in any::<Index>(), forged in any::<Index>(),
    ) {
        let mut log = Tree::default();
        (0..size).for_each(|_| log.grow());
        let (whole, has) = (root(size, &log).unwrap(), has.index(size as usize) as u64);
        let mut mirror = Edge::new();
        let mut kept: Vec<TreeHash> = (0..has).map(|at| leaf_hash(&Tree::entry(at))).collect();
        kept.iter().for_each(|leaf| drop(mirror.push(*leaf)));
        for range in packages(has, size) {
            let subtree = range.subtree();
            let entries: Vec<_> = (range.start()..range.end()).map(Tree::entry).collect();
            let proof = subtree_consistency(subtree, size, &log).unwrap();
            let sent = Package::encode(&entries, &proof).unwrap();
            let (package, len) = Package::parse(range, &sent).unwrap().unwrap();
            prop_assert_eq!(len, sent.len());
            let mut leaves = kept[subtree.start() as usize..].to_vec();
            leaves.extend(package.entries.iter().map(|entry| leaf_hash(entry)));
            let part = |leaves: &[TreeHash]| {
                let mut edge = Edge::new();
                leaves.iter().for_each(|leaf| drop(edge.push(*leaf)));
                edge.root()
            };
            let judged = package.proof.verify(subtree, size, &part(&leaves), &whole);
            prop_assert_eq!(judged, Ok(()));
            let mut other = leaves.clone();
            other[forged.index(leaves.len())] = leaf_hash(b"forged");
            prop_assert!(package.proof.verify(subtree, size, &part(&other), &whole).is_err());
            kept.truncate(subtree.start() as usize);
            kept.extend(leaves);
        }
        kept[has as usize..].iter().for_each(|leaf| drop(mirror.push(*leaf)));
        prop_assert_eq!(mirror.root(), whole);
    }
}

/// An upload put together by hand from the document: entries 255 to 257 of 258.
#[test]
fn the_document_describes_these_bytes() {
    let mut log = Tree::default();
    (0..258).for_each(|_| log.grow());
    let root_of = |leaves: std::ops::Range<u64>| {
        let mut edge = Edge::new();
        leaves.for_each(|at| drop(edge.push(leaf_hash(&Tree::entry(at)))));
        edge.root()
    };
    // [0, 256) is a node of the tree, whose sibling is [256, 258); and the other way around.
    let (left, right) = (root_of(0..256), root_of(256..258));
    let body = [
        &[0x00, 0x11][..],
        b"pool.example/keys",
        &[0, 0, 0, 0, 0, 0, 0x00, 0xff],
        &[0, 0, 0, 0, 0, 0, 0x01, 0x02],
        &[0x00, 0x02],
        b"ok",
        // The first package: [255, 256) of the subtree [0, 256).
        &[0x00, 0x08],
        &[0, 0, 0, 0, 0, 0, 0x00, 0xff],
        &[0x01],
        right.as_bytes(),
        // The second: [256, 258).
        &[0x00, 0x08],
        &[0, 0, 0, 0, 0, 0, 0x01, 0x00],
        &[0x00, 0x08],
        &[0, 0, 0, 0, 0, 0, 0x01, 0x01],
        &[0x01],
        left.as_bytes(),
    ]
    .concat();
    let origin: Origin = "pool.example/keys".parse().unwrap();
    let head = AddEntries::new(origin, 255, 258, b"ok".to_vec()).unwrap();
    let mut printed = head.encode();
    let (read, mut at) = AddEntries::parse(&body).unwrap().unwrap();
    assert_eq!(read, head);
    let whole = root(258, &log).unwrap();
    for (range, part) in packages(read.upload_start(), read.upload_end()).zip([left, right]) {
        let (package, len) = Package::parse(range, &body[at..]).unwrap().unwrap();
        assert_eq!(package.proof.verify(range.subtree(), 258, &part, &whole), Ok(()));
        let entries: Vec<_> = (range.start()..range.end()).map(Tree::entry).collect();
        let proof = subtree_consistency(range.subtree(), 258, &log).unwrap();
        printed.extend(Package::encode(&entries, &proof).unwrap());
        at += len;
    }
    assert_eq!((at, printed), (body.len(), body));
}

#[test]
fn entries_are_counted_not_guessed() {
    let range = packages(0, 2).next().unwrap();
    let none = SubtreeProof::from_hashes(Vec::new()).unwrap();
    let one = Package::encode(&[b"\0"], &none).unwrap();
    // The number of hashes, 0, reads as half a length: what is missing is waited for.
    assert_eq!(Package::parse(range, &one), Ok(None));
    let three = Package::encode(&[b"@", b"@", b"@"], &none).unwrap();
    let (package, len) = Package::parse(range, &three).unwrap().unwrap();
    assert_eq!((package.entries.len(), len), (2, 7));
    let judged = Package::parse(range, &[&three[..6], &[64]].concat());
    assert!(matches!(judged, Err(MirrorError::Proof(_))));
}
