//! What an operator can do to a pool's logs who has its keys and its disk.

use std::fs;
use std::path::{Path, PathBuf};

use pool_server::index::{Index, LogId};
use pool_server::ledger::identity::Identity;
use schema::tlog::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use schema::tlog::edge::Edge;
use schema::tlog::merkle::leaf_hash;

/// A slot of a head's file.
const SLOT: usize = 4096;

/// The data directory of a pool that does not run.
pub(super) struct Edited {
    index: Index,
    identity: Identity,
    heads: PathBuf,
}

impl Edited {
    pub(super) fn open(data: &Path) -> Self {
        Self {
            index: Index::open(&data.join("index")).unwrap(),
            identity: Identity::open(data, None).unwrap(),
            heads: data.join("heads"),
        }
    }

    /// All entries of a log.
    pub(super) fn entries(&self, log: LogId) -> Vec<Vec<u8>> {
        self.index.log_entries(log, 0, usize::MAX).unwrap()
    }

    /// Writes these entries over those of a log, of which there are no more, and the tiles.
    pub(super) fn write(&self, log: LogId, entries: &[Vec<u8>]) {
        let (mut batch, mut edge) = (self.index.batch(), Edge::new());
        for (number, entry) in (0..).zip(entries) {
            batch.put_log_entry(log, number, entry).unwrap();
            for (tile, hashes) in edge.push(leaf_hash(entry)) {
                let hashes = tile.encode(&hashes).unwrap();
                batch.put_tile(log, tile.level(), tile.index(), &hashes).unwrap();
            }
        }
        batch.commit().unwrap();
        assert_eq!(self.index.log_size(log).unwrap(), edge.size());
    }

    /// Signs a log as it is, in the place of whatever was signed.
    pub(super) fn sign(&self, log: LogId) {
        let mut edge = Edge::new();
        for entry in self.entries(log) {
            edge.push(leaf_hash(&entry));
        }
        let signer = self.identity.log_signer(log).unwrap();
        let origin = Origin::from(signer.verifier().name());
        let checkpoint = Checkpoint::new(origin, edge.size(), edge.root()).unwrap();
        let signed = SignedCheckpoint::sign(checkpoint, &signer).unwrap();
        let mut slots = signed.to_string().into_bytes();
        slots.resize(2 * SLOT, 0);
        fs::write(self.heads.join(log.as_str()), slots).unwrap();
    }

    /// Writes and signs.
    pub(super) fn replace(&self, log: LogId, entries: &[Vec<u8>]) {
        self.write(log, entries);
        self.sign(log);
    }
}
