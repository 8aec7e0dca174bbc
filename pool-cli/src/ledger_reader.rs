//! A transparency log as somebody reads it who trusts nobody: what is handed on is in the tree that
//! the log has signed, and that tree has grown from the one that was seen before.
//!
//! It reads the files of a log by their C2SP paths, wherever they lie: at a pool, at a mirror, in a
//! directory.

mod claim;
#[cfg(test)]
pub(crate) mod fake;
mod finding;

use anyhow::Result;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use schema::hash::TreeHash;
use schema::tlog::bundle;
use schema::tlog::checkpoint::SignedCheckpoint;
use schema::tlog::edge::Edge;
use schema::tlog::merkle::leaf_hash;
use schema::tlog::note::VerifierKey;
use schema::tlog::tile::{BundleAddress, FULL_WIDTH, TileAddress, bundles_of, tiles_of};

pub(crate) use self::claim::claim_of;
pub(crate) use self::finding::{Code, Finding, ReadError};

/// The most entries by which a log may grow from one visit to the next: a log that is signed costs its
/// pool nothing, and its reader every tile.
const MAX_GROWTH: u64 = 1 << 26;
/// Files that are asked for at a time.
const AT_ONCE: usize = 8;

/// A log: what people call it, its key, and how to get a file of it.
pub(crate) struct LogReader<F> {
    log: &'static str,
    key: VerifierKey,
    files: F,
}

/// What a log has grown by, in a tree that its checkpoint vouches for.
#[derive(Debug)]
pub(crate) struct Growth {
    from: u64,
    edge: Edge,
    /// The roots over the new full bundles, from the one on in which the old tree ends.
    roots: Vec<TreeHash>,
}

impl Growth {
    /// The edge of the tree that has grown.
    pub(crate) fn edge(&self) -> &Edge {
        &self.edge
    }

    /// How many entries are new.
    pub(crate) fn new_entries(&self) -> u64 {
        self.edge.size() - self.from
    }
}

/// The files of a log, wherever they lie.
pub(crate) trait LogFiles {
    /// The file at a path such as `checkpoint` and `tile/0/000`.
    async fn file(&self, path: String) -> Result<Bytes>;
}

impl<F: AsyncFn(String) -> Result<Bytes>> LogFiles for F {
    async fn file(&self, path: String) -> Result<Bytes> {
        self(path).await
    }
}

impl<F: LogFiles> LogReader<F> {
    /// The log that `key` signs.
    pub(crate) fn new(log: &'static str, key: VerifierKey, files: F) -> Self {
        Self { log, key, files }
    }

    /// The newest tree that the log has signed.
    pub(crate) async fn checkpoint(&self) -> Result<SignedCheckpoint, ReadError> {
        let file = self.files.file("checkpoint".to_owned()).await?;
        SignedCheckpoint::open(&file, &self.key).map_err(|why| {
            self.caught(Code::NotSigned, format!("the checkpoint is not the log's: {why}"))
        })
    }

    /// How the log has grown from `old` to the tree of `to`, as its tiles of hashes show. `to` is
    /// not smaller than `old`.
    pub(crate) async fn growth(
        &self,
        old: &Edge,
        to: &SignedCheckpoint,
    ) -> Result<Growth, ReadError> {
        let (from, size) = (old.size(), to.size());
        if size - from > MAX_GROWTH {
            let why = format!("it grew by {} entries; nobody reads so many at once", size - from);
            return Err(anyhow::anyhow!(why).into());
        }
        let mut grown = Grown { edge: old.clone(), roots: Vec::new(), filled: Vec::new() };
        let leaves = tiles_of(from, size).take_while(|tile| tile.level() == 0);
        let mut leaves = stream::iter(leaves)
            .map(async |tile| self.tile(tile).await.map(|hashes| (tile, hashes)))
            .buffered(AT_ONCE);
        while let Some((tile, hashes)) = leaves.try_next().await? {
            let known = usize::try_from(grown.edge.size() % u64::from(FULL_WIDTH)).unwrap_or(0);
            if hashes[..known] != *grown.edge.partial(0) {
                return Err(self.forked(from, size, &tile));
            }
            grown.push(&hashes[known..]);
        }
        if grown.edge.root() != *to.root() {
            return Err(self.caught(
                Code::Fork,
                format!(
                    "fork: the log of {size} entries does not begin with the {from} seen before"
                ),
            ));
        }
        self.check_upper(from, size, &grown).await?;
        Ok(Growth { from, edge: grown.edge, roots: grown.roots })
    }

    /// The entries that are new, in order, a bundle at a time, each with the index of its first.
    pub(crate) fn entries<'a>(
        &'a self,
        growth: &'a Growth,
    ) -> impl Stream<Item = Result<(u64, Vec<Vec<u8>>), ReadError>> + 'a {
        stream::iter(bundles_of(growth.from, growth.edge.size()))
            .map(async |address| self.bundle(address, growth).await)
            .buffered(AT_ONCE)
    }

    /// The first of `leaves`, counted from the log's beginning, that the log of `size` entries now
    /// shows to be another. None when it shows all of them as they are.
    pub(crate) async fn changed(
        &self,
        leaves: impl Iterator<Item = Result<TreeHash>>,
        size: u64,
    ) -> Result<Option<u64>, ReadError> {
        let mut shown: Vec<TreeHash> = Vec::new();
        for (index, leaf) in (0..size).zip(leaves) {
            let (number, at) = (index / u64::from(FULL_WIDTH), index % u64::from(FULL_WIDTH));
            if at == 0 {
                let tile = TileAddress::in_tree(0, number, size);
                shown = self.tile(tile.unwrap_or_else(|| unreachable!("it holds {index}"))).await?;
            }
            if shown[usize::try_from(at).unwrap_or(0)] != leaf? {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// The tiles above the leaves are what the leaves give: others may read those alone.
    async fn check_upper(&self, from: u64, size: u64, grown: &Grown) -> Result<(), ReadError> {
        let upper = tiles_of(from, size).filter(|tile| tile.level() > 0);
        let mut upper = stream::iter(upper)
            .map(async |tile| self.tile(tile).await.map(|hashes| (tile, hashes)))
            .buffered(AT_ONCE);
        while let Some((tile, hashes)) = upper.try_next().await? {
            let filled = grown.filled.iter().find(|(address, _)| *address == tile);
            let expected =
                filled.map_or_else(|| grown.edge.partial(tile.level()), |(_, hashes)| hashes);
            if hashes != expected {
                let path = tile.path();
                let detail = format!("tile {path} is not over the hashes in the tiles below it");
                return Err(self.caught(Code::Tile, detail));
            }
        }
        Ok(())
    }

    async fn bundle(
        &self,
        address: BundleAddress,
        growth: &Growth,
    ) -> Result<(u64, Vec<Vec<u8>>), ReadError> {
        let path = address.path();
        let file = self.files.file(format!("tile/{path}")).await?;
        let entries = bundle::parse(&file);
        let entries = entries.map_err(|why| self.caught(Code::Bundle, format!("{path}: {why}")))?;
        if entries.len() != usize::from(address.width()) {
            let (has, should) = (entries.len(), address.width());
            let detail = format!("{path} has {has} entries, and should have {should}");
            return Err(self.caught(Code::Bundle, detail));
        }
        let leaves: Vec<TreeHash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        if !growth.vouches(&address, &leaves) {
            return Err(self.culprit(&address, &leaves).await);
        }
        let first = address.index() * u64::from(FULL_WIDTH);
        let seen = usize::try_from(growth.from.saturating_sub(first)).unwrap_or(usize::MAX);
        let entries = entries.iter().skip(seen).map(|entry| entry.to_vec()).collect();
        Ok((first.max(growth.from), entries))
    }

    /// Which entry of a bundle is not the one whose hash is in the tree.
    async fn culprit(&self, address: &BundleAddress, leaves: &[TreeHash]) -> ReadError {
        let path = address.path();
        let tile = TileAddress::new(0, address.index(), address.width());
        let shown = match tile {
            Ok(tile) => self.tile(tile).await,
            Err(_) => Ok(Vec::new()),
        };
        let differs = match shown {
            Ok(shown) => shown.iter().zip(leaves).position(|(one, other)| one != other),
            Err(error) => return error,
        };
        let detail = format!("{path} holds another entry than the tree");
        let first = address.index() * u64::from(FULL_WIDTH);
        let finding = Finding::new(self.log, Code::Bundle, detail);
        ReadError::Caught(match differs {
            Some(at) => finding.at(first + at as u64),
            None => finding,
        })
    }

    /// The hashes of a tile, as the log shows them: nobody has compared them with anything.
    pub(crate) async fn tile(&self, tile: TileAddress) -> Result<Vec<TreeHash>, ReadError> {
        let file = self.files.file(format!("tile/{}", tile.path())).await?;
        let hashes = tile.decode(&file);
        hashes.map_err(|why| self.caught(Code::Tile, format!("tile {}: {why}", tile.path())))
    }

    fn forked(&self, from: u64, size: u64, tile: &TileAddress) -> ReadError {
        let path = tile.path();
        self.caught(
            Code::Fork,
            format!(
                "fork: tile {path} of the log of {size} entries does not begin with what was seen \
                 of the {from} before"
            ),
        )
    }

    fn caught(&self, code: Code, detail: String) -> ReadError {
        ReadError::Caught(Finding::new(self.log, code, detail))
    }
}

impl Growth {
    /// Whether the entries with these leaves are those of the tree.
    fn vouches(&self, bundle: &BundleAddress, leaves: &[TreeHash]) -> bool {
        if bundle.width() < FULL_WIDTH {
            return leaves == self.edge.partial(0);
        }
        let before = bundle.index() - self.from / u64::from(FULL_WIDTH);
        let root = usize::try_from(before).ok().and_then(|before| self.roots.get(before));
        let mut tree = Edge::new();
        for leaf in leaves {
            tree.push(*leaf);
        }
        root == Some(&tree.root())
    }
}

/// A tree that grows.
struct Grown {
    edge: Edge,
    roots: Vec<TreeHash>,
    /// The full tiles above the leaves.
    filled: Vec<(TileAddress, Vec<TreeHash>)>,
}

impl Grown {
    fn push(&mut self, leaves: &[TreeHash]) {
        for leaf in leaves {
            let mut filled = self.edge.push(*leaf).into_iter();
            if filled.next().is_none() {
                continue;
            }
            // The root over the tile of leaves is the last hash of the tile above, which may have
            // become full by it.
            let above: Vec<_> = filled.collect();
            let row = above.first().map_or_else(|| self.edge.partial(1), |(_, hashes)| hashes);
            self.roots.extend(row.last());
            self.filled.extend(above);
        }
    }
}

#[cfg(test)]
mod tests;
