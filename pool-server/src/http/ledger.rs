//! `/ledger/{log}/…`: the files of each log, as C2SP's tlog-tiles lays them out.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use schema::api::Problem;
use schema::hash::MapKey;
use schema::tlog::tile::TilePath;
use serde::Deserialize;

use super::error::{ApiFailure, CacheFailure};
use super::etag::Etag;
use super::grant::MayRead;
use super::params::{Params, Segment};
use super::{Shared, gzip};
use crate::index::LogId;
use crate::ledger::shown::{Published, Shown};
use crate::rejected::{Error, Rejected};

/// New entries are to be seen soon, and many who look at once need be answered but once.
const CHECKPOINT: &str = "max-age=1";
/// What is below a size never changes, partial tiles included.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// The newest checkpoint.
pub(super) async fn checkpoint(
    State(pool): State<Shared>,
    _: MayRead,
    Path(log): Path<String>,
    headers: HeaderMap,
) -> Result<Response, CacheFailure> {
    Ok(published(&pool.shown(parse_log(&log)?).published(), &headers))
}

/// The checkpoint of any log that is served here, unless the asker has it.
pub(super) fn published(published: &Published, asked: &HeaderMap) -> Response {
    let checkpoint = published.file.clone();
    let etag = Etag::of(&checkpoint);
    etag.on(file(checkpoint, "text/plain; charset=utf-8", CHECKPOINT), asked)
}

/// A tile of hashes, or a bundle of entries.
pub(super) async fn tile(
    State(pool): State<Shared>,
    _: MayRead,
    Path((log, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, CacheFailure> {
    tile_of(pool.shown(parse_log(&log)?), &path, &headers, pool.config.private)
}

/// A tile or bundle of any log that is served here.
pub(super) fn tile_of(
    shown: &Shown,
    path: &str,
    headers: &HeaderMap,
    private: bool,
) -> Result<Response, CacheFailure> {
    let path: TilePath = path
        .parse()
        .map_err(|error| Rejected::not_found("no_such_file", format!("tile/{path}: {error}")))?;
    let lifetime = if private { "private, max-age=31536000, immutable" } else { IMMUTABLE };
    match path {
        TilePath::Hashes(tile) => {
            Ok(file(shown.tile(&tile)??, "application/octet-stream", lifetime))
        }
        TilePath::Entries(bundle) => {
            Ok(entries(shown.bundle(&bundle)??, gzip::is_accepted(headers), lifetime)?)
        }
    }
}

/// What of a list is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LookupParams {
    /// Where in the list to begin.
    #[serde(default)]
    from: u64,
    /// How many attestations the map must cover.
    #[serde(default)]
    size: u64,
}

/// Every entry of a path, a NAR or a key, and the proof that there are no others.
pub(super) async fn lookup(
    State(pool): State<Shared>,
    _: MayRead,
    Segment(digits): Segment,
    Params(params): Params<LookupParams>,
) -> Result<impl IntoResponse, ApiFailure> {
    let key: MapKey = digits
        .parse()
        .map_err(|error| Rejected::bad_request("key_malformed", format!("{digits}: {error}")))?;
    let lookup = pool.lookup(key, params.from, params.size).await?;
    Ok(([(header::CACHE_CONTROL, CHECKPOINT)], Json(lookup)))
}

/// Proves that an attestation is in the ledger.
#[utoipa::path(get, path = "/api/v1/ledger/receipts/{index}", tag = "ledger",
    params(("index" = u64, Path, description = "index in the attestations log")),
    responses((status = 200, body = String, content_type = "text/plain"),
        (status = 404, body = Problem)))]
pub(super) async fn receipt(
    State(pool): State<Shared>,
    _: MayRead,
    Segment(index): Segment,
) -> Result<Response, ApiFailure> {
    let index = index.parse().map_err(|_| {
        Rejected::bad_request("index_malformed", format!("{index:?} is no index of an entry"))
    })?;
    let receipt = pool.receipt_of(index)?.to_string();
    Ok(file(receipt, "text/plain; charset=utf-8", CHECKPOINT))
}

pub(super) fn parse_log(name: &str) -> Result<LogId, Rejected> {
    let found = LogId::ALL.into_iter().find(|log| log.as_str() == name);
    found.ok_or_else(|| {
        Rejected::not_found("no_such_log", format!("there is no log {name}"))
            .hint("the logs are keys, attestations and index")
    })
}

fn entries(bundle: Vec<u8>, gzipped: bool, lifetime: &'static str) -> Result<Response, Error> {
    let body = if gzipped {
        gzip::compress(&bundle).map_err(Error::io("compress a bundle"))?
    } else {
        bundle
    };
    let mut response = file(body, "application/octet-stream", lifetime);
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if gzipped {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

fn file(
    body: impl Into<axum::body::Body>,
    content_type: &'static str,
    lifetime: &'static str,
) -> Response {
    let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, lifetime)];
    (headers, body.into()).into_response()
}
