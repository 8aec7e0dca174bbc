//! The one door for NARs: a single streaming pass that decompresses, hashes, checks the grammar,
//! scans for references and lists the files, and refuses at the first wrong byte.
//!
//! Nothing is recompressed: what the uploader sent is what is kept.

mod decode;
mod grammar;
mod measure;
mod refused;
mod scan;

use std::io::{BufRead, BufReader, Read};

use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};

use crate::index::Candidates;
pub(crate) use decode::decoder;
pub use refused::{BrokeOff, Refused};

use grammar::Outline;
use measure::{FileMeter, NarMeter};

/// Bytes read from a file or a decoder at a time, at most.
const CHUNK: usize = 128 << 10;

/// What an uploader says of a file. Whatever is said must hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Declared {
    /// Unknown when the file's name does not tell.
    pub compression: Option<Compression>,
    /// Of the NAR.
    pub nar_hash: Option<NarHash>,
    /// Of the NAR, in bytes.
    pub nar_size: Option<u64>,
    /// Of the file.
    pub file_hash: Option<FileHash>,
    /// Of the file, in bytes. Whoever hands over the bytes sees to it; buffers are made to fit.
    pub file_size: Option<u64>,
}

impl Declared {
    /// Clearing large buffers for each of a thousand tiny files would cost more than reading them.
    fn buffer_len(&self) -> usize {
        let fitting = self.file_size.and_then(|size| usize::try_from(size).ok());
        fitting.map_or(CHUNK, |size| size.clamp(4096, CHUNK))
    }
}

/// Bounds on what anybody may send, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of an uncompressed NAR.
    pub nar_size: u64,
    /// Of the file as it is sent.
    pub file_size: u64,
    /// Of what a decoder may allocate.
    pub decoder_memory: u64,
    /// Of a NAR's listing; a NAR whose listing is longer has none.
    pub listing_size: usize,
}

/// A NAR that was read to its end and found whole. Only [`check`] makes one.
#[derive(Debug)]
pub struct VerifiedNar {
    nar_hash: NarHash,
    nar_size: u64,
    compression: Compression,
    file_hash: FileHash,
    file_size: u64,
    candidates: Candidates,
    listing: Option<Vec<u8>>,
}

impl VerifiedNar {
    /// Of the NAR.
    #[must_use]
    pub fn nar_hash(&self) -> NarHash {
        self.nar_hash
    }

    /// Of the NAR, in bytes.
    #[must_use]
    pub fn nar_size(&self) -> u64 {
        self.nar_size
    }

    /// Of the file.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Of the file.
    #[must_use]
    pub fn file_hash(&self) -> FileHash {
        self.file_hash
    }

    /// Of the file, in bytes.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// What looks like store paths in the NAR, and the JSON of its listing unless that would be
    /// too long.
    #[must_use]
    pub fn into_findings(self) -> (Candidates, Option<Vec<u8>>) {
        (self.candidates, self.listing)
    }
}

/// Reads `file` to its end, or to the first byte that is wrong.
///
/// # Errors
/// Which check failed, and where.
pub fn check(
    file: impl Read,
    declared: &Declared,
    limits: &Limits,
) -> Result<VerifiedNar, Refused> {
    let mut meter = FileMeter::new(file, limits.file_size);
    let mut file = BufReader::with_capacity(declared.buffer_len(), &mut meter);
    let compression = match declared.compression {
        Some(compression) => compression,
        None => Compression::sniff(file.fill_buf().map_err(|error| Refused::unreadable(&error))?),
    };
    let (nar, outline) = check_nar(&mut file, compression, declared, limits)?;
    if !file.fill_buf().map_err(|error| Refused::unreadable(&error))?.is_empty() {
        return Err(Refused::TrailingData { at: nar.size });
    }
    drop(file);
    let (file_hash, file_size) = meter.finish();
    expect(declared.file_hash, file_hash, |declared, found| Refused::FileHash { declared, found })?;
    expect(declared.nar_hash, nar.hash, |declared, found| Refused::NarHash { declared, found })?;
    expect(declared.nar_size, nar.size, |declared, found| Refused::NarSize { declared, found })?;
    Ok(VerifiedNar {
        nar_hash: nar.hash,
        nar_size: nar.size,
        compression,
        file_hash,
        file_size,
        candidates: nar.candidates,
        listing: outline.into_json(),
    })
}

fn check_nar(
    file: &mut impl BufRead,
    compression: Compression,
    declared: &Declared,
    limits: &Limits,
) -> Result<(measure::Nar, Outline), Refused> {
    let decoder = decode::decoder(compression, file, limits.decoder_memory)
        .map_err(|error| Refused::corrupt(compression, 0, &error))?;
    let bound = declared.nar_size.map_or(limits.nar_size, |size| size.min(limits.nar_size));
    let mut nar = NarMeter::new(decoder, bound);
    let outline = grammar::read(&mut nar, declared.buffer_len(), limits.listing_size);
    match outline {
        Ok(outline) => Ok((nar.finish(), outline)),
        Err((error, at)) => Err(Refused::from_reading(error, at, compression, nar.len(), bound)),
    }
}

fn expect<T: PartialEq>(
    declared: Option<T>,
    found: T,
    refused: impl FnOnce(T, T) -> Refused,
) -> Result<(), Refused> {
    match declared {
        Some(declared) if declared != found => Err(refused(declared, found)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
