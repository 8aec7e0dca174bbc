//! What a log shows: its published checkpoint, and the tiles and entries under it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use schema::hash::TreeHash;
use schema::tlog::bundle;
use schema::tlog::checkpoint::SignedCheckpoint;
use schema::tlog::edge::Edge;
use schema::tlog::merkle::{self, Nodes};
use schema::tlog::multi_proof::{self, MultiProof};
use schema::tlog::proof::{self, ConsistencyProof, InclusionProof, ProveError};
use schema::tlog::tile::{BundleAddress, FULL_WIDTH, TileAddress, TileNodesError};
use tokio::sync::watch;

use crate::index::{Index, LogAt};
use crate::rejected::{Error, Rejected};

/// A state of a log that was signed.
#[derive(Debug, Clone)]
pub struct Published {
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
    /// Its file: a signed note.
    pub file: Bytes,
    /// The tree's right edge, of the same size.
    pub edge: Arc<Edge>,
}

impl Published {
    pub(super) fn new(checkpoint: SignedCheckpoint, edge: Arc<Edge>) -> Self {
        let file = Bytes::from(checkpoint.note().to_string());
        Self { checkpoint, file, edge }
    }

    /// How many entries the log has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.edge.size()
    }
}

/// A log as its readers see it. None of it is ahead of the published checkpoint.
#[derive(Clone)]
pub struct Shown {
    log: LogAt,
    index: Arc<Index>,
    published: watch::Receiver<Arc<Published>>,
}

impl Shown {
    pub(super) fn new(
        log: impl Into<LogAt>,
        index: Arc<Index>,
        published: watch::Receiver<Arc<Published>>,
    ) -> Self {
        Self { log: log.into(), index, published }
    }

    /// The newest state.
    #[must_use]
    pub fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published.borrow())
    }

    /// Waits until a checkpoint of `size` entries or more is published. Returns early when there
    /// will be none, as the pool stops.
    pub async fn reaches(&self, size: u64) {
        let mut published = self.published.clone();
        let _ = published.wait_for(|published| published.size() >= size).await;
    }

    /// Waits for a checkpoint that was not there before. Returns early as [`reaches`](Self::reaches).
    pub async fn changes(&mut self) -> bool {
        self.published.changed().await.is_ok()
    }

    /// The newest state at once, then each newer one. Whoever is slow misses those between. It ends
    /// when there will be none, as the pool stops.
    pub fn followed(self) -> impl Stream<Item = Arc<Published>> + Send {
        let mut published = self.published;
        published.mark_changed();
        stream::unfold(published, async |mut published| {
            published.changed().await.ok()?;
            let newest = Arc::clone(&published.borrow_and_update());
            Some((newest, published))
        })
    }

    /// Waits until there will be no further checkpoint, as the pool stops.
    pub async fn ends(&self) {
        let mut published = self.published.clone();
        while published.changed().await.is_ok() {}
    }

    /// The bytes of a tile.
    ///
    /// # Errors
    /// A tile that the published tree does not have, or a failing database.
    pub fn tile(&self, tile: &TileAddress) -> Result<Result<Vec<u8>, Rejected>, Error> {
        let published = self.published();
        let widest = TileAddress::in_tree(tile.level(), tile.index(), published.size());
        let Some(widest) = widest.filter(|widest| tile.width() <= widest.width()) else {
            return Ok(Err(not_in_log("tile", &tile.path(), self.log)));
        };
        let mut hashes = if widest.is_full() {
            self.full_tile(&widest)?
        } else {
            bytes_of(published.edge.partial(tile.level()))
        };
        // A narrower tile is what the wider one begins with: none is ever stored, nor collected.
        hashes.truncate(usize::from(tile.width()) * 32);
        Ok(Ok(hashes))
    }

    /// A bundle of entries.
    ///
    /// # Errors
    /// As [`tile`](Self::tile).
    pub fn bundle(&self, bundle: &BundleAddress) -> Result<Result<Vec<u8>, Rejected>, Error> {
        let first = bundle.index() * u64::from(FULL_WIDTH);
        let width = usize::from(bundle.width());
        if first + bundle.width() as u64 > self.published().size() {
            return Ok(Err(not_in_log("bundle", &bundle.path(), self.log)));
        }
        let entries = self.index.log_entries(self.log, first, width)?;
        if entries.len() < width {
            return Err(Error::Damaged(format!("the log {} ends in {}", self.log, bundle.path())));
        }
        let bundle = bundle::encode(&entries);
        Ok(Ok(bundle.map_err(|error| Error::Damaged(error.to_string()))?))
    }

    /// Entries from an index on, at most `count`, published or about to be.
    ///
    /// # Errors
    /// A failing database.
    pub fn entries(&self, from: u64, count: usize) -> Result<Vec<Vec<u8>>, Error> {
        self.index.log_entries(self.log, from, count)
    }

    /// Proves that the entry at `index` is in a published tree.
    ///
    /// # Errors
    /// An index beyond that tree, or a failing database.
    pub fn inclusion(&self, index: u64, published: &Published) -> Result<InclusionProof, Error> {
        proof::inclusion(index, published.size(), &self.nodes(published)).map_err(unproven)
    }

    /// Proves that the entries at these indices, which ascend, are in a published tree.
    ///
    /// # Errors
    /// As [`inclusion`](Self::inclusion).
    pub fn multi_proof(&self, indices: &[u64], published: &Published) -> Result<MultiProof, Error> {
        // The proof is made from left to right, so the tile it read last is most often the next.
        let last: RefCell<HashMap<u8, (TileAddress, Vec<TreeHash>)>> = RefCell::default();
        let nodes = published.edge.nodes(|tile| {
            if let Some((at, hashes)) = last.borrow().get(&tile.level())
                && *at == tile
            {
                return Ok(hashes.clone());
            }
            let hashes = full_hashes(&self.index, self.log, &tile)?;
            last.borrow_mut().insert(tile.level(), (tile, hashes.clone()));
            Ok(hashes)
        });
        multi_proof::multi_proof(indices, published.size(), &nodes).map_err(unproven)
    }

    /// Proves that a published tree began as the tree with `old` entries.
    ///
    /// # Errors
    /// As [`inclusion`](Self::inclusion).
    pub fn consistency(&self, old: u64, published: &Published) -> Result<ConsistencyProof, Error> {
        proof::consistency(old, published.size(), &self.nodes(published)).map_err(unproven)
    }

    /// The root of the tree with the first `size` entries of a published tree, which has as many.
    ///
    /// # Errors
    /// A failing database.
    pub fn root(&self, size: u64, published: &Published) -> Result<TreeHash, Error> {
        merkle::root(size, &self.nodes(published)).map_err(unreadable)
    }

    /// The nodes of a published tree.
    pub(super) fn nodes<'p>(
        &'p self,
        published: &'p Published,
    ) -> impl Nodes<Error = TileNodesError<Error>> + 'p {
        published.edge.nodes(|tile| full_hashes(&self.index, self.log, &tile))
    }

    fn full_tile(&self, tile: &TileAddress) -> Result<Vec<u8>, Error> {
        full_tile(&self.index, self.log, tile)
    }
}

/// The hashes of a full tile that must be there.
pub(super) fn full_hashes(
    index: &Index,
    log: LogAt,
    tile: &TileAddress,
) -> Result<Vec<TreeHash>, Error> {
    let bytes = full_tile(index, log, tile)?;
    tile.decode(&bytes)
        .map_err(|error| Error::Damaged(format!("tile {} of the log {log}: {error}", tile.path())))
}

fn full_tile(index: &Index, log: LogAt, tile: &TileAddress) -> Result<Vec<u8>, Error> {
    index
        .tile(log, tile.level(), tile.index())?
        .ok_or_else(|| Error::Damaged(format!("tile {} of the log {log} is gone", tile.path())))
}

fn bytes_of(hashes: &[TreeHash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.as_bytes()).copied().collect()
}

fn unproven(error: ProveError<TileNodesError<Error>>) -> Error {
    match error {
        ProveError::Nodes(error) => unreadable(error),
        other => Error::Damaged(format!("a proof cannot be made: {other}")),
    }
}

/// A node of a tree that must be there.
pub(super) fn unreadable(error: TileNodesError<Error>) -> Error {
    match error {
        TileNodesError::Read(error) => error,
        other => Error::Damaged(other.to_string()),
    }
}

fn not_in_log(what: &str, path: &str, log: LogAt) -> Rejected {
    Rejected::not_found("not_in_log", format!("the log {log} has no {what} {path}"))
        .hint("the checkpoint says how many entries there are")
}
