use std::collections::BTreeMap;

use schema::hash::{ClaimId, KeyId, NarHash, PathKey};
use schema::signature::Signature;
use schema::verifiable_map::{ListChain, MapContents, root_of};
use tempfile::TempDir;

use super::row::{Leaf, List, address};
use super::*;

fn open() -> (TempDir, Index) {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(dir.path()).unwrap();
    (dir, index)
}

fn number(seed: u64, below: u64) -> u64 {
    let hash = MapKey::of(&seed.to_be_bytes());
    u64::from_be_bytes(*hash.as_bytes().first_chunk().unwrap()) % below
}

/// Mostly paths of their own with NARs of their own, by two signers of thousands and many of few;
/// now and then the same few paths again, of which one is much signed.
fn entry(at: u64) -> Entry {
    let kind = number(at, 20);
    let path = match kind {
        0 => 0,
        1 | 2 => 1 + number(at + 1, 40),
        _ => 1_000_000 + at,
    };
    let signer = if kind < 15 { kind % 2 } else { 100 + number(at + 2, 300) };
    Entry {
        dialect: schema::claim::Dialect::Nix,
        logged_at: at,
        subject: NarHash::of(&(path / 2).to_be_bytes()),
        path_key: PathKey::of(&path.to_be_bytes()),
        claim: ClaimId::of(&at.to_be_bytes()),
        key_id: KeyId::of(&signer.to_be_bytes()),
        signature: Signature::from_bytes([0; 64]),
    }
}

fn entries(from: u64, to: u64) -> Vec<Entry> {
    (from..to).map(entry).collect()
}

fn log_root(size: u64) -> TreeHash {
    TreeHash::of(&size.to_be_bytes())
}

/// Batches of these sizes, each committed.
fn grow(index: &Index, sizes: &[u64]) {
    for batch in sizes {
        let state = index.map_state().unwrap();
        let size = state.map_or(0, |state| state.leaf.size);
        let batch = entries(size, size + batch);
        let grown = index.grown_map(&batch, log_root(size)).unwrap();
        grown.commit(state.map_or(0, |state| state.number + 1)).unwrap();
    }
}

/// Every list of the first `size` entries, gathered without the map.
fn lists(size: u64) -> BTreeMap<MapKey, Vec<u64>> {
    let mut lists: BTreeMap<MapKey, Vec<u64>> = BTreeMap::new();
    for at in 0..size {
        for key in MapKey::all_of(&entry(at)) {
            lists.entry(key).or_default().push(at);
        }
    }
    lists
}

fn assert_listed(index: &Index, key: &MapKey, expected: &[u64]) {
    let listed = index.listed(key, 0, usize::MAX).unwrap().unwrap();
    assert_eq!((listed.indices.as_slice(), listed.len), (expected, expected.len() as u64));
    let list = ListChain::of(expected).unwrap();
    assert_eq!(listed.proof.verify(&listed.state.leaf.map, key, &list), Ok(()));
}

#[test]
fn after_every_batch_the_root_is_what_an_auditor_computes() {
    let (_dir, index) = open();
    let mut contents = MapContents::default();
    for (number, batch) in
        (0..).zip([1, 1, 3, 14, 0, 40, 700, 1, 2, 2500, 16, 300, 17, 5, 1, 1, 999])
    {
        let size = contents.size();
        entries(size, size + batch).iter().for_each(|entry| contents.add(entry).unwrap());
        grow(&index, &[batch]);
        let state = index.map_state().unwrap().unwrap();
        let leaf =
            IndexLeaf { size: size + batch, attestations: log_root(size), map: contents.root() };
        assert_eq!(state, MapState { number, leaf });
    }
}

#[test]
fn how_the_ledger_is_cut_into_batches_does_not_matter() {
    let ((_one, at_once), (_other, in_steps)) = (open(), open());
    grow(&at_once, &[3000]);
    grow(&in_steps, &[1; 40]);
    grow(&in_steps, &[2960]);
    let map = |index: &Index| index.map_state().unwrap().unwrap().leaf.map;
    assert_eq!(map(&at_once), map(&in_steps));
}

#[test]
fn every_list_is_told_whole_and_proven() {
    let (_dir, index) = open();
    grow(&index, &[1, 200, 9, 1300, 1, 1, 2000]);
    let lists = lists(3512);
    let lens: Vec<usize> = lists.values().map(Vec::len).collect();
    for (wanted, at_least) in [(1..2, 3000), (2..17, 50), (17..257, 5), (257..4000, 2)] {
        assert!(lens.iter().filter(|len| wanted.contains(*len)).count() >= at_least, "{wanted:?}");
    }
    for (key, indices) in &lists {
        assert_listed(&index, key, indices);
    }
    for absent in 0..500u64 {
        assert_listed(&index, &MapKey::of(&absent.to_be_bytes()), &[]);
    }
}

#[test]
fn a_long_list_is_told_in_parts_that_follow_one_another() {
    let (_dir, index) = open();
    grow(&index, &[1000, 1, 500]);
    let lists = lists(1501);
    let (key, whole) = lists.iter().max_by_key(|(_, list)| list.len()).unwrap();
    assert!(whole.len() > 600, "{}", whole.len());
    for from in [0, 1, 15, 16, 255, 256, 257, 511, 512, 600, whole.len(), whole.len() + 1] {
        for limit in [0, 1, 255, 256, 257, 5000] {
            let part = index.listed(key, from as u64, limit).unwrap().unwrap();
            let expected: Vec<u64> = whole.iter().copied().skip(from).take(limit).collect();
            assert_eq!((part.indices, part.len), (expected, whole.len() as u64), "{from} {limit}");
        }
    }
    let short = lists.iter().find(|(_, list)| list.len() == 3).unwrap();
    let part = index.listed(short.0, 1, 1).unwrap().unwrap();
    assert_eq!((part.indices, part.len), (vec![short.1[1]], 3));
    assert!(index.listed(short.0, u64::MAX, usize::MAX).unwrap().unwrap().indices.is_empty());
}

/// A reader who has read a list before reads on where it ended, though the map has grown.
#[test]
fn a_list_is_read_on_in_a_later_map() {
    let (_dir, index) = open();
    grow(&index, &[900]);
    let key = MapKey::of_signer(&entry(0).key_id);
    let before = index.listed(&key, 0, usize::MAX).unwrap().unwrap();
    grow(&index, &[900]);
    let after = index.listed(&key, before.len, usize::MAX).unwrap().unwrap();
    let mut list = ListChain::of(&before.indices).unwrap();
    assert!(after.proof.verify(&after.state.leaf.map, &key, &list).is_err());
    after.indices.iter().for_each(|index| list.push(*index).unwrap());
    assert_eq!(after.proof.verify(&after.state.leaf.map, &key, &list), Ok(()));
}

#[test]
fn a_map_that_is_not_committed_changes_nothing_and_can_be_made_again() {
    let (dir, index) = open();
    let key = MapKey::of_signer(&entry(0).key_id);
    assert_eq!(index.listed(&key, 0, 9).unwrap(), None);
    grow(&index, &[800]);
    let before = (index.map_state().unwrap(), index.listed(&key, 0, 10_000).unwrap());
    let next = entries(800, 1900);
    let promised = *index.grown_map(&next, log_root(9)).unwrap().leaf();
    assert_eq!((index.map_state().unwrap(), index.listed(&key, 0, 10_000).unwrap()), before);
    // As after a crash that came when the leaf was in the index log already.
    drop(index);
    let index = Index::open(dir.path()).unwrap();
    assert_eq!((index.map_state().unwrap(), index.listed(&key, 0, 10_000).unwrap()), before);
    let again = index.grown_map(&next, log_root(9)).unwrap();
    assert_eq!(*again.leaf(), promised);
    again.commit(1).unwrap();
    assert_eq!(index.map_state().unwrap(), Some(MapState { number: 1, leaf: promised }));
    assert_listed(&index, &key, &lists(1900)[&key]);
}

#[test]
fn the_map_of_no_entries_has_nothing_under_any_key() {
    let (_dir, index) = open();
    grow(&index, &[0]);
    let state = index.map_state().unwrap().unwrap();
    assert_eq!((state.leaf.size, state.leaf.map), (0, MapHash::EMPTY));
    assert_listed(&index, &MapKey::of(b"anything"), &[]);
}

/// Keys that nobody could find, but whose paths are as long as any.
#[test]
fn keys_that_part_late_lie_deep() {
    let (_dir, index) = open();
    let keys: Vec<MapKey> = (0..200)
        .map(|last| {
            let mut bytes = [0xa5; 32];
            bytes[31] = last;
            MapKey::from_bytes(bytes)
        })
        .collect();
    let mut root = MapHash::EMPTY;
    // First as many as a bucket holds, then one more, then all others.
    for (at, part) in
        [&keys[..BUCKET], &keys[BUCKET..=BUCKET], &keys[BUCKET + 1..]].iter().enumerate()
    {
        let added: Vec<Added> =
            part.iter().map(|key| Added { key: *key, index: at as u64 }).collect();
        let mut growth = Growth::new(index.map_rows().unwrap());
        root = growth.grow(Node::with_row(root), 0, &added).unwrap().hash();
        index.database.write(growth.into_writes()).unwrap();
    }
    let list = |at: usize| ListChain::of(&[at.saturating_sub(BUCKET - 1).min(2) as u64]).unwrap();
    let leaves = keys.iter().enumerate().map(|(at, key)| (*key, list(at).hash()));
    assert_eq!(root_of(leaves), Ok(root));
    let rows = index.map_rows().unwrap();
    for (at, key) in keys.iter().enumerate() {
        let (proof, _) = rows.path(key, Node::with_row(root)).unwrap();
        assert!(proof.siblings.len() >= 253, "{}", proof.siblings.len());
        assert_eq!(proof.verify(&root, key, &list(at)), Ok(()));
    }
}

#[test]
fn rows_read_as_they_were_written_and_cut_ones_are_reported() {
    let key = |first| MapKey::from_bytes([first; 32]);
    let long = ListChain::of(&(0..300).collect::<Vec<u64>>()).unwrap();
    let lists = vec![
        Leaf { key: key(1), list: List::Short(vec![5]) },
        Leaf { key: key(2), list: List::Long(long) },
        Leaf { key: key(3), list: List::Short(vec![0, 127, 128, u64::MAX]) },
    ];
    let half = Node::Fork(Box::new([Node::Empty, Node::Below(MapHash::of(b"x"))]));
    let page = Node::Fork(Box::new([half, Node::Below(MapHash::of(b"y"))]));
    let written = [row::write_bucket(&lists), row::write_page(&page)];
    for bytes in &written {
        for len in 0..bytes.len() {
            assert_eq!(Row::read(&bytes[..len]), None, "{len}");
        }
        assert_eq!(Row::read(&[&bytes[..], &[0]].concat()), None);
    }
    assert_eq!(Row::read(&written[0]), Some(Row::Bucket(lists)));
    assert_eq!(Row::read(&written[1]), Some(Row::Page(page)));
    let too_high = [&[2][..], &[2; 5], &[0; 6]].concat();
    assert_eq!(Row::read(&too_high), None);
    let indices = vec![3, 4, 1 << 40];
    assert_eq!(row::read_chunk(&row::write_chunk(&indices)), Some(indices));
}

#[test]
fn an_address_is_a_depth_and_no_more_bits_than_that() {
    let key = MapKey::from_bytes([0xff; 32]);
    assert_eq!(address(&key, 0), [0]);
    assert_eq!(address(&key, 3), [3, 0b1110_0000]);
    assert_eq!(address(&key, 8), [8, 0xff]);
    assert_eq!(address(&key, 9), [9, 0xff, 0x80]);
}
