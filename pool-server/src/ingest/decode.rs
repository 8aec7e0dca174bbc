//! Decompression: one decoder a compression, each bounded in memory and reading to the end of
//! whatever members or frames the file has.

mod brotli;
mod lzip;

use std::io::{self, BufRead, Read};

use schema::compression::Compression;

/// A reader of what `file` holds, compressed with `compression`.
///
/// # Errors
/// When the decoder cannot be set up.
pub(crate) fn decoder<'f>(
    compression: Compression,
    file: &'f mut impl BufRead,
    memory: u64,
) -> io::Result<Box<dyn Read + 'f>> {
    Ok(match compression {
        Compression::None => Box::new(file),
        Compression::Xz => {
            let stream =
                liblzma::stream::Stream::new_stream_decoder(memory, liblzma::stream::CONCATENATED)
                    .map_err(io::Error::from)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(file, stream))
        }
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(file)?;
            decoder.window_log_max(memory.max(1 << 10).ilog2().min(31))?;
            Box::new(decoder)
        }
        Compression::Brotli => Box::new(brotli::Brotli::new(file)),
        Compression::Lzip => Box::new(lzip::Lzip::new(file, memory)),
    })
}
