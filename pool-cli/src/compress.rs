//! Packing NARs, one independent piece at a time.

use std::fmt;
use std::io::Read;
use std::ops::RangeInclusive;
use std::str::FromStr;

use anyhow::{Context, Result};
use bytes::Bytes;
use schema::compression::Compression;

/// How much of a NAR goes into one frame: pieces that cores pack, and readers could unpack, side by
/// side.
pub(crate) const FRAME: usize = 4 << 20;

const ZSTD_LEVELS: RangeInclusive<u32> = 1..=19;
const XZ_LEVELS: RangeInclusive<u32> = 0..=9;

/// That of level 0.
const XZ_SMALLEST_DICTIONARY: usize = 256 << 10;

/// How to pack, as the user chose it: `zstd`, `zstd:8`, `xz:9`, `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Not at all.
    None,
    /// Frames of Zstandard at this level.
    Zstd(u32),
    /// Streams of xz at this level.
    Xz(u32),
}

impl Method {
    /// The name under which the pool knows it.
    pub(crate) fn compression(self) -> Compression {
        match self {
            Self::None => Compression::None,
            Self::Zstd(_) => Compression::Zstd,
            Self::Xz(_) => Compression::Xz,
        }
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let level_in = |levels: RangeInclusive<u32>, default| match level {
            None => Ok(default),
            Some(level) => {
                let level = level.parse().ok().filter(|level| levels.contains(level));
                level.ok_or_else(|| {
                    format!("{name} has the levels {} to {}", levels.start(), levels.end())
                })
            }
        };
        match name {
            "zstd" => level_in(ZSTD_LEVELS, 3).map(Self::Zstd),
            "xz" => level_in(XZ_LEVELS, 6).map(Self::Xz),
            "none" if level.is_none() => Ok(Self::None),
            "none" => Err("none has no levels".to_owned()),
            _ => Err("known are zstd, xz and none".to_owned()),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Zstd(level) => write!(f, "zstd:{level}"),
            Self::Xz(level) => write!(f, "xz:{level}"),
        }
    }
}

/// Packs piece after piece with one context: setting one up costs more than packing a small NAR.
pub(crate) struct Compressor {
    codec: Codec,
    packed: Vec<u8>,
}

enum Codec {
    None,
    Zstd(zstd::bulk::Compressor<'static>),
    Xz(u32),
}

impl Compressor {
    /// Sets up a context.
    pub(crate) fn new(method: Method) -> Result<Self> {
        let codec = match method {
            Method::None => Codec::None,
            Method::Zstd(level) => Codec::Zstd(
                zstd::bulk::Compressor::new(level.cast_signed()).context("setting up zstd")?,
            ),
            Method::Xz(level) => Codec::Xz(level),
        };
        Ok(Self { codec, packed: Vec::new() })
    }

    /// Packs `piece` as a whole frame or stream, to be sent on its own.
    pub(crate) fn pack(&mut self, piece: &[u8]) -> Result<Bytes> {
        Ok(Bytes::copy_from_slice(self.packed(piece)?))
    }

    /// Packs `piece`; the result is good until the next one.
    pub(crate) fn packed<'a>(&'a mut self, piece: &'a [u8]) -> Result<&'a [u8]> {
        match &mut self.codec {
            Codec::None => return Ok(piece),
            Codec::Zstd(compressor) => {
                self.packed.clear();
                self.packed.reserve(zstd::zstd_safe::compress_bound(piece.len()));
                compressor.compress_to_buffer(piece, &mut self.packed).context("zstd")?;
            }
            Codec::Xz(level) => self.packed = xz(*level, piece).context("xz")?,
        }
        Ok(&self.packed)
    }
}

fn xz(level: u32, piece: &[u8]) -> Result<Vec<u8>> {
    use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
    let mut options = LzmaOptions::new_preset(level)?;
    // A dictionary beyond the piece would only cost memory; the low levels have a smaller one.
    if level > 2 || piece.len() < XZ_SMALLEST_DICTIONARY {
        options.dict_size(u32::try_from(piece.len().clamp(4096, FRAME))?);
    }
    let stream = Stream::new_stream_encoder(Filters::new().lzma2(&options), Check::Crc64)?;
    let mut packed = Vec::with_capacity(piece.len() / 3);
    liblzma::read::XzEncoder::new_stream(piece, stream).read_to_end(&mut packed)?;
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::decode;

    const METHODS: [Method; 4] = [Method::None, Method::Zstd(3), Method::Zstd(19), Method::Xz(1)];

    fn unpacked(compression: Compression, packed: &[u8]) -> Vec<u8> {
        let file = std::io::Cursor::new(packed.to_vec());
        let mut out = Vec::new();
        decode(compression, file).unwrap().read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn pieces_packed_one_by_one_unpack_as_one() {
        let pieces: [&[u8]; 4] = [&[7; 70_000], b"", b"tiny", &b"abcdefgh".repeat(9000)];
        for method in METHODS {
            let mut compressor = Compressor::new(method).unwrap();
            let packed: Vec<Bytes> =
                pieces.iter().map(|piece| compressor.pack(piece).unwrap()).collect();
            assert_eq!(
                unpacked(method.compression(), &packed.concat()),
                pieces.concat(),
                "{method}"
            );
            // Each is whole by itself.
            assert_eq!(unpacked(method.compression(), &packed[3]), pieces[3], "{method}");
        }
    }

    #[test]
    fn methods_and_levels() {
        for (text, method) in [
            ("zstd", Method::Zstd(3)),
            ("zstd:19", Method::Zstd(19)),
            ("xz", Method::Xz(6)),
            ("xz:0", Method::Xz(0)),
            ("none", Method::None),
        ] {
            assert_eq!(text.parse(), Ok(method));
            assert_eq!(method.to_string().parse(), Ok(method));
        }
        for text in ["", "zst", "zstd:", "zstd:0", "zstd:20", "zstd:-1", "xz:10", "br", "none:1"] {
            assert!(text.parse::<Method>().is_err(), "{text}");
        }
    }
}
