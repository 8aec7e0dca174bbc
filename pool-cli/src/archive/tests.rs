use anyhow::Result;
use schema::export::Trailer;
use schema::guix::ecdsa::EcdsaSecret;
use schema::guix::key_file::parse_public;
use schema::store_path::BaseName;

use super::*;
use crate::exit::{self, Exit};

const GUIX: &[u8] = include_bytes!("../../../tests/vectors/guix/closure.export");
const GUIX_KEY: &str = include_str!("../../../tests/vectors/guix/closure.export.pub");
const NIX: &[u8] = include_bytes!("../../../tests/vectors/nix-2.8/closure.export");

/// All items, with their NARs.
fn read(stream: &[u8]) -> Result<Vec<(Item, Vec<u8>)>> {
    let mut reader = Reader::new(stream);
    let mut items = Vec::new();
    loop {
        let mut nar = Vec::new();
        let item = reader.next(&mut |bytes| {
            nar.extend_from_slice(bytes);
            Ok(())
        });
        match item? {
            Some(item) => items.push((item, nar)),
            None => return Ok(items),
        }
    }
}

fn written(items: &[(Item, Vec<u8>)], key: Option<EcdsaSecret>) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), key);
    for (item, nar) in items {
        let trailer = Trailer::of(&item.claim, item.deriver.clone());
        writer.item(&mut nar.as_slice(), &trailer).unwrap();
    }
    writer.finish().unwrap()
}

fn names(items: &[(Item, Vec<u8>)]) -> Vec<&str> {
    items.iter().map(|(item, _)| item.claim.path().base().name()).collect()
}

#[test]
fn what_nix_exported_is_read_and_written_again_byte_for_byte() {
    let items = read(NIX).unwrap();
    assert_eq!(names(&items), ["flavoured", "licence", "notice"]);
    assert!(items.iter().all(|(item, _)| item.signer.is_none()));
    assert_eq!(items[0].0.deriver.as_ref().map(BaseName::name), Some("flavoured.drv"));
    assert_eq!(written(&items, None), NIX);
}

#[test]
fn what_guix_exported_is_read_and_holds() {
    let items = read(GUIX).unwrap();
    assert_eq!(names(&items), ["licence", "where-1.0"]);
    let key = parse_public(GUIX_KEY).unwrap();
    assert!(items.iter().all(|(item, _)| item.signer.as_ref() == Some(&key)));
    assert_eq!(items.iter().map(|(item, _)| item.number).collect::<Vec<_>>(), [1, 2]);
    // Signed with another key, it differs in the signatures alone.
    let other = EcdsaSecret::from_bytes(&[7; 32]).unwrap();
    let public = other.public();
    let again = read(&written(&items, Some(other))).unwrap();
    for ((item, nar), (before, nar_before)) in again.iter().zip(&items) {
        assert_eq!((&item.claim, &item.deriver), (&before.claim, &before.deriver));
        assert_eq!(nar, nar_before);
        assert_eq!(item.signer.as_ref(), Some(&public));
    }
}

#[test]
fn nothing_that_was_cut_off_is_whole() {
    for stream in [GUIX, NIX] {
        for len in 0..stream.len() {
            let error = read(&stream[..len]).unwrap_err();
            assert_eq!(exit::of(&error), Exit::No, "{len}: {error:#}");
            assert!(format!("{error:#}").starts_with("item "), "{len}: {error:#}");
        }
        assert!(read(&[stream, b"x"].concat()).is_err());
    }
}

#[test]
fn one_bit_changed_in_what_guix_signed_is_noticed() {
    let starts: Vec<usize> =
        GUIX.windows(10).enumerate().filter(|it| it.1 == b"(signature").map(|it| it.0).collect();
    for at in 0..GUIX.len() {
        let changed = [&GUIX[..at], &[GUIX[at] ^ 0x20], &GUIX[at + 1..]].concat();
        // A signature has more than one spelling: hex digits in small letters, for one.
        let in_signature = starts.iter().any(|start| (*start..*start + 430).contains(&at));
        match read(&changed) {
            Err(error) => assert_eq!(exit::of(&error), Exit::No, "{at}: {error:#}"),
            Ok(items) => {
                assert!(in_signature, "{at}");
                assert_eq!(items.len(), 2);
            }
        }
    }
}

#[test]
fn an_error_says_where() {
    let second = GUIX.windows(8).rposition(|it| it == b"NIXE\0\0\0\0").unwrap();
    let mut changed = GUIX.to_vec();
    changed[second] = b'n';
    let error = read(&changed).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("item 2, after /gnu/store/") && text.contains("NIXE"), "{text}");
    assert!(text.contains(&format!("byte {}:", second + 8)), "{text}");
    let error = read(b"\x89PNG\r\n\x1a\n and so on").unwrap_err();
    assert!(exit::hint(&error).unwrap().contains("guix archive --export"));
}
