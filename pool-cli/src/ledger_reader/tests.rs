use std::pin::pin;

use schema::key::SecretKey;
use schema::tlog::note::SignatureKind;

use super::fake::{Fake, entries, key};
use super::*;

/// Reads what came after `old`, and answers with the edge behind it and the entries.
async fn read(fake: &Fake, old: &Edge) -> Result<(Edge, Vec<Vec<u8>>), ReadError> {
    let reader = LogReader::new("log", key(), async |path: String| fake.fetch(&path).await);
    let checkpoint = reader.checkpoint().await?;
    let growth = reader.growth(old, &checkpoint).await?;
    let mut read = Vec::new();
    let mut bundles = pin!(reader.entries(&growth));
    while let Some((first, bundle)) = bundles.try_next().await? {
        assert_eq!(first, old.size() + read.len() as u64);
        read.extend(bundle);
    }
    assert_eq!(growth.new_entries(), read.len() as u64);
    Ok((growth.edge().clone(), read))
}

fn caught<T: std::fmt::Debug>(read: Result<T, ReadError>) -> Finding {
    match read {
        Err(ReadError::Caught(finding)) => finding,
        other => panic!("{other:?}"),
    }
}

fn edge(entries: &[Vec<u8>]) -> Edge {
    let mut edge = Edge::new();
    for entry in entries {
        edge.push(leaf_hash(entry));
    }
    edge
}

/// The first entry that a log of `size` shows to be another than in `seen`.
async fn changed(fake: &Fake, seen: &[Vec<u8>], size: u64) -> Option<u64> {
    let reader = LogReader::new("log", key(), async |path: String| fake.fetch(&path).await);
    let leaves = seen.iter().map(|entry| Ok(leaf_hash(entry)));
    reader.changed(leaves, size).await.unwrap()
}

#[tokio::test]
async fn a_log_is_read_on_from_wherever_it_was() {
    let all = entries(66_000);
    let (mut old, mut before) = (Edge::new(), 0);
    for size in [0, 0, 1, 255, 256, 257, 600, 65_535, 65_536, 66_000] {
        let fake = Fake::of(&all[..size]);
        let (edge, new) = read(&fake, &old).await.unwrap();
        assert_eq!(new, all[before..size], "{before} to {size}");
        assert_eq!(edge, self::edge(&all[..size]));
        (old, before) = (edge, size);
    }
}

#[tokio::test]
async fn a_log_that_was_rewritten_has_forked() {
    let all = entries(600);
    for (entry, seen) in [(0, 1), (17, 257), (256, 257), (300, 400), (511, 512)] {
        let mut other = all.clone();
        other[entry] = b"another".to_vec();
        let fake = Fake::of(&other);
        let finding = caught(read(&fake, &edge(&all[..seen])).await);
        assert_eq!(finding.code(), Code::Fork, "{finding}");
        assert_eq!(changed(&fake, &all[..seen], 600).await, Some(entry as u64));
        let forked_later = read(&fake, &edge(&all[..entry])).await;
        assert!(forked_later.is_ok(), "what comes after may be anything");
        assert_eq!(changed(&fake, &all[..entry], 600).await, None);
    }
}

#[tokio::test]
async fn whatever_is_flipped_is_noticed() {
    let all = entries(66_000);
    let fake = Fake::of(&all);
    for (path, bit, code) in [
        ("checkpoint", 100, Code::NotSigned),
        ("tile/0/000", 7, Code::Fork),
        ("tile/0/257.p/208", 7, Code::Fork),
        ("tile/1/000", 7, Code::Tile),
        ("tile/1/001.p/1", 7, Code::Tile),
        ("tile/2/000.p/1", 255, Code::Tile),
        ("tile/entries/000", 40, Code::Bundle),
        ("tile/entries/257.p/208", 40, Code::Bundle),
    ] {
        let mut flipped = fake.clone();
        flipped.files.get_mut(path).unwrap()[bit / 8] ^= 1 << (bit % 8);
        let finding = caught(read(&flipped, &Edge::new()).await);
        assert_eq!(finding.code(), code, "{path}: {finding}");
        for old in [0, 1] {
            // Cut off, it is none at all.
            flipped.files.get_mut(path).unwrap().pop();
            caught(read(&flipped, &edge(&all[..old])).await);
        }
    }
    let mut swapped = fake.clone();
    // Each of these entries has 9 bytes, after the two of its length.
    swapped.files.get_mut("tile/entries/002").unwrap()[128 * 11 + 5] ^= 1;
    let finding = caught(read(&swapped, &Edge::new()).await).to_string();
    assert!(finding.starts_with("log, entry 640: "), "{finding}");
}

#[tokio::test]
async fn another_logs_checkpoint_is_none_of_this_one() {
    let fake = Fake::of(&entries(3));
    let point =
        SecretKey::from_seed("pool".parse().unwrap(), &[8; 32]).public().point().unwrap().clone();
    let other = VerifierKey::new(key().name().clone(), SignatureKind::Ed25519, point);
    let reader = LogReader::new("log", other, async |path: String| fake.fetch(&path).await);
    assert_eq!(caught(reader.checkpoint().await).code(), Code::NotSigned);
}

#[tokio::test]
async fn what_is_not_there_is_no_lie() {
    let mut fake = Fake::of(&entries(300));
    fake.files.remove("tile/entries/000").unwrap();
    assert!(matches!(read(&fake, &Edge::new()).await, Err(ReadError::Failed(_))));
}
