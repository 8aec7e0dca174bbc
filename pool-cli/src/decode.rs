//! Unpacking NARs, in every compression that a pool keeps them in.

use std::io::{BufRead, Read};

use anyhow::{Context, Result};
use schema::compression::Compression;

/// The most memory that xz and zstd may ask for, in bytes: what their largest presets take, and as
/// much as a pool allows by default. The other formats have bounds of their own, of 1 GiB at most.
const MEMORY: u64 = 256 << 20;

/// What lies in `file`, however many frames, streams or members it has.
///
/// # Errors
/// When the decoder cannot be set up. What is wrong with the file shows when it is read.
pub(crate) fn decode(
    compression: Compression,
    file: impl BufRead + Send + 'static,
) -> Result<Box<dyn Read + Send>> {
    let about = || format!("unpacking {compression}");
    Ok(match compression {
        Compression::None => Box::new(file),
        Compression::Xz => {
            use liblzma::stream::{CONCATENATED, Stream};
            let stream = Stream::new_stream_decoder(MEMORY, CONCATENATED).with_context(about)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(file, stream))
        }
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(file).with_context(about)?;
            decoder.window_log_max(MEMORY.ilog2()).with_context(about)?;
            Box::new(decoder)
        }
        Compression::Brotli => Box::new(brotli::Decompressor::new(file, 64 << 10)),
        Compression::Lzip => Box::new(lzma_rust2::LzipReader::new(file)),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{self, Write};

    use super::*;

    pub(crate) fn packed(compression: Compression, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match compression {
            Compression::None => out.write_all(bytes).unwrap(),
            Compression::Xz => {
                liblzma::read::XzEncoder::new(bytes, 6).read_to_end(&mut out).map(drop).unwrap();
            }
            Compression::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(&mut out, Default::default());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap();
            }
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(&mut out, Default::default());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap();
            }
            Compression::Zstd => out = zstd::encode_all(bytes, 3).unwrap(),
            Compression::Brotli => {
                let mut encoder = brotli::CompressorWriter::new(&mut out, 4096, 5, 22);
                encoder.write_all(bytes).unwrap();
            }
            Compression::Lzip => {
                let options = lzma_rust2::LzipOptions::with_preset(6);
                let mut encoder = lzma_rust2::LzipWriter::new(&mut out, options);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap();
            }
        }
        out
    }

    fn decoded(compression: Compression, file: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decode(compression, io::Cursor::new(file)).unwrap().read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn every_compression_that_a_pool_keeps_unpacks() {
        let bytes = b"what lies in a NAR ".repeat(10_000);
        for compression in Compression::ALL {
            let file = packed(compression, &bytes);
            assert_eq!(decoded(compression, file.clone()).unwrap(), bytes, "{compression}");
            let cut = file[..file.len() / 2].to_vec();
            assert_ne!(decoded(compression, cut).ok(), Some(bytes.clone()), "{compression}");
            // A brotli stream ends where it ends.
            if compression != Compression::Brotli {
                let twice = decoded(compression, [file.clone(), file].concat()).unwrap();
                assert_eq!(twice, bytes.repeat(2), "{compression}");
            }
        }
    }
}
