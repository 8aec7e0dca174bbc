//! Compressing an answer for who asks for that, and reading what comes compressed.

use std::io::Write;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzDecoder, GzEncoder};
use futures_util::stream::{self, Stream, StreamExt};

/// Bytes of gzip that are unpacked at a time.
const LITTLE: usize = 1 << 10;

/// Whether `Accept-Encoding` names gzip, and does not rule it out with a weight of zero.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter();
    let codings = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    let mut weights = codings.filter_map(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next()?;
        let is_gzip = name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip");
        is_gzip.then(|| parts.find_map(|part| part.strip_prefix("q=")).unwrap_or("1").to_owned())
    });
    weights.next().is_some_and(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0))
}

/// The bytes, compressed. They are few: a bundle of entries.
pub(super) fn compress(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len()), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// What pieces of gzip hold, piece by piece.
pub(super) fn unpack<E>(
    pieces: impl Stream<Item = Result<Bytes, E>>,
    corrupt: impl Fn(std::io::Error) -> E,
) -> impl Stream<Item = Result<Bytes, E>> {
    let mut decoder = GzDecoder::new(Vec::new());
    let end = stream::once(async { Ok(Bytes::new()) });
    // A little may unpack to a lot: to a thousand times itself.
    let little = pieces.chain(end).flat_map(|piece| {
        let parts: Vec<Result<Bytes, E>> = match piece {
            Ok(piece) if piece.is_empty() => vec![Ok(piece)],
            Ok(piece) => (0..piece.len().div_ceil(LITTLE))
                .map(|at| Ok(piece.slice(at * LITTLE..piece.len().min((at + 1) * LITTLE))))
                .collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(parts)
    });
    little.map(move |piece| {
        let piece = piece?;
        let unpacked =
            if piece.is_empty() { decoder.try_finish() } else { decoder.write_all(&piece) };
        unpacked.map_err(&corrupt)?;
        Ok(Bytes::from(std::mem::take(decoder.get_mut())))
    })
}
