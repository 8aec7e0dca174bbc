//! Trees of every size up to 520 entries, and the crate `tlog_tiles`, by other people, beside them.

use std::collections::HashMap;

use proptest::prelude::*;
use schema::hash::TreeHash;
use schema::tlog::edge::Edge;
use schema::tlog::merkle::{MAX_TREE_SIZE, Nodes, leaf_hash, node_hash, root};
use schema::tlog::proof::{consistency, inclusion};
use schema::tlog::tile::{TileAddress, TileNodes, TilePath, bundles_of, tiles_of};
use tlog_tiles::{Hash, HashReader, Tile};

use super::mutation::mutation;

/// More than two full tiles.
const LARGEST: u64 = 520;

/// All nodes of one growing tree: as we name them, as `tlog_tiles` numbers them, and as tiles.
#[derive(Default)]
pub(super) struct Tree {
    rows: Vec<Vec<TreeHash>>,
    pub(super) theirs: Theirs,
    edge: Edge,
    full: HashMap<TileAddress, Vec<TreeHash>>,
}

#[derive(Default)]
pub(super) struct Theirs(Vec<Hash>);

impl HashReader for Theirs {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}

impl Nodes for Tree {
    type Error = (u8, u64);

    fn node(&self, level: u8, index: u64) -> Result<TreeHash, (u8, u64)> {
        let row = self.rows.get(usize::from(level)).ok_or((level, index))?;
        row.get(usize::try_from(index).unwrap()).copied().ok_or((level, index))
    }
}

impl Tree {
    pub(super) fn entry(index: u64) -> [u8; 8] {
        index.to_be_bytes()
    }

    pub(super) fn grow(&mut self) {
        self.append(&Self::entry(self.edge.size()));
    }

    pub(super) fn append(&mut self, entry: &[u8]) {
        let theirs = tlog_tiles::stored_hashes(self.edge.size(), entry, &self.theirs).unwrap();
        self.theirs.0.extend(theirs);
        self.full.extend(self.edge.push(leaf_hash(entry)));
        let mut node = leaf_hash(entry);
        for level in 0.. {
            if level == self.rows.len() {
                self.rows.push(Vec::new());
            }
            self.rows[level].push(node);
            let [.., left, right] = &self.rows[level][..] else { break };
            if self.rows[level].len() % 2 == 1 {
                break;
            }
            node = node_hash(left, right);
        }
    }

    fn full_tile(&self, tile: TileAddress) -> Result<Vec<TreeHash>, TileAddress> {
        self.full.get(&tile).cloned().ok_or(tile)
    }
}

pub(super) fn hash(ours: &TreeHash) -> Hash {
    Hash(*ours.as_bytes())
}

pub(super) fn hashes(ours: &[TreeHash]) -> Vec<Hash> {
    ours.iter().map(hash).collect()
}

#[test]
fn roots_and_all_proofs_are_the_same() {
    let (mut tree, mut roots) = (Tree::default(), vec![TreeHash::of(b"")]);
    for size in 1..=LARGEST {
        tree.grow();
        let ours = root(size, &tree).unwrap();
        assert_eq!(hash(&ours), tlog_tiles::tree_hash(size, &tree.theirs).unwrap(), "{size}");
        assert_eq!(tree.edge.root(), ours, "{size}");
        roots.push(ours);
        for index in 0..size {
            let proof = inclusion(index, size, &tree).unwrap();
            let theirs = tlog_tiles::prove_record(size, index, &tree.theirs).unwrap();
            assert_eq!(hashes(proof.hashes()), theirs, "{index} in {size}");
            let leaf = leaf_hash(&Tree::entry(index));
            assert_eq!(proof.verify(index, size, leaf, &ours), Ok(()), "{index} in {size}");
        }
        for (old, before) in (1..).zip(&roots[1..]) {
            let proof = consistency(old, size, &tree).unwrap();
            let theirs = tlog_tiles::prove_tree(size, old, &tree.theirs).unwrap();
            assert_eq!(hashes(proof.hashes()), theirs, "{old} to {size}");
            assert_eq!(proof.verify(old, size, before, &ours), Ok(()), "{old} to {size}");
        }
    }
}

#[test]
fn every_size_has_its_edge_and_its_tiles() {
    let mut tree = Tree::default();
    for size in 1..=LARGEST {
        tree.grow();
        let leaves = tree.rows[0][usize::try_from(size - size % 256).unwrap()..].to_vec();
        let edge = Edge::resume(size, leaves, |tile| tree.full_tile(tile)).unwrap();
        assert_eq!(edge, tree.edge, "{size}");
        let theirs: Vec<_> = Tile::new_tiles(8, 0, size);
        let tiles: Vec<_> = tiles_of(0, size).collect();
        assert_eq!(tiles.len(), theirs.len());
        let at = |tile: TileAddress| tiles.iter().position(|it| *it == tile).ok_or(tile);
        let files: Vec<_> =
            theirs.iter().map(|tile| tile.read_data(&tree.theirs).unwrap()).collect();
        let by_tiles = TileNodes::new(size, |tile: TileAddress| {
            Ok::<_, TileAddress>(tile.decode(&files[at(tile)?]).unwrap())
        });
        assert_eq!(root(size, &by_tiles), Ok(edge.root()));
        let by_edge = edge.nodes(|tile| tree.full_tile(tile));
        for index in [0, size / 3, size / 2, size - 1] {
            let proof = inclusion(index, size, &tree);
            assert_eq!(inclusion(index, size, &by_tiles).ok(), proof.clone().ok());
            assert_eq!(inclusion(index, size, &by_edge).ok(), proof.ok());
            let smaller = index + 1;
            let proof = consistency(smaller, size, &tree);
            assert_eq!(consistency(smaller, size, &by_edge).ok(), proof.ok());
        }
    }
}

/// In both directions: `tlog_tiles` accepts our proofs, and neither accepts another's.
#[test]
fn proofs_are_judged_alike() {
    let mut tree = Tree::default();
    (0..LARGEST).for_each(|_| tree.grow());
    let size = LARGEST - 7;
    let (ours, leaf) = (root(size, &tree).unwrap(), leaf_hash(&Tree::entry(300)));
    for index in 0..size {
        let proof = inclusion(index, size, &tree).unwrap();
        let theirs = hashes(proof.hashes());
        let judged = tlog_tiles::check_record(&theirs, size, hash(&ours), index, hash(&leaf));
        assert_eq!(proof.verify(index, size, leaf, &ours).is_ok(), judged.is_ok());
        assert_eq!(judged.is_ok(), index == 300);
    }
    let before = root(200, &tree).unwrap();
    for old in 1..=size {
        let proof = consistency(old, size, &tree).unwrap();
        let theirs = hashes(proof.hashes());
        let judged = tlog_tiles::check_tree(&theirs, size, hash(&ours), old, hash(&before));
        assert_eq!(proof.verify(old, size, &before, &ours).is_ok(), judged.is_ok());
        assert_eq!(judged.is_ok(), old == 200);
    }
}

/// A tile in a tree that is not too large for `tlog_tiles`.
fn tile() -> impl Strategy<Value = TileAddress> {
    let tile = (0..7_u8, any::<u64>(), 0..50_u32, 1..=256_u16);
    tile.prop_filter_map("beyond every tree", |(level, index, shift, width)| {
        TileAddress::new(level, index >> (12 + shift), width).ok()
    })
}

fn their_path(tile: &Tile) -> String {
    tile.path().strip_prefix("tile/8/").unwrap().replace("data/", "entries/")
}

proptest! {
    #[test]
    fn paths_are_the_same_and_lead_back(tile in tile()) {
        let path = tile.path();
        prop_assert_eq!(path.parse(), Ok(TilePath::Hashes(tile)));
        let theirs = Tile::from_path(&format!("tile/8/{path}")).unwrap();
        prop_assert_eq!(their_path(&theirs), path);
        prop_assert_eq!(
            (theirs.level(), theirs.level_index(), theirs.width()),
            (tile.level(), tile.index(), tile.width().into())
        );
    }

    #[test]
    fn a_damaged_path_is_another_tiles_or_none(tile in tile(), mutation in mutation()) {
        let path = tile.path();
        let Ok(damaged) = String::from_utf8(mutation.of(path.as_bytes())) else { return Ok(()) };
        if let Ok(read) = damaged.parse::<TilePath>() {
            prop_assert_eq!(read.path(), damaged.clone());
            prop_assert_eq!(read == TilePath::Hashes(tile), damaged == path);
            let theirs = Tile::from_path(&format!("tile/8/{damaged}")).unwrap();
            prop_assert_eq!(their_path(&theirs), damaged);
        }
    }

    #[test]
    fn a_tree_that_grows_has_the_same_new_tiles(old in 0_u64..1 << 55, more in 0_u64..3000) {
        let new = old + more;
        let theirs: Vec<_> = Tile::new_tiles(8, old, new).iter().map(their_path).collect();
        let ours: Vec<_> = tiles_of(old, new).map(|tile| tile.path()).collect();
        prop_assert_eq!(&ours, &theirs);
        let leaves = ours.iter().filter_map(|path| path.strip_prefix("0/"));
        let bundles: Vec<_> = leaves.map(|path| format!("entries/{path}")).collect();
        prop_assert_eq!(bundles_of(old, new).map(|it| it.path()).collect::<Vec<_>>(), bundles);
    }

    /// What the largest trees ask for is answered, and nothing overflows.
    #[test]
    fn tiles_of_any_size_are_within_the_tree(new in 0..=MAX_TREE_SIZE, less in 0_u64..600) {
        for tile in tiles_of(new.saturating_sub(less), new) {
            prop_assert_eq!(TileAddress::in_tree(tile.level(), tile.index(), new), Some(tile));
            prop_assert_eq!(tile.path().parse(), Ok(TilePath::Hashes(tile)));
        }
    }
}
