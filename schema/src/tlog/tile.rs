//! Tiles: how a tree's nodes, and its entries, are cut into files that never change.
//!
//! Source: c2sp.org/tlog-tiles@v1.0.0, "Merkle Tree" and "Log entries".

use std::str::FromStr;

use thiserror::Error;

use super::merkle::{MAX_TREE_SIZE, Nodes, complete_root};
use super::spelling::decimal;
use crate::hash::TreeHash;

/// How many hashes a full tile has, and how many entries a full bundle.
pub const FULL_WIDTH: u16 = 256;

const HASH_LEN: usize = 32;

/// Why something is not a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TileError {
    /// A path that is not `<L>/<N>[.p/<W>]` or `entries/<N>[.p/<W>]` in its only spelling.
    #[error("not a tile: write <level>/<index>[.p/<width>] or entries/<index>[.p/<width>]")]
    Path,
    /// No tree has this tile: its width is not 1 to 256, or its end is beyond every tree.
    #[error("no tree has this tile")]
    Address,
    /// The bytes are not as many as the tile's width says.
    #[error("a tile of {width} hashes in {len} bytes")]
    Length {
        /// How many hashes it should have.
        width: u16,
        /// How many bytes there are.
        len: usize,
    },
}

/// Where a tile of hashes is. Each is the root over 256^level leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileAddress {
    level: u8,
    index: u64,
    width: u16,
}

impl TileAddress {
    /// The tile `index` at `level`, of `width` hashes.
    ///
    /// # Errors
    /// [`TileError::Address`].
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        let last = if width == 0 || width > FULL_WIDTH { None } else { end(index, width) };
        let leaves = last.and_then(|last| last.checked_mul(leaves_below(level)?));
        match leaves {
            Some(..=MAX_TREE_SIZE) => Ok(Self { level, index, width }),
            _ => Err(TileError::Address),
        }
    }

    /// The tile `index` at `level` as wide as it is in the tree with `size` entries. None when that
    /// tree does not have it.
    #[must_use]
    pub fn in_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        let hashes = size.checked_div(leaves_below(level)?)?;
        let rest = hashes.checked_sub(index.checked_mul(FULL_WIDTH.into())?)?;
        let width = u16::try_from(rest).unwrap_or(FULL_WIDTH).min(FULL_WIDTH);
        Self::new(level, index, width).ok()
    }

    /// The level: 0 holds leaves.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Which tile of the level, from the left.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes it has, 1 to 256.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether it has all 256.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.width == FULL_WIDTH
    }

    /// The path below `tile/`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.level, place(self.index, self.width))
    }

    /// The tile's file.
    ///
    /// # Errors
    /// [`TileError::Length`] when there are not as many hashes as the tile is wide.
    pub fn encode(&self, hashes: &[TreeHash]) -> Result<Vec<u8>, TileError> {
        self.check(hashes.len() * HASH_LEN)?;
        Ok(hashes.iter().flat_map(|hash| *hash.as_bytes()).collect())
    }

    /// Reads the tile's file.
    ///
    /// # Errors
    /// [`TileError::Length`].
    pub fn decode(&self, file: &[u8]) -> Result<Vec<TreeHash>, TileError> {
        self.check(file.len())?;
        let (hashes, _) = file.as_chunks::<HASH_LEN>();
        Ok(hashes.iter().map(|bytes| TreeHash::from_bytes(*bytes)).collect())
    }

    fn check(&self, len: usize) -> Result<(), TileError> {
        if len != usize::from(self.width) * HASH_LEN {
            return Err(TileError::Length { width: self.width, len });
        }
        Ok(())
    }
}

/// Where a bundle of entries is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleAddress {
    index: u64,
    width: u16,
}

impl BundleAddress {
    /// The bundle `index`, of `width` entries.
    ///
    /// # Errors
    /// [`TileError::Address`].
    pub fn new(index: u64, width: u16) -> Result<Self, TileError> {
        TileAddress::new(0, index, width).map(|leaves| Self::of(&leaves))
    }

    /// The bundle with the entries of these leaves: `tile` is of level 0.
    fn of(tile: &TileAddress) -> Self {
        Self { index: tile.index, width: tile.width }
    }

    /// Which bundle, from the left.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many entries it has, 1 to 256.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// The path below `tile/`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("entries/{}", place(self.index, self.width))
    }
}

/// What stands below `tile/` in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TilePath {
    /// `<L>/<N>[.p/<W>]`
    Hashes(TileAddress),
    /// `entries/<N>[.p/<W>]`
    Entries(BundleAddress),
}

impl TilePath {
    /// The path below `tile/`.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Hashes(tile) => tile.path(),
            Self::Entries(bundle) => bundle.path(),
        }
    }
}

impl FromStr for TilePath {
    type Err = TileError;

    fn from_str(path: &str) -> Result<Self, TileError> {
        let (level, place) = path.split_once('/').ok_or(TileError::Path)?;
        let (index, width) = parse_place(place).ok_or(TileError::Path)?;
        if level == "entries" {
            return BundleAddress::new(index, width).map(Self::Entries);
        }
        let level = decimal(level).filter(|level| *level < 64).ok_or(TileError::Path)?;
        let level = u8::try_from(level).map_err(|_| TileError::Path)?;
        TileAddress::new(level, index, width).map(Self::Hashes)
    }
}

/// The tiles that the tree with `new` entries has and the one with `old` has not, or has narrower.
/// Level by level, from the left; with an `old` of 0 all the tiles of a tree.
pub fn tiles_of(old: u64, new: u64) -> impl Iterator<Item = TileAddress> {
    let level = move |level| {
        let leaves = leaves_below(level).unwrap_or_else(|| unreachable!("it is one of 8 levels"));
        let (old, new) = (old / leaves, new / leaves);
        let end = if new > old { new.div_ceil(FULL_WIDTH.into()) } else { 0 };
        (old / u64::from(FULL_WIDTH)..end)
            .filter_map(move |index| TileAddress::in_tree(level, index, new * leaves))
    };
    (0..LEVELS).flat_map(level)
}

/// The bundles that the tree with `new` entries has and the one with `old` has not, or has shorter.
pub fn bundles_of(old: u64, new: u64) -> impl Iterator<Item = BundleAddress> {
    tiles_of(old, new).take_while(|tile| tile.level == 0).map(|tile| BundleAddress::of(&tile))
}

/// Why a node cannot be read out of tiles.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TileNodesError<E> {
    /// The tile cannot be had.
    #[error("a tile cannot be read")]
    Read(#[source] E),
    /// What was read is not as wide as the tile.
    #[error("tile {path} should have {width} hashes, and has {len}", path = .0.path(), width = .0.width(), len = .1)]
    Width(TileAddress, usize),
    /// The tree has no such node.
    #[error("the tree has no node {index} at level {level}")]
    NoNode {
        /// The level.
        level: u8,
        /// The index.
        index: u64,
    },
}

/// The nodes of a tree that is there as tiles, complete ones and those cut off by its size.
pub struct TileNodes<F> {
    size: u64,
    read: F,
}

impl<F> TileNodes<F> {
    /// The tree with `size` entries whose tiles `read` finds.
    pub fn new(size: u64, read: F) -> Self {
        Self { size, read }
    }
}

impl<E, F: Fn(TileAddress) -> Result<Vec<TreeHash>, E>> Nodes for TileNodes<F> {
    type Error = TileNodesError<E>;

    fn node(&self, level: u8, index: u64) -> Result<TreeHash, TileNodesError<E>> {
        let missing = TileNodesError::NoNode { level, index };
        let Some(place) = NodePlace::of(level, index) else { return Err(missing) };
        let tile = TileAddress::in_tree(place.level, place.tile, self.size);
        let Some(tile) = tile.filter(|tile| place.end <= usize::from(tile.width)) else {
            return Err(missing);
        };
        let hashes = (self.read)(tile).map_err(TileNodesError::Read)?;
        if hashes.len() != usize::from(tile.width) {
            return Err(TileNodesError::Width(tile, hashes.len()));
        }
        Ok(complete_root(&hashes[place.start..place.end]))
    }
}

/// The hashes in a tile over which a node stands.
struct NodePlace {
    level: u8,
    tile: u64,
    /// They lie from here up to `end`, which is at most 256.
    start: usize,
    end: usize,
}

impl NodePlace {
    /// None for a node beyond every tree.
    fn of(level: u8, index: u64) -> Option<Self> {
        let within = level % 8;
        let first = index.checked_mul(1 << within)?;
        let width = u64::from(FULL_WIDTH);
        let start = usize::try_from(first % width).ok()?;
        Some(Self { level: level / 8, tile: first / width, start, end: start + (1 << within) })
    }
}

/// The levels of tiles in a tree of the largest size.
const LEVELS: u8 = 8;

/// How many leaves are below one hash in a tile: 256^level. None when no tree has as many.
fn leaves_below(level: u8) -> Option<u64> {
    if level < LEVELS { Some(1 << (8 * level)) } else { None }
}

fn end(index: u64, width: u16) -> Option<u64> {
    index.checked_mul(FULL_WIDTH.into())?.checked_add(width.into())
}

/// `<N>[.p/<W>]`
fn place(index: u64, width: u16) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < FULL_WIDTH { format!("{path}.p/{width}") } else { path }
}

fn parse_place(text: &str) -> Option<(u64, u16)> {
    let (groups, width) = match text.split_once(".p/") {
        Some((groups, width)) => (groups, u16::try_from(decimal(width)?).ok()?),
        None => (text, FULL_WIDTH),
    };
    let mut index = 0_u64;
    let mut groups = groups.split('/').peekable();
    while let Some(group) = groups.next() {
        let digits = if groups.peek().is_some() { group.strip_prefix('x')? } else { group };
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    // Groups of zeros in front, and `.p/256`, would be second spellings.
    (width > 0 && place(index, width) == text).then_some((index, width))
}

#[cfg(test)]
mod tests;
