//! The tree of a log, tile by tile as proofs ask for them.

use std::cell::RefCell;
use std::collections::HashMap;

use anyhow::anyhow;
use schema::hash::TreeHash;
use schema::tlog::fork::{ForkProof, fork_proof};
use schema::tlog::merkle::Nodes;
use schema::tlog::proof::{ConsistencyProof, ProveError, consistency};
use schema::tlog::subtree::{Subtree, SubtreeProof, subtree_consistency};
use schema::tlog::tile::{TileAddress, TileNodes, TileNodesError};

use crate::ledger_reader::{LogFiles, LogReader, ReadError};

/// A tile that has to be fetched first.
#[derive(Debug)]
pub(super) struct Missing(TileAddress);

type Unproven = ProveError<TileNodesError<Missing>>;

/// The tree of `size` entries. Its tiles are not checked, but what is proven from them is, by whoever
/// gets the proof.
pub(super) struct Tiles<'r, F> {
    reader: &'r LogReader<F>,
    size: u64,
    known: RefCell<HashMap<TileAddress, Vec<TreeHash>>>,
}

impl<'r, F: LogFiles> Tiles<'r, F> {
    pub(super) fn new(reader: &'r LogReader<F>, size: u64) -> Self {
        Self { reader, size, known: RefCell::default() }
    }

    /// That the tree begins with the tree of `old` entries.
    pub(super) async fn consistency(&self, old: u64) -> Result<ConsistencyProof, ReadError> {
        self.proven(|nodes| consistency(old, self.size, &nodes)).await
    }

    /// What the entries of a subtree hash to in the tree.
    pub(super) async fn subtree(&self, subtree: Subtree) -> Result<SubtreeProof, ReadError> {
        self.proven(|nodes| subtree_consistency(subtree, self.size, &nodes)).await
    }

    /// What the first `old` entries of the tree hash to.
    pub(super) async fn fork(&self, old: u64) -> Result<ForkProof, ReadError> {
        self.proven(|nodes| fork_proof(old, self.size, &nodes)).await
    }

    async fn proven<T>(
        &self,
        prove: impl Fn(&dyn Nodes<Error = TileNodesError<Missing>>) -> Result<T, Unproven>,
    ) -> Result<T, ReadError> {
        loop {
            let missing = {
                let known = self.known.borrow();
                let find = |tile| known.get(&tile).cloned().ok_or(Missing(tile));
                match prove(&TileNodes::new(self.size, find)) {
                    Ok(proof) => return Ok(proof),
                    Err(ProveError::Nodes(TileNodesError::Read(Missing(tile)))) => tile,
                    Err(other) => return Err(anyhow!("a proof cannot be made: {other}").into()),
                }
            };
            let hashes = self.reader.tile(missing).await?;
            self.known.borrow_mut().insert(missing, hashes);
        }
    }
}
