use super::super::merkle::{leaf_hash, node_hash};
use super::*;

fn path(text: &str) -> Result<TilePath, TileError> {
    text.parse()
}

#[test]
fn paths_are_those_of_the_document() {
    for (level, index, width, expected) in [
        (0, 0, 256, "0/000"),
        (0, 1_234_067, 256, "0/x001/x234/067"),
        (1, 999, 1, "1/999.p/1"),
        (2, 1000, 255, "2/x001/000.p/255"),
        (7, 0, 64, "7/000.p/64"),
    ] {
        let tile = TileAddress::new(level, index, width).unwrap();
        assert_eq!(tile.path(), expected);
        assert_eq!(path(expected), Ok(TilePath::Hashes(tile)));
    }
    let bundle = BundleAddress::new(1_234_067, 7).unwrap();
    assert_eq!(bundle.path(), "entries/x001/x234/067.p/7");
    assert_eq!(path(&bundle.path()), Ok(TilePath::Entries(bundle)));
}

#[test]
fn other_spellings_are_refused() {
    for text in [
        "",
        "/",
        "0",
        "0/",
        "/000",
        "00/000",
        "01/000",
        "64/000",
        "-1/000",
        "256/000",
        "x/000",
        "0/00",
        "0/0000",
        "0/1",
        "0/x000/001",
        "0/001/001",
        "0/x001/x001",
        "0/x1/001",
        "0/000/",
        "0/000.p",
        "0/000.p/",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/257",
        "0/000.p/01",
        "0/000.p/+1",
        "0/000.p/1/",
        "0/000.p/1.p/1",
        "0/x001.p/1/000",
        "0/+01",
        "0/ 01",
        "0/０００",
        "entries",
        "entries/",
        "Entries/000",
        "entries/000.p/0",
        "entries/0/000",
        "data/000",
        "0/x018/x446/x744/x073/x709/x551/x616/000",
        "63/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert_eq!(path(text), Err(TileError::Path), "{text}");
    }
}

#[test]
fn tiles_beyond_every_tree_are_refused() {
    let last = MAX_TREE_SIZE / 256 - 1;
    assert!(TileAddress::new(0, last, 256).is_ok());
    for (level, index, width) in
        [(0, last + 1, 1), (0, u64::MAX, 1), (7, 0, 65), (8, 0, 1), (63, 0, 1), (255, 0, 1)]
    {
        assert_eq!(TileAddress::new(level, index, width), Err(TileError::Address));
    }
    for width in [0, 257, u16::MAX] {
        assert_eq!(TileAddress::new(0, 0, width), Err(TileError::Address));
    }
    assert_eq!(path("63/000.p/1"), Err(TileError::Address));
}

/// The example of the document: a tree with 70 000 entries.
#[test]
fn a_tree_has_the_tiles_that_the_document_counts() {
    let tiles: Vec<_> = tiles_of(0, 70_000).collect();
    let of = |level| tiles.iter().filter(move |tile| tile.level() == level);
    assert_eq!(of(0).filter(|tile| tile.is_full()).count(), 273);
    let partial: Vec<_> =
        tiles.iter().filter(|tile| !tile.is_full()).map(TileAddress::path).collect();
    assert_eq!(partial, ["0/273.p/112", "1/001.p/17", "2/000.p/1"]);
    assert_eq!(of(1).filter(|tile| tile.is_full()).count(), 1);
    assert_eq!(tiles.len(), 277);
    let paths = |old, new| tiles_of(old, new).map(|tile| tile.path()).collect::<Vec<_>>();
    assert_eq!(paths(0, 256), ["0/000", "1/000.p/1"]);
    assert_eq!(paths(255, 257), ["0/000", "0/001.p/1", "1/000.p/1"]);
    assert_eq!(paths(256, 257), ["0/001.p/1"]);
    assert_eq!(paths(257, 257), [""; 0]);
    assert_eq!(paths(300, 257), [""; 0]);
    let bundles: Vec<_> = bundles_of(255, 600).map(|bundle| bundle.path()).collect();
    assert_eq!(bundles, ["entries/000", "entries/001", "entries/002.p/88"]);
    assert_eq!(tiles_of(MAX_TREE_SIZE - 1, MAX_TREE_SIZE).count(), 8);
}

#[test]
fn a_tile_is_as_wide_as_its_tree_allows() {
    let width =
        |level, index, size| TileAddress::in_tree(level, index, size).map(|tile| tile.width());
    assert_eq!(width(0, 0, 70_000), Some(256));
    assert_eq!(width(0, 273, 70_000), Some(112));
    assert_eq!(width(0, 274, 70_000), None);
    assert_eq!(width(2, 0, 70_000), Some(1));
    assert_eq!(width(3, 0, 70_000), None);
    assert_eq!(width(0, 0, 0), None);
    assert_eq!(width(7, u64::MAX, u64::MAX), None);
    assert_eq!(width(255, 0, u64::MAX), None);
}

#[test]
fn a_tiles_file_is_its_hashes() {
    let tile = TileAddress::new(0, 0, 3).unwrap();
    let hashes = [b"a", b"b", b"c"].map(|entry| leaf_hash(entry));
    let file = tile.encode(&hashes).unwrap();
    assert_eq!((file.len(), &file[32..64]), (96, hashes[1].as_bytes().as_slice()));
    assert_eq!(tile.decode(&file), Ok(hashes.to_vec()));
    for len in [0, 64, 95, 97, 128] {
        assert_eq!(tile.decode(&vec![0; len]), Err(TileError::Length { width: 3, len }));
    }
    assert_eq!(tile.encode(&hashes[..2]), Err(TileError::Length { width: 3, len: 64 }));
}

#[test]
fn nodes_are_read_from_the_tile_that_has_them() {
    let leaves: Vec<_> = (0..300_u16).map(|entry| leaf_hash(&entry.to_be_bytes())).collect();
    let read = |tile: TileAddress| {
        assert_eq!(tile.level(), 0, "a full tile's root stands in the next level");
        let first = usize::try_from(tile.index()).unwrap() * 256;
        Ok::<_, ()>(leaves[first..first + usize::from(tile.width())].to_vec())
    };
    let nodes = TileNodes::new(300, read);
    assert_eq!(nodes.node(0, 299), Ok(leaves[299]));
    assert_eq!(nodes.node(1, 128), Ok(node_hash(&leaves[256], &leaves[257])));
    for (level, index) in [(0, 300), (2, 75), (7, 2), (8, 1), (255, 0), (7, u64::MAX)] {
        assert_eq!(nodes.node(level, index), Err(TileNodesError::NoNode { level, index }));
    }
    let short = TileNodes::new(300, |_| Ok::<_, ()>(Vec::new()));
    assert!(matches!(short.node(0, 299), Err(TileNodesError::Width(_, 0))));
    let absent = TileNodes::new(300, |_| Err::<Vec<TreeHash>, _>("gone"));
    assert_eq!(absent.node(0, 299), Err(TileNodesError::Read("gone")));
}
