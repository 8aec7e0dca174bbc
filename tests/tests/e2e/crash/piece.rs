//! What is pushed: store paths with NARs, the same for all who push in one round.

use std::ops::Range;

use schema::api::AttestItem;
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::key::SecretKey;
use schema::store_path::StorePath;
use tests::nar::{attestation, file, noise, path, xz, zstd};
use tests::random::Random;

/// A kind of NAR.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    name: &'static str,
    /// How many different paths there are in a round: few, so that pushers meet.
    count: u64,
    /// Bytes of the file in the NAR.
    size: (u64, u64),
}

/// Many to a request.
pub(super) const SMALL: Kind = Kind { name: "small", count: 150, size: (0, 12 << 10) };
/// One a request, held in memory until it is checked.
pub(super) const MEDIUM: Kind = Kind { name: "medium", count: 20, size: (64 << 10, 900 << 10) };
/// Written out in parts while it arrives.
pub(super) const LARGE: Kind = Kind { name: "large", count: 3, size: (9 << 20, 13 << 20) };

/// A path and its NAR, as one signer has built it.
pub(super) struct Piece {
    pub(super) path: StorePath,
    pub(super) nar: Vec<u8>,
    pub(super) nar_hash: NarHash,
}

impl Kind {
    /// Any of this kind. Of every eighth path, signers have NARs of their own.
    pub(super) fn any(self, round: u64, signer: &SecretKey, random: &mut Random) -> Piece {
        let number = random.within(0..self.count);
        let own = if number.is_multiple_of(8) { signer.name().as_str() } else { "everybody" };
        let what = format!("{} {number} of round {round}", self.name);
        let seed = NarHash::of(format!("{what}, by {own}").as_bytes());
        let seed = u64::from_be_bytes(*seed.as_bytes().first_chunk().unwrap());
        let Range { start, end } = self.size.0..self.size.1;
        let len = Random::new(seed).within(start..end);
        let nar = file(&noise(seed, usize::try_from(len).unwrap()));
        Piece { path: path(&what, self.name), nar_hash: NarHash::of(&nar), nar }
    }
}

impl Piece {
    /// What `signer` says of it.
    pub(super) fn attested_by(&self, signer: &SecretKey) -> AttestItem {
        attestation(signer, &self.path, &self.nar, &[])
    }

    /// Its NAR in a file: the same NAR comes in different ones.
    pub(super) fn packed(&self, compression: Compression) -> Vec<u8> {
        match compression {
            Compression::Zstd => zstd(&self.nar),
            Compression::Xz => xz(&self.nar),
            _ => self.nar.clone(),
        }
    }
}
