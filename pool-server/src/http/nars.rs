//! NARs: `nar/<hash>.nar.<suffix>` for package managers, `/api/v1/nars` for our own clients.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use schema::api::{MAX_MISSING, MissingRequest, MissingResponse, NarReport, NarStored, Problem};
use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::absent::{coming, there};
use super::body::read_json;
use super::error::{ApiFailure, CacheFailure};
use super::etag::Etag;
use super::grant::{LooksFirst, MayRead, MayUpload};
use super::params::{Params, Segment};
use super::range::{Part, asked_part};
use super::view::Address;
use crate::blobs::NarFile;
use crate::ingest::Declared;
use crate::pool::{Absent, FoundNar, Pool, Step};
use crate::rejected::{Failure, Rejected};
use crate::serve::sendfile::{Outlet, WORTHWHILE};

/// A question about so many hashes is not longer than this, in bytes.
const MAX_MISSING_BODY: usize = MAX_MISSING * 64 + 64;

pub(super) async fn read(
    State(pool): State<Shared>,
    _: MayRead,
    LooksFirst(looks_first): LooksFirst,
    method: Method,
    address: Address,
    headers: HeaderMap,
    outlet: Option<Extension<Outlet>>,
) -> Result<Response, CacheFailure> {
    let (digits, compression) = parse_name(&address.file)?;
    if looks_first {
        let found = pool.nar_that_stays(digits, compression).await?;
        return Ok(send(found, &pool, (&method, &headers), outlet));
    }
    let found = match pool.nar(digits, compression).await {
        Err(Failure::Rejected(missing)) if missing.code == "no_nar" => {
            let nar_hash = NarHash::from_nix32(digits).map_err(|_| missing)?;
            match pool.absent_nar(nar_hash, compression).await? {
                Absent::There(address) => return Ok(there(&address)),
                Absent::Coming { first: Step::Piece(first), rest, file_size } => {
                    return Ok(coming(first, rest, file_size));
                }
                Absent::Coming { first: Step::Stored, .. } => pool.nar(digits, compression).await?,
            }
        }
        found => found?,
    };
    Ok(send(found, &pool, (&method, &headers), outlet))
}

/// The NAR of a path, where `guix publish` has it.
pub(super) async fn read_of_path(
    State(pool): State<Shared>,
    _: MayRead,
    method: Method,
    address: Address,
    Path(parts): Path<HashMap<String, String>>,
    headers: HeaderMap,
    outlet: Option<Extension<Outlet>>,
) -> Result<Response, CacheFailure> {
    let compression = parts.get("compression").and_then(|name| name.parse().ok());
    let named = compression.zip(address.file.parse().ok());
    let (compression, base) = named.ok_or_else(|| {
        let detail = format!("{:?} is not the NAR of a path", address.file);
        Rejected::not_found("no_such_file", detail)
    })?;
    let found = pool.nar_of(&address.view, &base, compression)?;
    Ok(send(found, &pool, (&method, &headers), outlet))
}

fn send(
    found: FoundNar,
    pool: &Pool,
    (method, headers): (&Method, &HeaderMap),
    outlet: Option<Extension<Outlet>>,
) -> Response {
    let lifetime = if pool.config.private { "private" } else { "public" };
    let outlet = outlet.as_ref().map(|Extension(outlet)| outlet);
    let response = render(found, headers, lifetime, outlet);
    if method != Method::HEAD {
        pool.metrics.nar_bytes_out.increment(http_body::Body::size_hint(response.body()).lower());
    }
    response
}

pub(super) async fn put(
    State(pool): State<Shared>,
    MayUpload(by): MayUpload,
    address: Address,
    body: Body,
) -> Result<(StatusCode, String), CacheFailure> {
    let (digits, compression) = parse_name(&address.file)?;
    let file_hash = FileHash::from_nix32(digits).map_err(|error| {
        Rejected::bad_request("file_name_malformed", format!("{}: {error}", address.file))
            .hint("a NAR is put under nar/<52 base-32 digits of the file's SHA-256>.nar.<suffix>")
    })?;
    // Nix writes `.nar` for gzip, too, so that name does not tell the compression.
    let compression = (compression != Compression::None).then_some(compression);
    let declared = Declared { compression, file_hash: Some(file_hash), ..Declared::default() };
    let stored = pool.receive(body.into_data_stream(), declared, &by).await?;
    let status = if stored.new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, format!("{}\n", stored.nar_hash)))
}

/// Which of these NARs does the pool not have?
#[utoipa::path(post, path = "/api/v1/nars/missing", tag = "nars", request_body = MissingRequest,
    responses((status = 200, body = MissingResponse), (status = 400, body = Problem)))]
pub(super) async fn missing(
    State(pool): State<Shared>,
    _: MayRead,
    body: Body,
) -> Result<Json<MissingResponse>, ApiFailure> {
    let request: MissingRequest = read_json(body, MAX_MISSING_BODY, &pool.config).await?;
    if request.nar_hashes.len() > MAX_MISSING {
        let detail =
            format!("{} hashes; at most {MAX_MISSING} are allowed", request.nar_hashes.len());
        return Err(Rejected::too_large("too_many_hashes", detail).into());
    }
    Ok(Json(MissingResponse { missing: pool.missing(&request.nar_hashes).await? }))
}

/// What is known of a NAR, and which paths are said to have it.
#[utoipa::path(get, path = "/api/v1/nars/{nar_hash}", tag = "nars",
    params(("nar_hash" = String, Path, description = "52 base-32 digits")),
    responses((status = 200, body = NarReport), (status = 404, body = Problem)))]
pub(super) async fn report(
    State(pool): State<Shared>,
    _: MayRead,
    Segment(digits): Segment,
) -> Result<Json<NarReport>, ApiFailure> {
    let nar_hash = parse_nar_hash(&digits)?;
    let report = pool.nar_report(nar_hash)?;
    if report.file.is_none() && report.paths.is_empty() {
        let detail = format!("neither the NAR {nar_hash} nor a claim about it is here");
        return Err(Rejected::not_found("never_seen", detail).into());
    }
    Ok(Json(report))
}

/// How an upload says what it is.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct UploadParams {
    /// How the body is compressed.
    compression: Compression,
    /// Size of the NAR, uncompressed, in bytes; a body that holds more is cut short.
    #[serde(default)]
    #[param(required = false)]
    nar_size: Option<u64>,
}

/// Uploads one NAR. The pool keeps the bytes as they come, unless it has this NAR already.
#[utoipa::path(put, path = "/api/v1/nars/{nar_hash}", tag = "nars",
    params(("nar_hash" = String, Path, description = "52 base-32 digits"), UploadParams),
    request_body(description = "The file", content_type = "application/x-nix-nar"),
    responses((status = 200, body = NarStored), (status = 422, body = Problem)))]
pub(super) async fn upload(
    State(pool): State<Shared>,
    MayUpload(by): MayUpload,
    Segment(digits): Segment,
    Params(params): Params<UploadParams>,
    body: Body,
) -> Result<Json<NarStored>, ApiFailure> {
    let declared = Declared {
        compression: Some(params.compression),
        nar_hash: Some(parse_nar_hash(&digits)?),
        nar_size: params.nar_size,
        ..Declared::default()
    };
    Ok(Json(pool.receive(body.into_data_stream(), declared, &by).await?))
}

fn parse_nar_hash(digits: &str) -> Result<NarHash, Rejected> {
    NarHash::from_nix32(digits).map_err(|error| {
        Rejected::bad_request("nar_hash_malformed", format!("the NAR hash: {error}"))
    })
}

fn parse_name(file: &str) -> Result<(&str, Compression), Rejected> {
    let parsed = file
        .split_once(".nar")
        .and_then(|(digits, suffix)| Some((digits, Compression::from_suffix(suffix)?)));
    parsed.ok_or_else(|| {
        Rejected::not_found("no_such_file", format!("{file:?} is not the name of a NAR"))
            .hint("names are <hash>.nar with .xz, .bz2, .gz, .zst, .br, .lzip or nothing after it")
    })
}

fn render(
    found: FoundNar,
    headers: &HeaderMap,
    lifetime: &str,
    outlet: Option<&Outlet>,
) -> Response {
    let etag = Etag::named(&found.file_hash.to_nix32());
    let len = found.file.len();
    let mut response = match asked_part(headers, &etag, len) {
        Part::NotModified => StatusCode::NOT_MODIFIED.into_response(),
        Part::Unsatisfiable => {
            (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, format!("bytes */{len}"))])
                .into_response()
        }
        Part::Whole => Response::new(body(found.file, 0, len, outlet)),
        Part::Range { start, end } => {
            let range = format!("bytes {start}-{}/{len}", end - 1);
            let body = body(found.file, start, end, outlet);
            (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, range)], body).into_response()
        }
    };
    let cache = format!("{lifetime}, max-age=31536000, immutable");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-nix-nar"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    for (name, value) in [(header::ETAG, etag.as_str()), (header::CACHE_CONTROL, &*cache)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

/// Large parts are sent by the kernel, where the connection allows.
fn body(file: NarFile, start: u64, end: u64, outlet: Option<&Outlet>) -> Body {
    match outlet {
        Some(outlet) if end - start >= WORTHWHILE => {
            Body::new(outlet.body(file.into_file(), start, end))
        }
        _ => Body::new(file.body(start, end)),
    }
}
