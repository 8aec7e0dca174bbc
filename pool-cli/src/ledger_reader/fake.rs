//! Logs that tests make up, as files.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use schema::key::SecretKey;
use schema::tlog::bundle;
use schema::tlog::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use schema::tlog::edge::Edge;
use schema::tlog::merkle::leaf_hash;
use schema::tlog::note::{NoteSigner, VerifierKey};
use schema::tlog::tile::{bundles_of, tiles_of};

/// Every file of a log.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

impl Fake {
    /// The log of these entries, signed by the key that [`key`] verifies.
    pub(crate) fn of(entries: &[Vec<u8>]) -> Self {
        let (mut edge, mut full) = (Edge::new(), BTreeMap::new());
        for entry in entries {
            full.extend(edge.push(leaf_hash(entry)));
        }
        let mut files = BTreeMap::new();
        for tile in tiles_of(0, edge.size()) {
            let hashes = full.get(&tile).map_or_else(|| edge.partial(tile.level()), Vec::as_slice);
            files.insert(format!("tile/{}", tile.path()), tile.encode(hashes).unwrap());
        }
        for (at, address) in bundles_of(0, edge.size()).enumerate() {
            let entries = &entries[at * 256..at * 256 + usize::from(address.width())];
            files.insert(format!("tile/{}", address.path()), bundle::encode(entries).unwrap());
        }
        files.insert("checkpoint".to_owned(), signed(&edge).to_string().into_bytes());
        Self { files }
    }

    /// What a reader asks for.
    pub(crate) async fn fetch(&self, path: &str) -> Result<Bytes> {
        let file = self.files.get(path).with_context(|| format!("there is no {path}"))?;
        Ok(Bytes::copy_from_slice(file))
    }
}

/// So many different entries.
pub(crate) fn entries(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("entry {number}").into_bytes()).collect()
}

/// By which such logs are verified.
pub(crate) fn key() -> VerifierKey {
    signer().verifier().clone()
}

/// The checkpoint over a tree.
pub(crate) fn signed(edge: &Edge) -> SignedCheckpoint {
    let signer = signer();
    let origin = Origin::from(signer.verifier().name());
    let checkpoint = Checkpoint::new(origin, edge.size(), edge.root()).unwrap();
    SignedCheckpoint::sign(checkpoint, &signer).unwrap()
}

fn signer() -> NoteSigner {
    let secret = SecretKey::from_seed("pool".parse().unwrap(), &[9; 32]);
    NoteSigner::new("pool.example/log".parse().unwrap(), Arc::new(secret)).unwrap()
}
