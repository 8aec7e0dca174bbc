//! The crates `signed_note` and `tlog_tiles`, made into a verifier.

use signed_note::{Note, StandardVerifier, Verifier as _, VerifierList};
use tlog_tiles::{
    Checkpoint, Error, HASH_SIZE, HashReader, Tile, TileHashReader, TileReader, check_record,
    check_tree, prove_record, prove_tree, record_hash, stored_hash_index, tree_hash,
};

use crate::log_copy::{LogCopy, WIDTH, tile_path};

/// Entries whose inclusion is proved.
const SAMPLED: u64 = 64;

/// Verifies every object of a log by its key, the inclusion of some entries, and that the log goes
/// on from an older checkpoint.
///
/// # Errors
/// What is wrong with the log.
pub fn verify(copy: &LogCopy, vkey: &str, older: Option<&[u8]>) -> Result<(), String> {
    let head = open(object(copy, "checkpoint")?, vkey)?;
    let (size, root) = (head.size(), *head.hash());
    let tiles = Tiles(copy);
    let proven = TileHashReader::new(size, root, &tiles);
    let from_tiles = tree_hash(size, &proven).map_err(|error| format!("root: {error}"))?;
    if from_tiles != root {
        return Err(format!("the tiles' root is {from_tiles}, the checkpoint's {root}"));
    }
    check_tiles(copy, size)?;
    check_bundles(copy, size)?;
    let wrong = |error: Error| error.to_string();
    for sample in 0..size.min(SAMPLED) {
        let index = sample * (size - 1) / (size.min(SAMPLED) - 1).max(1);
        let leaf = proven.read_hashes(&[stored_hash_index(0, index)]).map_err(wrong)?[0];
        let proof = prove_record(size, index, &proven).map_err(wrong)?;
        check_record(&proof, size, root, index, leaf).map_err(wrong)?;
    }
    let Some(older) = older.map(|older| open(older, vkey)).transpose()? else { return Ok(()) };
    if older.size() == 0 {
        return Ok(());
    }
    let proof = prove_tree(size, older.size(), &proven).map_err(wrong)?;
    check_tree(&proof, size, root, older.size(), *older.hash()).map_err(wrong)
}

/// The proof, in base64, that a log goes on from its first `older` entries.
///
/// # Panics
/// When the log is a bad one, or has fewer entries.
#[must_use]
pub fn growth(copy: &LogCopy, older: u64) -> Vec<String> {
    let checkpoint = object(copy, "checkpoint").expect("a log has a checkpoint");
    let note = Note::from_bytes(checkpoint).expect("a checkpoint is a note");
    let head = Checkpoint::from_bytes(note.text()).expect("a checkpoint");
    let tiles = Tiles(copy);
    let proven = TileHashReader::new(head.size(), *head.hash(), &tiles);
    let proof = prove_tree(head.size(), older, &proven).expect("the log has grown");
    proof.iter().map(ToString::to_string).collect()
}

fn object<'a>(copy: &'a LogCopy, path: &str) -> Result<&'a [u8], String> {
    copy.object(path).ok_or_else(|| format!("there is no {path}"))
}

fn hashes<'a>(copy: &'a LogCopy, tile: &Tile) -> Result<&'a [u8], String> {
    let path = tile_path(tile);
    let hashes = object(copy, &path)?;
    let whole = hashes.len() == tile.width() as usize * HASH_SIZE;
    if whole { Ok(hashes) } else { Err(format!("{path} has {} bytes", hashes.len())) }
}

fn open(text: &[u8], vkey: &str) -> Result<Checkpoint, String> {
    let verifier = StandardVerifier::new(vkey).map_err(|error| error.to_string())?;
    let name = verifier.name().to_owned();
    let note = Note::from_bytes(text).map_err(|error| error.to_string())?;
    note.verify(&VerifierList::new(vec![Box::new(verifier)])).map_err(|error| error.to_string())?;
    let checkpoint = Checkpoint::from_bytes(note.text()).map_err(|error| error.to_string())?;
    if checkpoint.origin() != name || !checkpoint.extension().is_empty() {
        return Err(format!(
            "a checkpoint of {}, with {:?}",
            checkpoint.origin(),
            checkpoint.extension()
        ));
    }
    Ok(checkpoint)
}

/// Checks every full tile against its hash in the level above; partial tiles are what the root was
/// computed from.
fn check_tiles(copy: &LogCopy, size: u64) -> Result<(), String> {
    let tiles = Tile::new_tiles(8, 0, size);
    for tile in tiles.iter().filter(|tile| u64::from(tile.width()) == WIDTH) {
        let above = tiles.iter().find(|above| {
            above.level() == tile.level() + 1 && above.level_index() == tile.level_index() / WIDTH
        });
        let above = hashes(copy, above.ok_or("a full tile has one above")?)?;
        let at = (tile.level_index() % WIDTH) as usize * HASH_SIZE;
        if Tile::subtree_hash(hashes(copy, tile)?).0 != above[at..at + HASH_SIZE] {
            return Err(format!("{} is not what the level above says", tile_path(tile)));
        }
    }
    Ok(())
}

/// Checks every entry against its leaf in level 0.
fn check_bundles(copy: &LogCopy, size: u64) -> Result<(), String> {
    for mut tile in Tile::new_tiles(8, 0, size).into_iter().filter(|tile| tile.level() == 0) {
        let leaves = hashes(copy, &tile)?;
        tile.set_is_data();
        let path = tile_path(&tile);
        let mut rest = object(copy, &path)?;
        for leaf in leaves.chunks(HASH_SIZE) {
            let (len, after) =
                rest.split_first_chunk().ok_or_else(|| format!("{path} is short"))?;
            let split = after.split_at_checked(u16::from_be_bytes(*len).into());
            let (entry, after) = split.ok_or_else(|| format!("{path} is short"))?;
            if record_hash(entry).0 != leaf {
                return Err(format!("an entry of {path} is not the leaf of level 0"));
            }
            rest = after;
        }
        if !rest.is_empty() {
            return Err(format!("{path} goes on after its entries"));
        }
    }
    Ok(())
}

/// A copy's tiles, as the crate asks for them.
struct Tiles<'a>(&'a LogCopy);

impl TileReader for Tiles<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let read = |tile| self.0.object(&tile_path(tile)).map(<[u8]>::to_vec);
        tiles.iter().map(read).collect::<Option<_>>().ok_or(Error::InvalidTile)
    }

    fn save_tiles(&self, _tiles: &[Tile], _data: &[Vec<u8>]) {}
}
