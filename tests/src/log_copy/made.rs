//! A log that was made without any code of ours.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::SigningKey;
use signed_note::{Note, StandardSigner};
use tlog_tiles::{Checkpoint, Error, Hash, HashReader, Tile};

use super::{LogCopy, WIDTH, paths, tile_path};

/// Makes a log with the crates `tlog_tiles` and `signed_note`; answers with its key as well.
///
/// # Panics
/// When an entry has 64 KiB or more.
#[must_use]
pub fn made(origin: &str, seed: u8, entries: &[Vec<u8>]) -> (LogCopy, String) {
    let mut hashes = Stored::default();
    for (index, entry) in entries.iter().enumerate() {
        let more = tlog_tiles::stored_hashes(index as u64, entry, &hashes).expect("it was stored");
        hashes.0.extend(more);
    }
    let size = entries.len() as u64;
    let mut copy = LogCopy::default();
    for tile in Tile::new_tiles(8, 0, size) {
        let data = tile.read_data(&hashes).expect("it was stored");
        copy.objects.insert(tile_path(&tile), data);
    }
    for (at, bundle) in entries.chunks(WIDTH as usize).enumerate() {
        let tile = Tile::new(8, 0, at as u64, bundle.len() as u32, true);
        let packed = bundle.iter().flat_map(|entry| {
            let len = u16::try_from(entry.len()).expect("entries are short");
            [&len.to_be_bytes(), entry.as_slice()].concat()
        });
        copy.objects.insert(tile_path(&tile), packed.collect());
    }
    assert!(copy.paths().eq(sorted(paths(size)).iter().map(String::as_str)));
    let root = tlog_tiles::tree_hash(size, &hashes).expect("it was stored");
    let (checkpoint, vkey) = signed(origin, seed, size, root);
    copy.objects.insert("checkpoint".to_owned(), checkpoint);
    (copy, vkey)
}

fn sorted(paths: impl Iterator<Item = String>) -> Vec<String> {
    let mut paths: Vec<String> = paths.collect();
    paths.sort();
    paths
}

/// A signed checkpoint, and the key that verifies it.
fn signed(origin: &str, seed: u8, size: u64, root: Hash) -> (Vec<u8>, String) {
    let public = SigningKey::from_bytes(&[seed; 32]).verifying_key().to_bytes();
    let public = [&[1], &public[..]].concat();
    let secret = BASE64_STANDARD.encode([&[1], &[seed; 32][..]].concat());
    let name = format!("{origin}+{:08x}", signed_note::key_id(origin, &public));
    let signer = StandardSigner::new(&format!("PRIVATE+KEY+{name}+{secret}"));
    let signer = signer.expect("that is how a secret key is written");
    let checkpoint = Checkpoint::new(origin, size, root, "").expect("an origin and no extension");
    let mut note = Note::new(&checkpoint.to_bytes(), &[]).expect("a checkpoint is a note's text");
    note.add_sigs(&[&signer]).expect("the signer is a good one");
    (note.to_bytes(), format!("{name}+{}", BASE64_STANDARD.encode(public)))
}

/// Every hash of the tree, where sumdb would store it.
#[derive(Default)]
struct Stored(Vec<Hash>);

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let read =
            |index: &u64| self.0.get(*index as usize).copied().ok_or(Error::IndexesNotInTree);
        indexes.iter().map(read).collect()
    }
}
