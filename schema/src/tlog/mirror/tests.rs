use super::*;
use crate::hash::TreeHash;
use crate::tlog::subtree::{Subtree, SubtreeProof};

fn origin() -> Origin {
    "pool.example/keys".parse().unwrap()
}

fn ranges(start: u64, end: u64) -> Vec<(u64, u64)> {
    packages(start, end).map(|range| (range.start(), range.end())).collect()
}

#[test]
fn packages_end_with_bundles() {
    assert_eq!(ranges(0, 0), []);
    assert_eq!(ranges(7, 7), []);
    assert_eq!(ranges(0, 1), [(0, 1)]);
    assert_eq!(ranges(0, 256), [(0, 256)]);
    assert_eq!(ranges(255, 257), [(255, 256), (256, 257)]);
    assert_eq!(ranges(300, 800), [(300, 512), (512, 768), (768, 800)]);
    assert_eq!(ranges(300, 310), [(300, 310)]);
    let subtrees: Vec<_> = packages(300, 800).map(|range| range.subtree()).collect();
    let expected = [(256, 512), (512, 768), (768, 800)];
    assert_eq!(subtrees, expected.map(|(start, end)| Subtree::new(start, end).unwrap()));
}

#[test]
fn entries_of_no_log_are_in_no_package() {
    assert_eq!(ranges(9, 3), []);
    assert_eq!(ranges(u64::MAX, 3), []);
    assert_eq!(ranges(0, u64::MAX), []);
    assert_eq!(ranges(MAX_TREE_SIZE, MAX_TREE_SIZE + 1), []);
    assert_eq!(ranges(MAX_TREE_SIZE - 1, MAX_TREE_SIZE), [(MAX_TREE_SIZE - 1, MAX_TREE_SIZE)]);
}

#[test]
fn a_head_is_read_when_all_of_it_is_there() {
    let head = AddEntries::new(origin(), 3, 700, b"ticket".to_vec()).unwrap();
    let bytes = head.encode();
    for len in 0..bytes.len() {
        assert_eq!(AddEntries::parse(&bytes[..len]), Ok(None), "{len}");
    }
    let body = [&bytes[..], b"packages"].concat();
    assert_eq!(AddEntries::parse(&body), Ok(Some((head, bytes.len()))));
}

#[test]
fn the_longest_head_has_room() {
    let origin: Origin = "o".repeat(255).parse().unwrap();
    let head = AddEntries::new(origin, 0, MAX_TREE_SIZE, vec![7; MAX_TICKET_LEN]).unwrap();
    let bytes = head.encode();
    assert_eq!(bytes.len(), MAX_HEAD_LEN);
    assert_eq!(AddEntries::parse(&bytes), Ok(Some((head, MAX_HEAD_LEN))));
}

/// Each is refused at the byte that makes it wrong: no more are waited for.
#[test]
fn a_wrong_head_is_refused_at_once() {
    let log = [&[0, 1][..], b"o"].concat();
    let range = |start: u64, end: u64| [start.to_be_bytes(), end.to_be_bytes()].concat();
    for (bytes, error) in [
        (vec![0, 0], MirrorError::Origin),
        (vec![1, 0], MirrorError::Origin),
        (vec![0, 1, b'\n'], MirrorError::Origin),
        (vec![0, 1, 0xff], MirrorError::Origin),
        ([&log[..], &range(2, 1)].concat(), MirrorError::Range { start: 2, end: 1 }),
        (
            [&log[..], &range(0, MAX_TREE_SIZE + 1)].concat(),
            MirrorError::Range { start: 0, end: MAX_TREE_SIZE + 1 },
        ),
        ([&log[..], &range(1, 2), &[0x20, 1]].concat(), MirrorError::TicketTooLong(8193)),
    ] {
        assert_eq!(AddEntries::parse(&bytes), Err(error), "{bytes:?}");
        assert_eq!(AddEntries::parse(&bytes[..bytes.len() - 1]), Ok(None), "{bytes:?}");
    }
    let long = AddEntries::new(origin(), 0, 0, vec![0; MAX_TICKET_LEN + 1]);
    assert_eq!(long, Err(MirrorError::TicketTooLong(MAX_TICKET_LEN + 1)));
    let backwards = AddEntries::new(origin(), 1, 0, Vec::new());
    assert_eq!(backwards, Err(MirrorError::Range { start: 1, end: 0 }));
}

#[test]
fn a_package_is_read_when_all_of_it_is_there() {
    let range = packages(254, 300).next().unwrap();
    let proof = SubtreeProof::from_hashes(vec![TreeHash::of(b"a"), TreeHash::of(b"b")]).unwrap();
    let entries = vec![b"one".to_vec(), Vec::new()];
    let bytes = Package::encode(&entries, &proof).unwrap();
    for len in 0..bytes.len() {
        assert_eq!(Package::parse(range, &bytes[..len]), Ok(None), "{len}");
    }
    let more = [&bytes[..], b"the next"].concat();
    let package = Package { entries, proof };
    assert_eq!(Package::parse(range, &more), Ok(Some((package, bytes.len()))));
}

#[test]
fn the_longest_package_has_room() {
    let range = packages(0, 256).next().unwrap();
    let proof = SubtreeProof::from_hashes(vec![TreeHash::of(b""); 63]).unwrap();
    let bytes = Package::encode(&vec![vec![1; 65535]; 256], &proof).unwrap();
    assert_eq!(bytes.len(), MAX_PACKAGE_LEN);
    let (package, len) = Package::parse(range, &bytes).unwrap().unwrap();
    assert_eq!((package.entries.len(), package.proof, len), (256, proof, MAX_PACKAGE_LEN));
}

#[test]
fn what_fits_no_package_is_refused() {
    let none = SubtreeProof::from_hashes(Vec::new()).unwrap();
    assert_eq!(Package::encode::<[u8; 0]>(&[], &none), Err(MirrorError::Count(0)));
    assert_eq!(Package::encode(&[b""; 257], &none), Err(MirrorError::Count(257)));
    assert_eq!(Package::encode(&[[0; 65536]], &none), Err(MirrorError::EntryTooLong(65536)));
    let range = packages(0, 1).next().unwrap();
    assert_eq!(Package::parse(range, &[0, 0, 64]), Err(ProofError::TooLong(64).into()));
    assert_eq!(Package::parse(range, &[0, 0, 63]), Ok(None));
}

#[test]
fn a_mirrors_state_reads_and_prints() {
    for (text, size, next_entry, ticket) in [
        ("0\n0\n\n", 0, 0, &b""[..]),
        ("20852163\n20852014\nb3BhcXVl\n", 20_852_163, 20_852_014, b"opaque"),
        ("256\n512\n/w==\n", 256, 512, b"\xff"),
    ] {
        let info = MirrorInfo::parse(text.as_bytes()).unwrap();
        assert_eq!((info.size(), info.next_entry(), info.ticket()), (size, next_entry, ticket));
        assert_eq!(info.to_string(), text);
    }
    let longest = MirrorInfo::new(MAX_TREE_SIZE, MAX_TREE_SIZE, vec![7; MAX_TICKET_LEN]).unwrap();
    let text = longest.to_string();
    assert_eq!(text.len(), MAX_INFO_LEN);
    assert_eq!(MirrorInfo::parse(text.as_bytes()), Ok(longest));
}

#[test]
fn a_loose_state_is_refused() {
    for (text, error) in [
        ("", MirrorError::Lines),
        ("1\n2\n", MirrorError::Lines),
        ("1\n2\n\n\n", MirrorError::Lines),
        ("1\n2\nAA==", MirrorError::Lines),
        ("01\n2\n\n", MirrorError::Number),
        ("1\n+2\n\n", MirrorError::Number),
        ("1\n\n\n", MirrorError::Number),
        ("1\r\n2\n\n", MirrorError::Number),
        ("4611686018427387905\n2\n\n", MirrorError::Number),
        ("1\n4611686018427387905\n\n", MirrorError::Number),
        ("1\n2\nAA\n", MirrorError::Ticket),
        ("1\n2\nAB==\n", MirrorError::Ticket),
        ("1\n2\n_w==\n", MirrorError::Ticket),
    ] {
        assert_eq!(MirrorInfo::parse(text.as_bytes()), Err(error), "{text:?}");
    }
    assert_eq!(MirrorInfo::parse(b"\xff\n2\n\n"), Err(MirrorError::Lines));
    assert_eq!(MirrorInfo::parse(&vec![b'1'; MAX_INFO_LEN + 1]), Err(MirrorError::Lines));
    let long = MirrorInfo::new(1, 1, vec![0; MAX_TICKET_LEN + 1]);
    assert_eq!(long, Err(MirrorError::TicketTooLong(MAX_TICKET_LEN + 1)));
}

/// Computed with sha256sum.
#[test]
fn an_origin_has_one_address() {
    let hash = origin_hash(&origin());
    let hex = "4ddc684b7854614d12d8916251001e357a6e65b765f5dd14697d478d1cf86920";
    assert_eq!(hash.to_string(), hex);
    assert_eq!(hex.parse(), Ok(hash));
    assert!(hex.to_uppercase().parse::<OriginHash>().is_err());
}
