use sha2::{Digest, Sha256};

use super::*;

/// Two items by `guix archive --export`, and the key that signed them.
const GUIX: &[u8] = include_bytes!("../../../tests/vectors/guix/closure.export");
const GUIX_KEY: &str = include_str!("../../../tests/vectors/guix/closure.export.pub");
/// Two more, whose signatures hold values that libgcrypt writes as text, byte for byte in Latin-1.
const QUOTED: &[u8] = include_bytes!("../../../tests/vectors/guix/quoted.export");
/// Three by `nix-store --export`.
const NIX: &[u8] = include_bytes!("../../../tests/vectors/nix-2.8/closure.export");

/// The NARs, with what follows each up to the next. None of them has a NIXE in it.
fn items(mut stream: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut items = Vec::new();
    while let Some(rest) = stream.strip_prefix(&ITEM) {
        let nar_len = rest.windows(8).position(|it| it == MAGIC).unwrap();
        let (nar, rest) = rest.split_at(nar_len);
        let mut reader = TrailerReader::default();
        let mut at = 0;
        while reader.wants() > 0 {
            let len = reader.wants();
            reader.take(&rest[at..at + len]).unwrap();
            at += len;
        }
        items.push((nar, &rest[..at]));
        stream = &rest[at..];
    }
    assert_eq!(stream, END);
    items
}

#[test]
fn what_guix_exports_is_read_and_printed_again_byte_for_byte() {
    let key = crate::guix::key_file::parse_public(GUIX_KEY).unwrap();
    for (nar, bytes) in items(GUIX).into_iter().chain(items(QUOTED)) {
        let (trailer, signature) = Trailer::parse(bytes).unwrap();
        let signature = signature.unwrap();
        assert_eq!([trailer.print(), print_seal(Some(&signature))].concat(), bytes);
        let signed = Sha256::new().chain_update(nar).chain_update(trailer.print());
        assert!(signature.holds(&signed.finalize().into()));
        assert_eq!(*signature.key(), key);
    }
    let items = items(GUIX);
    assert_eq!(items.len(), 2);
    let trailer = |at: usize| Trailer::parse(items[at].1).unwrap();
    let (licence, where_) = (trailer(0).0, trailer(1).0);
    assert_eq!(licence.path().base().name(), "licence");
    assert_eq!((licence.references(), licence.deriver()), (&[][..], None));
    let names = where_.references().iter().map(BaseName::name);
    assert_eq!(names.collect::<Vec<_>>(), ["where-1.0", "licence"]);
    assert_eq!(where_.deriver().unwrap().name(), "where-1.0.drv");
}

#[test]
fn what_nix_exports_is_read_and_printed_again_byte_for_byte() {
    let items = items(NIX);
    assert_eq!(items.len(), 3);
    for (nar, bytes) in items {
        let (trailer, signature) = Trailer::parse(bytes).unwrap();
        assert_eq!(signature, None);
        assert_eq!([trailer.print(), print_seal(None)].concat(), bytes);
        let claim = trailer.claim(NarHash::of(nar), nar.len() as u64).unwrap();
        assert_eq!(Trailer::of(&claim, trailer.deriver().cloned()), trailer);
    }
}

#[test]
fn no_part_of_a_trailer_is_one() {
    for (_, bytes) in items(GUIX).into_iter().chain(items(NIX)) {
        for len in 0..bytes.len() {
            assert_eq!(Trailer::parse(&bytes[..len]), Err(ExportError::Truncated), "{len}");
        }
        assert_eq!(Trailer::parse(&[bytes, &END].concat()), Err(ExportError::Trailing(8)));
    }
}

#[test]
fn a_number_that_stands_for_too_much_is_refused_before_anything_is_kept() {
    let (_, bytes) = items(GUIX)[1];
    let (trailer, _) = Trailer::parse(bytes).unwrap();
    let with = |at: usize, number: u64| {
        let mut bytes = bytes.to_vec();
        bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        Trailer::parse(&bytes).unwrap_err()
    };
    let count = 16 + trailer.path().to_string().len().next_multiple_of(8);
    let seal = trailer.print().len();
    for number in [8193, 1 << 32, u64::MAX] {
        let too_long = |error| matches!(error, ExportError::TooLong { len, .. } if len == number);
        assert!(too_long(with(8, number)));
        assert_eq!(with(count, number), ExportError::TooManyReferences(number));
        assert!(too_long(with(count + 8, number)));
        assert_eq!(with(seal, number), ExportError::Seal(number));
    }
    assert!(matches!(with(seal + 8, MAX_SEXP_LEN as u64 + 1), ExportError::TooLong { .. }));
    assert!(matches!(with(seal + 8, u64::MAX), ExportError::TooLong { .. }));
    assert_eq!(with(0, 1), ExportError::Magic);
    assert_eq!(is_item(3_u64.to_le_bytes()), Err(ExportError::Mark(3)));
}

#[test]
fn other_spellings_are_refused() {
    let (_, bytes) = items(GUIX)[1];
    let refuse = |from: &[u8], to: &[u8]| {
        let at = bytes.windows(from.len()).position(|it| it == from).unwrap();
        let changed = [&bytes[..at], to, &bytes[at + from.len()..]].concat();
        Trailer::parse(&changed).unwrap_err()
    };
    assert_eq!(refuse(b"licence\0", b"licence\x01"), ExportError::Padding("a reference"));
    assert_eq!(refuse(b"licence\0", b"licenc\xff\0"), ExportError::Text("a reference"));
    assert!(matches!(refuse(b"/gnu", b"/gn\0"), ExportError::Path { what: "the path", .. }));
    // The others must be in the same store.
    assert!(matches!(refuse(b"/gnu", b"/new"), ExportError::Path { what: "a reference", .. }));
    assert!(matches!(refuse(b".drv", b".d/v"), ExportError::Path { what: "the deriver", .. }));
    assert!(matches!(refuse(b"rfc6979", b"rfc6978"), ExportError::Signature(_)));
}
