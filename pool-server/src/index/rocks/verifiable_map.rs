//! The verifiable map, as [`schema::verifiable_map`] describes it, kept on disk.
//!
//! Two kinds of rows make the trie, in one family, each under the depth and the prefix of the
//! subtree that it holds:
//! - a *bucket* holds a whole subtree of at most [`BUCKET`] keys, with their lists;
//! - a *page* holds the top [`LEVELS`] levels of a larger one: its shape, and the hashes of what
//!   hangs below. Pages stand at depths that [`LEVELS`] divides, buckets anywhere.
//!
//! So an added index reads and writes one bucket and the pages above it, of which the upper ones
//! are shared by all that is added at once; what is not on the way is not touched. Keys never
//! leave the map, so a bucket that has become a page stays one. A list that has become long
//! moves to rows of its own, of [`CHUNK`] indices each, and leaves its chain in the bucket.
//!
//! Memory is needed for what is added at once, never for what is there.

mod growth;
mod lookup;
mod row;

use rocksdb::{ColumnFamily, Snapshot, WriteBatch};
use schema::attestation::Entry;
use schema::hash::{MapHash, MapKey, TreeHash};
use schema::verifiable_map::{INDEX_LEAF_LEN, IndexLeaf, MapProof};

use super::{Index, damaged, failed};
use crate::index::families;
use crate::rejected::Error;
use growth::{Added, Growth};
use row::{Node, Row};

/// The most keys of a bucket. Half as many save a third of the hashing, but then pages are more:
/// no time is won, and an attestation takes a sixth more on disk.
const BUCKET: usize = 16;
/// How many levels of the trie a page holds.
const LEVELS: usize = 4;
/// The most indices of a list that stays in its bucket.
const SHORT: usize = 16;
/// How many indices of a long list share a row.
const CHUNK: u64 = 256;

/// Of the family of nodes; no page or bucket can stand so deep.
const STATE_ROW: [u8; 1] = [u8::MAX];

/// Which leaf of the index log tells of the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapState {
    /// Its number in the index log.
    pub number: u64,
    /// What it says.
    pub leaf: IndexLeaf,
}

/// What the map has under one key, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The leaf that this can be checked against.
    pub state: MapState,
    /// How many indices the whole list has.
    pub len: u64,
    /// The part that was asked for.
    pub indices: Vec<u64>,
    /// Shows that the whole list is this key's.
    pub proof: MapProof,
}

impl Index {
    /// Which leaf of the index log does the map stand at? None before the first.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn map_state(&self) -> Result<Option<MapState>, Error> {
        self.read(&families::MAP_NODES, &STATE_ROW, read_state)
    }

    /// What does the map list under this key, from position `from` of the list on, at most `limit`
    /// of them? With the proof, which is the same for every part of the list. None before there is
    /// a map. All of the answer is of one moment.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn listed(&self, key: &MapKey, from: u64, limit: usize) -> Result<Option<Listed>, Error> {
        self.map_rows()?.listed(key, from, limit)
    }

    /// The map as it is now, for many questions.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn map_now(&self) -> Result<MapNow<'_>, Error> {
        self.map_rows().map(MapNow)
    }

    /// The map with the next entries of the ledger, which begin where the map ends. Nothing is
    /// written yet: the leaf that tells of the new map has to be in the index log before. Takes
    /// about 4 kB of memory an entry.
    ///
    /// `attestations` is the root of the attestation log with these entries.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn grown_map(
        &self,
        entries: &[Entry],
        attestations: TreeHash,
    ) -> Result<GrownMap<'_>, Error> {
        let rows = self.map_rows()?;
        let before = rows.state()?.map(|state| state.leaf);
        let size = before.map_or(0, |leaf| leaf.size);
        let added = Added::of(size, entries);
        let root = before.map_or(MapHash::EMPTY, |leaf| leaf.map);
        let mut growth = Growth::new(rows);
        let map = growth.grow(Node::with_row(root), 0, &added)?.hash();
        let size = size + entries.len() as u64;
        let leaf = IndexLeaf { size, attestations, map };
        Ok(GrownMap { index: self, writes: growth.into_writes(), leaf })
    }

    fn map_rows(&self) -> Result<Rows<'_>, Error> {
        Ok(Rows {
            snapshot: self.database.snapshot(),
            nodes: self.family(&families::MAP_NODES)?,
            chunks: self.family(&families::MAP_CHUNKS)?,
        })
    }
}

/// The map as it was at one moment. It keeps the database from forgetting that: not for long.
pub struct MapNow<'i>(Rows<'i>);

impl MapNow<'_> {
    /// Which leaf of the index log the map stands at. None before the first.
    ///
    /// # Errors
    /// A failing or damaged database.
    pub fn state(&self) -> Result<Option<MapState>, Error> {
        self.0.state()
    }

    /// The proof of what the map has under this key, or that it has nothing. None before there is a
    /// map.
    ///
    /// # Errors
    /// As [`state`](Self::state).
    pub fn proof(&self, key: &MapKey) -> Result<Option<MapProof>, Error> {
        Ok(self.0.listed(key, 0, 0)?.map(|listed| listed.proof))
    }
}

/// A map that is not written yet.
pub struct GrownMap<'i> {
    index: &'i Index,
    writes: WriteBatch,
    leaf: IndexLeaf,
}

impl GrownMap<'_> {
    /// What the next leaf of the index log has to say.
    #[must_use]
    pub fn leaf(&self) -> &IndexLeaf {
        &self.leaf
    }

    /// Makes this the map, now that its leaf has this number in the index log, and waits until it
    /// would survive a crash of the machine.
    ///
    /// # Errors
    /// When it could not be written; then the map is what it was.
    pub fn commit(mut self, number: u64) -> Result<(), Error> {
        let mut state = number.to_be_bytes().to_vec();
        state.extend_from_slice(&self.leaf.to_bytes());
        self.writes.put_cf(self.index.family(&families::MAP_NODES)?, STATE_ROW, state);
        self.index.write(self.writes)
    }
}

/// The rows of the map as they were at one moment.
struct Rows<'i> {
    snapshot: Snapshot<'i>,
    nodes: &'i ColumnFamily,
    chunks: &'i ColumnFamily,
}

impl Rows<'_> {
    fn state(&self) -> Result<Option<MapState>, Error> {
        let row = self.snapshot.get_pinned_cf(self.nodes, STATE_ROW).map_err(failed)?;
        row.map(|bytes| read_state(&bytes)).transpose()
    }

    /// The row of the subtree at `depth` that `key` is in. It has to be there.
    fn node(&self, key: &MapKey, depth: usize) -> Result<Row, Error> {
        let row =
            self.snapshot.get_pinned_cf(self.nodes, row::address(key, depth)).map_err(failed)?;
        row.and_then(|bytes| Row::read(&bytes)).ok_or_else(|| damaged("map_nodes"))
    }

    /// The `len` indices of a long list from position `number` × [`CHUNK`] on.
    fn chunk(&self, key: &MapKey, number: u64, len: u64) -> Result<Vec<u64>, Error> {
        let address = row::chunk_address(key, number);
        let row = self.snapshot.get_pinned_cf(self.chunks, address).map_err(failed)?;
        row.and_then(|bytes| row::read_chunk(&bytes))
            .filter(|indices| indices.len() as u64 == len)
            .ok_or_else(|| damaged("map_chunks"))
    }
}

fn read_state(bytes: &[u8]) -> Result<MapState, Error> {
    let read = || {
        let (number, leaf) = bytes.split_first_chunk()?;
        let leaf: &[u8; INDEX_LEAF_LEN] = leaf.try_into().ok()?;
        let number = u64::from_be_bytes(*number);
        Some(MapState { number, leaf: IndexLeaf::parse(leaf).ok()? })
    };
    read().ok_or_else(|| damaged("map_nodes"))
}

#[cfg(test)]
mod tests;
