//! Archives that look like NARs, and are none: refused at the first wrong byte, which is named.

use schema::hash::NarHash;

use super::{Case, Target};

/// Words of the grammar, each with its length before it and padding after it.
fn tokens(words: &[&[u8]]) -> Vec<u8> {
    let mut nar = Vec::new();
    for word in words {
        nar.extend_from_slice(&(word.len() as u64).to_le_bytes());
        nar.extend_from_slice(word);
        nar.resize(nar.len().next_multiple_of(8), 0);
    }
    nar
}

const FILE: [&[u8]; 6] = [b"(", b"type", b"regular", b"contents", b"abc", b")"];

/// A directory with these entries, each an empty file.
fn directory(names: &[&[u8]]) -> Vec<u8> {
    let mut words: Vec<&[u8]> = vec![b"nix-archive-1", b"(", b"type", b"directory"];
    for name in names {
        words.extend([b"entry" as &[u8], b"(", b"name", *name, b"node"]);
        words.extend(FILE);
        words.push(b")");
    }
    words.push(b")");
    tokens(&words)
}

fn node(words: &[&[u8]]) -> Vec<u8> {
    tokens(&[&[b"nix-archive-1" as &[u8]], words].concat())
}

fn deep(depth: usize) -> Vec<u8> {
    let mut words: Vec<&[u8]> = vec![b"nix-archive-1"];
    words.extend(
        [b"(" as &[u8], b"type", b"directory", b"entry", b"(", b"name", b"a", b"node"]
            .repeat(depth),
    );
    words.extend(FILE);
    words.extend([b")" as &[u8], b")"].repeat(depth));
    tokens(&words)
}

/// A file whose contents are said to be longer than what follows.
fn boasting(len: u64) -> Vec<u8> {
    let mut nar = node(&FILE[..4]);
    nar.extend_from_slice(&len.to_le_bytes());
    nar.extend_from_slice(b"abc\0\0\0\0\0");
    nar
}

fn patched(at: usize, byte: u8) -> Vec<u8> {
    let mut nar = node(&FILE);
    nar[at] = byte;
    nar
}

#[test]
fn each_is_refused_where_it_goes_wrong() {
    let target = Target::start(&[]);
    let good = node(&FILE);
    assert_eq!(good.len(), 120);
    let long = vec![b'a'; (1 << 20) + 1];
    let bad: Vec<(&str, Vec<u8>, &'static str)> = vec![
        ("not an archive", b"#!/bin/sh\necho this is no archive\n".to_vec(), "at byte 0: "),
        ("another version", tokens(&[b"nix-archive-2", b"(", b")"]), "bad magic"),
        ("zeros", vec![0; 4096], "at byte 0: "),
        ("cut after the magic", good[..24].to_vec(), "at byte 24: it ends too early"),
        ("cut in a length", good[..28].to_vec(), "it ends too early"),
        ("cut in the contents", good[..106].to_vec(), "it ends too early"),
        ("cut before the last word", good[..104].to_vec(), "at byte 104: it ends too early"),
        ("padding that is not zero", patched(35, 1), "at byte 33: padding"),
        ("padding of the contents that is not zero", patched(103, 1), "at byte 99: padding"),
        ("no type", node(&[b"(", b"kind", b"regular"]), "expected \"type\", got \"kind\""),
        ("no such type", node(&[b"(", b"type", b"fifo", b")"]), "got \"fifo\""),
        ("a long word", node(&[b"(", &long]), "1048577-byte token"),
        ("contents twice", node(&[&FILE[..5], &FILE[3..]].concat()), "got \"contents\""),
        (
            "executable with a value",
            node(&[b"(", b"type", b"regular", b"executable", b"1"]),
            "got \"1\"",
        ),
        (
            "a file without contents",
            node(&[b"(", b"type", b"regular", b")"]),
            "expected \"contents\"",
        ),
        (
            "a link without a target",
            node(&[b"(", b"type", b"symlink", b")"]),
            "expected \"target\"",
        ),
        (
            "a link with too long a target",
            node(&[b"(", b"type", b"symlink", b"target", &long, b")"]),
            "1048577 bytes",
        ),
        (
            "an entry without a name",
            node(&[b"(", b"type", b"directory", b"entry", b"(", b"node"]),
            "got \"node\"",
        ),
        ("more contents than there are", boasting(1 << 40), "it ends too early"),
        ("more contents than there can be", boasting(u64::MAX), "it ends too early"),
        ("entries out of order", directory(&[b"b", b"a"]), "not sorted"),
        ("an entry twice", directory(&[b"a", b"a"]), "not sorted"),
        ("an entry called ..", directory(&[b".."]), "invalid entry name"),
        ("an entry called .", directory(&[b"."]), "invalid entry name"),
        ("an entry without letters", directory(&[b""]), "invalid entry name"),
        ("an entry with a slash", directory(&[b"a/../../b"]), "invalid entry name"),
        ("an entry with a NUL", directory(&[b"a\0b"]), "invalid entry name"),
        ("an entry with too long a name", directory(&[&long]), "1048577 bytes"),
        ("a deep tree", deep(64), "depth"),
    ];
    let mut cases = Vec::new();
    for (name, nar, says) in bad {
        let address = format!("/api/v1/nars/{}?compression=none", NarHash::of(&nar).to_nix32());
        cases.push(Case::new(name, &target.put(&address, nar), 422, "nar_malformed").saying(says));
    }
    target.refuses(cases);
    for nar in [good, directory(&[b"a", b"b"]), deep(63)] {
        target.upload(&nar);
    }
}
