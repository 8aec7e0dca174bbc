//! Which store paths a NAR seems to refer to.
//!
//! At upload time nobody has said yet what the NAR refers to, so the scan looks for everything
//! that could be a store path's base name: 32 base-32 digits and a dash.

use std::collections::BTreeSet;

use memchr::memchr_iter;
use schema::base32;
use schema::store_path::{HASH_PART_LEN, HashPart};

use crate::index::Candidates;

/// The most candidates kept of one NAR: 20 bytes each.
const MAX_CANDIDATES: usize = 16_384;

/// A scan in progress; the NAR may come in pieces of any size.
#[derive(Default)]
pub(super) struct Scan {
    tail: Vec<u8>,
    found: BTreeSet<HashPart>,
    truncated: bool,
}

impl Scan {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        // A hash part may begin in the last piece: look once at where the two meet.
        let seam = bytes.len().min(HASH_PART_LEN + 1);
        let mut joined = std::mem::take(&mut self.tail);
        joined.extend_from_slice(&bytes[..seam]);
        self.scan(&joined);
        if bytes.len() > seam {
            self.scan(bytes);
            joined.clear();
            joined.extend_from_slice(&bytes[bytes.len() - HASH_PART_LEN..]);
        }
        let surplus = joined.len().saturating_sub(HASH_PART_LEN);
        joined.drain(..surplus);
        self.tail = joined;
    }

    pub(super) fn finish(self) -> Candidates {
        Candidates { hash_parts: self.found.into_iter().collect(), truncated: self.truncated }
    }

    fn scan(&mut self, bytes: &[u8]) {
        for dash in memchr_iter(b'-', bytes) {
            let Some(start) = dash.checked_sub(HASH_PART_LEN) else { continue };
            let digits = &bytes[start..dash];
            // The digits next to the dash are the likeliest to differ: look from there.
            if digits.iter().rev().all(|&byte| base32::is_digit(byte)) {
                self.add(digits);
            }
        }
    }

    fn add(&mut self, digits: &[u8]) {
        let Ok(bytes) = base32::decode(digits) else { return };
        let hash_part = HashPart::from_bytes(bytes);
        if self.found.len() < MAX_CANDIDATES {
            self.found.insert(hash_part);
        } else if !self.found.contains(&hash_part) {
            self.truncated = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz";
    const TWO: &str = "3n58xw4373jp0ljirf06d8077j15pc4j";

    fn found(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<String> {
        let mut scan = Scan::default();
        for piece in pieces {
            scan.update(piece.as_ref());
        }
        scan.finish().hash_parts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_hash_part_is_found_wherever_the_pieces_are_cut() {
        let text = format!("-x{ONE}-hello {TWO}-glibc{ONE} eh7qgvs4kgzsn8a6rb273saxyqh4jxlz-no -");
        for size in 1..=text.len() {
            assert_eq!(found(text.as_bytes().chunks(size)), [TWO, ONE], "pieces of {size}");
        }
    }

    #[test]
    fn too_many_candidates_are_reported_as_such() {
        let mut scan = Scan::default();
        for number in 0..=MAX_CANDIDATES as u64 {
            let mut bytes = [0; 20];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            scan.update(format!("{}-n ", HashPart::from_bytes(bytes)).as_bytes());
        }
        let candidates = scan.finish();
        assert_eq!(candidates.hash_parts.len(), MAX_CANDIDATES);
        assert!(candidates.truncated);
    }
}
