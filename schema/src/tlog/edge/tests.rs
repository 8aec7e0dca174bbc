use std::collections::HashMap;

use super::super::merkle::tests::Leaves;
use super::super::merkle::{leaf_hash, root};
use super::super::proof::{consistency, inclusion};
use super::*;

fn leaf(index: u64) -> TreeHash {
    leaf_hash(&index.to_be_bytes())
}

fn grown(size: u64) -> (Edge, HashMap<TileAddress, Vec<TreeHash>>) {
    let (mut edge, mut tiles) = (Edge::new(), HashMap::new());
    for index in 0..size {
        tiles.extend(edge.push(leaf(index)));
    }
    (edge, tiles)
}

#[test]
fn an_edge_has_the_root_of_all_that_was_pushed() {
    let leaves = Leaves((0..1000).map(leaf).collect());
    let mut edge = Edge::new();
    assert_eq!(edge.root(), EMPTY_ROOT);
    for size in 1..=1000 {
        edge.push(leaf(size - 1));
        assert_eq!(Ok(edge.root()), root(size, &leaves), "{size}");
        assert_eq!(edge.size(), size);
    }
}

#[test]
fn tiles_come_when_they_are_full_lowest_first() {
    let mut edge = Edge::new();
    let filled: Vec<_> = (0..65_537).flat_map(|index| edge.push(leaf(index))).collect();
    let paths: Vec<_> = filled.iter().map(|(tile, _)| tile.path()).collect();
    assert_eq!(paths.len(), 257);
    assert_eq!(paths[..2], ["0/000", "0/001"]);
    assert_eq!(paths[255..], ["0/255", "1/000"]);
    assert!(filled.iter().all(|(tile, hashes)| tile.is_full() && hashes.len() == 256));
    assert_eq!((edge.partial(0).len(), edge.partial(1).len(), edge.partial(2).len()), (1, 0, 1));
    assert_eq!(edge.partial(9), []);
}

#[test]
fn an_edge_is_found_again_from_full_tiles_and_the_last_leaves() {
    for size in [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 131_900] {
        let (edge, tiles) = grown(size);
        let leaves: Vec<_> = (size - size % 256..size).map(leaf).collect();
        let read = |tile| tiles.get(&tile).cloned().ok_or("no such tile");
        let mut again = Edge::resume(size, leaves, read).unwrap();
        assert_eq!(again.root(), edge.root(), "{size}");
        let mut edge = edge;
        for index in size..size + 300 {
            assert_eq!(again.push(leaf(index)), edge.push(leaf(index)));
        }
        assert_eq!(again.root(), edge.root());
    }
}

#[test]
fn an_edge_is_not_made_of_too_little() {
    let (_, tiles) = grown(512);
    let read = |tile: TileAddress| tiles.get(&tile).cloned().ok_or("no such tile");
    let short = Edge::resume(513, Vec::new(), read);
    assert_eq!(short, Err(ResumeError::Leaves { expected: 1, given: 0 }));
    let missing = TileAddress::new(0, 2, 256).unwrap();
    let unread = Edge::resume(768, Vec::new(), read);
    assert_eq!(unread, Err(ResumeError::Read(missing, "no such tile")));
    let narrow = Edge::resume(256, Vec::new(), |_| Ok::<_, ()>(vec![leaf(0)]));
    assert_eq!(narrow, Err(ResumeError::Width(TileAddress::new(0, 0, 256).unwrap(), 1)));
    let large = Edge::resume(MAX_TREE_SIZE + 1, vec![leaf(0)], read);
    assert_eq!(large, Err(ResumeError::Size(MAX_TREE_SIZE + 1)));
}

#[test]
fn proofs_of_every_size_up_to_the_edge_need_full_tiles_only() {
    let (edge, tiles) = grown(66_000);
    let nodes = edge.nodes(|tile| tiles.get(&tile).cloned().ok_or(tile));
    let sizes = [1, 2, 255, 256, 257, 4_096, 65_535, 65_536, 65_537, 65_793, 66_000];
    for size in sizes {
        let tree = root(size, &nodes).unwrap();
        for index in [0, 1, size / 2, size - 1] {
            let index = index.min(size - 1);
            let proof = inclusion(index, size, &nodes).unwrap();
            assert_eq!(proof.verify(index, size, leaf(index), &tree), Ok(()));
        }
        for old in sizes.into_iter().filter(|old| *old <= size) {
            let proof = consistency(old, size, &nodes).unwrap();
            let before = root(old, &nodes).unwrap();
            assert_eq!(proof.verify(old, size, &before, &tree), Ok(()), "{old} {size}");
        }
    }
    assert_eq!(root(66_000, &nodes), Ok(edge.root()));
    assert!(matches!(root(66_001, &nodes), Err(TileNodesError::NoNode { .. })));
}
