//! NARs and claims made on the spot.

use std::io::{self, Read, Write};

use nix_archive::nar::encode_regular;
use schema::api::AttestItem;
use schema::claim::Claim;
use schema::guix::ecdsa::EcdsaSecret;
use schema::hash::NarHash;
use schema::key::SecretKey;
use schema::store_path::{BaseName, HashPart, StoreDir, StorePath};
use sha2::{Digest, Sha256};

/// The NAR of one file.
///
/// # Panics
/// Never: memory takes what is written.
#[must_use]
pub fn file(contents: &[u8]) -> Vec<u8> {
    let mut nar = Vec::new();
    encode_regular(&mut nar, contents, false).expect("memory takes what is written");
    nar
}

/// Bytes that do not compress, the same for the same seed.
#[must_use]
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let block = |at: u64| Sha256::digest([seed.to_be_bytes(), at.to_be_bytes()].concat());
    let mut bytes: Vec<u8> = (0..len.div_ceil(32) as u64).flat_map(block).collect();
    bytes.truncate(len);
    bytes
}

/// A store path in `/nix/store` whose hash part comes from `seed`.
///
/// # Panics
/// When `name` is not one.
#[must_use]
pub fn path(seed: &str, name: &str) -> StorePath {
    let mut bytes = [0; 20];
    bytes.copy_from_slice(&Sha256::digest(seed)[..20]);
    format!("/nix/store/{}-{name}", HashPart::from_bytes(bytes))
        .parse()
        .expect("a well-formed path")
}

/// The same in `/gnu/store`.
#[must_use]
pub fn guix_path(seed: &str, name: &str) -> StorePath {
    StorePath::new(StoreDir::guix(), path(seed, name).base().clone())
}

/// A key of Guix's whose secret comes from `seed`.
///
/// # Panics
/// When `name` is not a key's.
#[must_use]
pub fn guix_key(name: &str, seed: u8) -> SecretKey {
    let key = EcdsaSecret::from_bytes(&[seed; 32]).expect("no multiple of the group's order");
    SecretKey::of_guix(name.parse().expect("a key's name"), key)
}

/// A key whose secret comes from its name and `seed`.
///
/// # Panics
/// When `name` is not a key's.
#[must_use]
pub fn key(name: &str, seed: u8) -> SecretKey {
    SecretKey::from_seed(name.parse().expect("a key's name"), &[seed; 32])
}

/// What `key` says of `path` having this NAR.
///
/// # Panics
/// When the parts make no claim.
#[must_use]
pub fn attestation(
    key: &SecretKey,
    path: &StorePath,
    nar: &[u8],
    references: &[BaseName],
) -> AttestItem {
    let (nar_hash, nar_size) = (NarHash::of(nar), nar.len() as u64);
    let claim = Claim::new(path.clone(), nar_hash, nar_size, references.to_vec()).expect("a claim");
    let claim = claim.in_dialect(key.public().dialect(), None);
    AttestItem::new(&claim, key.sign(claim.signed_bytes().as_bytes()))
}

/// Compressed with zstd, as `pool push` does.
///
/// # Panics
/// Never: memory takes what is written.
#[must_use]
pub fn zstd(nar: &[u8]) -> Vec<u8> {
    zstd::encode_all(nar, 3).expect("memory takes what is written")
}

/// Compressed with xz, as Nix does by default.
///
/// # Panics
/// Never: memory takes what is written.
#[must_use]
pub fn xz(nar: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(nar).expect("memory takes what is written");
    encoder.finish().expect("memory takes what is written")
}

/// The NAR in a file that has zstd, xz or nothing around it.
///
/// # Errors
/// When the file is cut off or damaged.
pub fn unpack(file: &[u8]) -> io::Result<Vec<u8>> {
    let mut nar = Vec::new();
    match file {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => zstd::Decoder::with_buffer(file)?.read_to_end(&mut nar)?,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            liblzma::bufread::XzDecoder::new_multi_decoder(file).read_to_end(&mut nar)?
        }
        _ => nar.write(file)?,
    };
    Ok(nar)
}
