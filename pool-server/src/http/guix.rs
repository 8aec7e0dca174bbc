//! What Guix asks beside narinfos and NARs: a signer's key, and files by the hash of their contents.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use schema::hash::FileHash;

use super::Shared;
use super::error::CacheFailure;
use super::grant::MayRead;
use super::view::Address;
use crate::rejected::Rejected;

/// The key of the signer whose view this is, as `guix archive --authorize` takes it.
pub(super) async fn signing_key(
    State(pool): State<Shared>,
    _: MayRead,
    address: Address,
) -> Result<impl IntoResponse, CacheFailure> {
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], pool.guix_key(&address.view)?))
}

/// The file of a fixed-output path: what a source's name and hash lead to, unpacked.
pub(super) async fn flat_file(
    State(pool): State<Shared>,
    _: MayRead,
    method: Method,
    address: Address,
    Path(parts): Path<HashMap<String, String>>,
) -> Result<Response, CacheFailure> {
    let hash = FileHash::from_nix32(&address.file).map_err(|error| {
        Rejected::not_found("no_such_file", format!("{:?}: {error}", address.file))
            .hint("files are at file/<name>/sha256/<52 base-32 digits>")
    })?;
    let name = parts.get("name").map_or("", String::as_str);
    let file = pool.flat_file(name, hash).await?;
    let lifetime = if pool.config.private { "private" } else { "public" };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, file.size().to_string()),
        (header::CACHE_CONTROL, format!("{lifetime}, max-age=31536000, immutable")),
    ];
    if method == Method::HEAD {
        return Ok(headers.into_response());
    }
    let pieces = stream::unfold(file.pieces(), async |mut pieces| {
        let piece = pieces.recv().await?;
        Some((piece, pieces))
    });
    Ok((headers, Body::from_stream(pieces)).into_response())
}
