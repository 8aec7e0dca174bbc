//! The right edge of a growing log: all of the tree that full tiles do not hold yet.
//!
//! Source of the tiles: c2sp.org/tlog-tiles@v1.0.0.

use thiserror::Error;

use super::merkle::{EMPTY_ROOT, MAX_TREE_SIZE, Nodes, complete_root, fold};
use super::tile::{FULL_WIDTH, TileAddress, TileNodes, TileNodesError};
use crate::hash::TreeHash;

/// Why an edge cannot be found again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResumeError<E> {
    /// A size beyond [`MAX_TREE_SIZE`].
    #[error("a log of {0} entries is too large")]
    Size(u64),
    /// Not as many leaves as stand behind the last full tile.
    #[error("{given} leaves behind the last full tile, where there are {expected}")]
    Leaves {
        /// How many there must be.
        expected: usize,
        /// How many were given.
        given: usize,
    },
    /// A tile cannot be had.
    #[error("tile {path} cannot be read", path = .0.path())]
    Read(TileAddress, #[source] E),
    /// A tile is not full.
    #[error("tile {path} has {len} hashes, not 256", path = .0.path(), len = .1)]
    Width(TileAddress, usize),
}

/// The hashes of the tiles that are not full: at most 255 for each level, 8 KiB.
///
/// A copy is a copy of those: some 24 KiB in a log of 16 million entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    levels: Vec<Vec<TreeHash>>,
}

impl Edge {
    /// The edge of a log without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The edge of a log with `size` entries, of which only the full tiles are kept: `leaves` are
    /// those of the last `size % 256` entries, and `read` finds full tiles. It is asked for at most
    /// 255 of each level: those whose roots make up the tile above that is not full.
    ///
    /// The caller compares the [`root`](Self::root) with the last checkpoint.
    ///
    /// # Errors
    /// See [`ResumeError`].
    pub fn resume<E>(
        size: u64,
        leaves: Vec<TreeHash>,
        read: impl Fn(TileAddress) -> Result<Vec<TreeHash>, E>,
    ) -> Result<Self, ResumeError<E>> {
        if size > MAX_TREE_SIZE {
            return Err(ResumeError::Size(size));
        }
        let width = u64::from(FULL_WIDTH);
        let (expected, given) = (size % width, leaves.len());
        if u64::try_from(given) != Ok(expected) {
            let expected = usize::try_from(expected).unwrap_or(usize::MAX);
            return Err(ResumeError::Leaves { expected, given });
        }
        let mut edge = Self { size, levels: vec![leaves] };
        let (mut level, mut full) = (0, size / width);
        while full > 0 {
            let roots = (full - full % width..full).map(|index| full_root(level, index, &read));
            edge.levels.push(roots.collect::<Result<_, _>>()?);
            (level, full) = (level + 1, full / width);
        }
        Ok(edge)
    }

    /// The edge with these hashes of the tiles that are not full, the lowest level first, as
    /// [`levels`](Self::levels) gives them. None, when a log of that size has not so many.
    #[must_use]
    pub fn from_levels(size: u64, levels: Vec<Vec<TreeHash>>) -> Option<Self> {
        let mut left = size;
        for hashes in &levels {
            let width = u64::from(FULL_WIDTH);
            if u64::try_from(hashes.len()) != Ok(left % width) {
                return None;
            }
            left /= width;
        }
        (left == 0 && size <= MAX_TREE_SIZE).then_some(Self { size, levels })
    }

    /// The hashes of the tiles that are not full, the lowest level first.
    #[must_use]
    pub fn levels(&self) -> &[Vec<TreeHash>] {
        &self.levels
    }

    /// How many entries the log has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the log's tree.
    #[must_use]
    pub fn root(&self) -> TreeHash {
        let root = self.levels.iter().fold(None, |right, hashes| fold(hashes, right));
        root.unwrap_or(EMPTY_ROOT)
    }

    /// The hashes of the tile at `level` that is not full; none when all of them are.
    #[must_use]
    pub fn partial(&self, level: u8) -> &[TreeHash] {
        self.levels.get(usize::from(level)).map_or(&[], Vec::as_slice)
    }

    /// Appends a leaf. Answers with the tiles that it fills, the lowest first: one for each 256
    /// leaves, seldom two or more. The edge forgets them: they are to be kept.
    pub fn push(&mut self, leaf: TreeHash) -> Vec<(TileAddress, Vec<TreeHash>)> {
        self.size += 1;
        let mut filled = Vec::new();
        let (mut hash, mut index) = (leaf, self.size - 1);
        for level in 0.. {
            let at = usize::from(level);
            if at == self.levels.len() {
                self.levels.push(Vec::new());
            }
            self.levels[at].push(hash);
            if self.levels[at].len() < usize::from(FULL_WIDTH) {
                break;
            }
            index /= u64::from(FULL_WIDTH);
            let hashes = std::mem::take(&mut self.levels[at]);
            hash = complete_root(&hashes);
            filled.push((full_tile(level, index), hashes));
        }
        filled
    }

    /// The nodes of this log and of every smaller one it was, with a reader of full tiles: for
    /// proofs in any of them.
    pub fn nodes<E>(
        &self,
        read: impl Fn(TileAddress) -> Result<Vec<TreeHash>, E>,
    ) -> impl Nodes<Error = TileNodesError<E>> {
        TileNodes::new(self.size, move |tile: TileAddress| {
            if tile.is_full() { read(tile) } else { Ok(self.partial(tile.level()).to_vec()) }
        })
    }
}

fn full_root<E>(
    level: u8,
    index: u64,
    read: &impl Fn(TileAddress) -> Result<Vec<TreeHash>, E>,
) -> Result<TreeHash, ResumeError<E>> {
    let tile = full_tile(level, index);
    let hashes = read(tile).map_err(|error| ResumeError::Read(tile, error))?;
    if hashes.len() != usize::from(FULL_WIDTH) {
        return Err(ResumeError::Width(tile, hashes.len()));
    }
    Ok(complete_root(&hashes))
}

/// A tile below a hash that a log has.
fn full_tile(level: u8, index: u64) -> TileAddress {
    TileAddress::new(level, index, FULL_WIDTH)
        .unwrap_or_else(|_| unreachable!("no log grows beyond 2^62 entries"))
}

#[cfg(test)]
mod tests;
