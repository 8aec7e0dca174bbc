use std::io::Cursor;

use nix_archive::nar::Encoder;
use schema::hash::NarHash;

use super::*;
use crate::nar::walk::PIECE;

enum Entry<'a> {
    File(&'a [u8]),
    Program(&'a [u8]),
    Link(&'a str),
    Dir(Vec<(&'a str, Entry<'a>)>),
}

use Entry::{Dir, File, Link, Program};

fn nar(root: &Entry<'_>) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new()).unwrap();
    write(&mut encoder, None, root);
    encoder.finish().unwrap()
}

fn write(encoder: &mut Encoder<Vec<u8>>, name: Option<&[u8]>, entry: &Entry<'_>) {
    match entry {
        File(contents) => encoder.regular(name, false, contents).unwrap(),
        Program(contents) => encoder.regular(name, true, contents).unwrap(),
        Link(target) => encoder.symlink(name, target.as_bytes()).unwrap(),
        Dir(entries) => {
            encoder.start_directory(name).unwrap();
            for (name, entry) in entries {
                write(encoder, Some(name.as_bytes()), entry);
            }
            encoder.end_directory().unwrap();
        }
    }
}

fn walk(nar: &[u8]) -> Walk {
    Walk::start(Cursor::new(nar.to_vec()), NarHash::of(nar), nar.len() as u64)
}

fn diffed(first: &Entry<'_>, second: &Entry<'_>) -> Vec<(String, What)> {
    let found = diff(walk(&nar(first)), walk(&nar(second))).unwrap();
    assert_eq!(found.total as usize, found.differences.len());
    found.differences.into_iter().map(|it| (it.path, it.what)).collect()
}

fn contents(bytes: &[u8]) -> Contents {
    let mut running = Running::default();
    running.update(bytes);
    running.finish()
}

#[test]
fn each_way_to_differ_is_told_where_it_is() {
    let first = Dir(vec![
        ("a", Dir(vec![("same", File(b"same")), ("z", File(b"in first"))])),
        // After all that lies in `a`, though `!` comes before `/`.
        ("a!", File(b"one")),
        ("gone", Dir(vec![("in", Dir(vec![("deep", File(b""))]))])),
        ("link", Link("here")),
        ("run", File(b"#!")),
        ("what", Dir(vec![("in", File(b""))])),
    ]);
    let second = Dir(vec![
        ("a", Dir(vec![("new\n", Link("x")), ("same", File(b"same"))])),
        ("a!", File(b"on the other")),
        ("link", Link("there")),
        ("run", Program(b"#!")),
        ("what", File(b"")),
    ]);
    let only_in_first = |kind| What::OnlyInFirst { kind };
    let expected = [
        ("a/new\\n", What::OnlyInSecond { kind: "symlink" }),
        ("a/z", only_in_first("file")),
        (
            "a!",
            What::Contents {
                first: contents(b"one"),
                second: contents(b"on the other"),
                offset: 2,
            },
        ),
        ("gone", only_in_first("directory")),
        ("link", What::Target { first: "here".to_owned(), second: "there".to_owned() }),
        ("run", What::Executable { first: false, second: true }),
        ("what", What::Type { first: "directory", second: "file" }),
    ];
    assert_eq!(diffed(&first, &second), expected.map(|(path, what)| (path.to_owned(), what)));
    assert_eq!(diffed(&first, &first), []);
    let root = diffed(&first, &File(b""));
    assert_eq!(root, [(String::new(), What::Type { first: "directory", second: "file" })]);
}

#[test]
fn contents_are_compared_over_the_edges_of_pieces() {
    let long = vec![7; 2 * PIECE + 10];
    for (at, len) in [(0, long.len()), (PIECE - 1, long.len()), (PIECE, long.len())] {
        let mut other = long[..len].to_vec();
        other[at] = 8;
        let found = diffed(&File(&long), &File(&other));
        let (first, second) = (contents(&long), contents(&other));
        assert_eq!(found, [(String::new(), What::Contents { first, second, offset: at as u64 })]);
    }
    for len in [0, 1, PIECE, PIECE + 1, 2 * PIECE] {
        let (first, second) = (contents(&long), contents(&long[..len]));
        let found = diffed(&File(&long), &File(&long[..len]));
        let offset = len as u64;
        assert_eq!(found, [(String::new(), What::Contents { first, second, offset })], "{len}");
    }
}

#[test]
fn a_nar_that_is_another_is_no_base_for_anything() {
    let (good, bad) = (nar(&File(b"good")), nar(&File(b"bad!")));
    let (hash, size) = (NarHash::of(&good), good.len() as u64);
    for (sent, word) in [
        (bad.clone(), "not what was sent"),
        (good[..good.len() - 1].to_vec(), "reading the NAR"),
        ([good.clone(), vec![0; 9]].concat(), "reading the NAR"),
    ] {
        let walked = Walk::start(Cursor::new(sent), hash, size);
        let error = format!("{:#}", diff(walk(&good), walked).unwrap_err());
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn many_differences_are_counted_and_the_first_are_told() {
    let names: Vec<String> = (0..MAX_TOLD + 5).map(|number| format!("{number:05}")).collect();
    let full = Dir(names.iter().map(|name| (name.as_str(), File(b""))).collect());
    let found = diff(walk(&nar(&full)), walk(&nar(&Dir(vec![])))).unwrap();
    assert_eq!((found.total as usize, found.differences.len()), (MAX_TOLD + 5, MAX_TOLD));
    assert_eq!(found.differences[0].path, "00000");
}
