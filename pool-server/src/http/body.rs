//! Bodies that are read whole: bounded in size, in time, and in how long they may pause.

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use std::io::Read;
use tokio::time::timeout;

use crate::config::Config;
use crate::patience::Patience;
use crate::rejected::Rejected;

/// Reads a body of at most `limit` bytes.
pub(super) async fn read_body(
    body: Body,
    limit: usize,
    config: &Config,
) -> Result<Bytes, Rejected> {
    timeout(config.request_timeout, collect(body, limit, config)).await.unwrap_or_else(|_| {
        let seconds = config.request_timeout.as_secs();
        Err(Rejected::too_slow(
            "request_too_slow",
            format!("the body took more than {seconds} seconds"),
        ))
    })
}

async fn collect(body: Body, limit: usize, config: &Config) -> Result<Bytes, Rejected> {
    let mut pieces = std::pin::pin!(pieces(body, config));
    let mut whole = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if piece.len() > limit - whole.len() {
            return Err(too_large(limit));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.into())
}

/// A body as it comes, bounded in how long it may pause, and how slow it may be.
pub(super) fn pieces(
    body: Body,
    config: &Config,
) -> impl Stream<Item = Result<Bytes, Rejected>> + use<> {
    let waiting = (body.into_data_stream(), Patience::new(config));
    unfold(waiting, |(mut pieces, mut patience)| async move {
        let piece = match patience.wait(pieces.next()).await {
            Some(piece) => piece?.map_err(|error| {
                Rejected::bad_request("body_truncated", format!("the body broke off: {error}"))
            }),
            None => Err(Rejected::too_slow("request_stalled", format!("the body: {patience}"))),
        };
        patience.moved(piece.as_ref().map_or(0, Bytes::len));
        Some((piece, (pieces, patience)))
    })
}

/// Reads a JSON body of at most `limit` bytes.
pub(super) async fn read_json<T: DeserializeOwned>(
    body: Body,
    limit: usize,
    config: &Config,
) -> Result<T, Rejected> {
    parse_json(&read_body(body, limit, config).await?)
}

/// Parses a JSON body.
pub(super) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Rejected> {
    serde_json::from_slice(body)
        .map_err(|error| Rejected::bad_request("json_malformed", format!("the body: {error}")))
}

/// Reads a body that may have a Content-Encoding, as Nix 2.32 and later may send.
pub(super) async fn read_encoded(
    body: Body,
    headers: &HeaderMap,
    limit: usize,
    config: &Config,
) -> Result<Bytes, Rejected> {
    let bytes = read_body(body, limit, config).await?;
    let Some(encoding) = headers.get(CONTENT_ENCODING) else { return Ok(bytes) };
    let encoding = encoding.to_str().unwrap_or_default();
    let compression = match encoding {
        "identity" => return Ok(bytes),
        "gzip" => schema::compression::Compression::Gzip,
        known => known.parse().map_err(|_| unknown_encoding(known))?,
    };
    decode(&bytes, compression, limit, config.max_decoder_memory)
}

fn decode(
    bytes: &[u8],
    compression: schema::compression::Compression,
    limit: usize,
    memory: u64,
) -> Result<Bytes, Rejected> {
    let corrupt = |error: std::io::Error| {
        Rejected::bad_request(
            "encoding_corrupt",
            format!("the body is not valid {compression}: {error}"),
        )
    };
    let mut whole = Vec::new();
    let mut bytes = bytes;
    let mut reader = crate::ingest::decoder(compression, &mut bytes, memory).map_err(corrupt)?;
    reader.by_ref().take(limit as u64 + 1).read_to_end(&mut whole).map_err(corrupt)?;
    if whole.len() > limit { Err(too_large(limit)) } else { Ok(whole.into()) }
}

fn unknown_encoding(encoding: &str) -> Rejected {
    let detail = format!("Content-Encoding {encoding:?} is not known here");
    Rejected::bad_request("unknown_encoding", detail).hint("use xz, bzip2, gzip, zstd, br or none")
}

fn too_large(limit: usize) -> Rejected {
    Rejected::too_large(
        "body_too_large",
        format!("the body is longer than the {limit} bytes allowed here"),
    )
}
