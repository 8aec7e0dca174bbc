//! `/mirror/…`, as c2sp.org/tlog-mirror has it, for those with a token, and what goes beyond the logs.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use schema::api::{
    ClaimTexts, ClaimsKept, ElsewhereAnswer, ElsewhereRequest, FindRequest, FindResponse, Ledgers,
    LogEdge, MAX_CLAIM_BYTES, MAX_NARS, MirrorAnswer, MirrorRequest, Problem, WantedNars,
};
use schema::hash::{NarHash, OriginHash};
use schema::tlog::mirror::INFO_MEDIA_TYPE;
use schema::tlog::witness::{MAX_ADD_CHECKPOINT_LEN, TREE_SIZE_MEDIA_TYPE, print_tree_size};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::body::{parse_json, pieces, read_body, read_encoded, read_json};
use super::error::{ApiFailure, CacheFailure};
use super::grant::{MayAdmin, MayRead, MayUpload};
use super::gzip;
use super::params::{Params, Segment};
use crate::ledger::mirror::{Unmirrored, Uploaded};
use crate::rejected::Rejected;

/// The longest request about NARs, in bytes.
const MAX_NARS_BODY: usize = 1024 * MAX_NARS;
/// The longest request that begins to mirror a ledger, in bytes.
const MAX_LEDGER_BODY: usize = 4096;

/// Who showed what is brought.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FromParams {
    from: Option<String>,
}

/// The next checkpoint of a log that is mirrored here.
pub(super) async fn add_checkpoint(
    State(pool): State<Shared>,
    _: MayUpload,
    Params(params): Params<FromParams>,
    body: Body,
) -> Result<Response, CacheFailure> {
    take(&pool, params, body, false).await
}

/// The proof that a log that is mirrored here has forked.
pub(super) async fn add_fork(
    State(pool): State<Shared>,
    _: MayUpload,
    Params(params): Params<FromParams>,
    body: Body,
) -> Result<Response, CacheFailure> {
    take(&pool, params, body, true).await
}

async fn take(
    pool: &Shared,
    params: FromParams,
    body: Body,
    fork: bool,
) -> Result<Response, CacheFailure> {
    let body = read_body(body, MAX_ADD_CHECKPOINT_LEN, &pool.config).await?;
    match pool.mirror_checkpoint(body, params.from, fork).await {
        Ok(()) => Ok(StatusCode::OK.into_response()),
        Err(unmirrored) => refusal(unmirrored),
    }
}

/// The next entries of a log that is mirrored here.
pub(super) async fn add_entries(
    State(pool): State<Shared>,
    MayUpload(by): MayUpload,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, CacheFailure> {
    let pieces = pieces(body, &pool.config);
    let uploaded = match headers.get(header::CONTENT_ENCODING).map(header::HeaderValue::as_bytes) {
        None | Some(b"identity") => pool.mirror_entries(pieces, &by).await,
        Some(b"gzip") => pool.mirror_entries(unpacked(pieces), &by).await,
        Some(_) => {
            let detail = "entries come as they are, or as gzip";
            return Err(Rejected::bad_request("unknown_encoding", detail).into());
        }
    };
    match uploaded {
        Ok(Uploaded::Whole(lines)) => {
            Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], lines).into_response())
        }
        Ok(Uploaded::Part(info)) => {
            let content_type = [(header::CONTENT_TYPE, INFO_MEDIA_TYPE)];
            Ok((StatusCode::ACCEPTED, content_type, info.to_string()).into_response())
        }
        Err(unmirrored) => refusal(unmirrored),
    }
}

fn unpacked(
    pieces: impl Stream<Item = Result<Bytes, Rejected>>,
) -> impl Stream<Item = Result<Bytes, Rejected>> {
    gzip::unpack(pieces, |error| {
        Rejected::bad_request("encoding_corrupt", format!("the body is not valid gzip: {error}"))
    })
}

fn refusal(unmirrored: Unmirrored) -> Result<Response, CacheFailure> {
    let line = |status: StatusCode, why: String| (status, why + "\n").into_response();
    Ok(match unmirrored {
        Unmirrored::Malformed(why) => line(StatusCode::BAD_REQUEST, why),
        Unmirrored::Unsigned(why) => line(StatusCode::FORBIDDEN, why),
        Unmirrored::UnknownLog(why) => line(StatusCode::NOT_FOUND, why),
        Unmirrored::Inconsistent(why) => line(StatusCode::UNPROCESSABLE_ENTITY, why),
        Unmirrored::Conflict(size) => {
            let content_type = [(header::CONTENT_TYPE, TREE_SIZE_MEDIA_TYPE)];
            (StatusCode::CONFLICT, content_type, print_tree_size(size)).into_response()
        }
        Unmirrored::Behind(info) => {
            let content_type = [(header::CONTENT_TYPE, INFO_MEDIA_TYPE)];
            (StatusCode::CONFLICT, content_type, info.to_string()).into_response()
        }
        Unmirrored::Rejected(rejected) => return Err(rejected.into()),
        Unmirrored::Failed(error) => return Err(error.into()),
    })
}

/// The ledgers that this pool holds: its own, and those it mirrors.
#[utoipa::path(get, path = "/api/v1/ledgers", tag = "mirror",
    responses((status = 200, body = Ledgers)))]
pub(super) async fn ledgers(
    State(pool): State<Shared>,
    _: MayRead,
) -> Result<Json<Ledgers>, ApiFailure> {
    Ok(Json(pool.ledgers()?))
}

/// The right edge of all that is here of a mirrored log.
#[utoipa::path(get, path = "/api/v1/ledgers/edges/{origin}", tag = "mirror",
    params(("origin" = String, Path, description = "SHA-256 of the log's origin, 64 hex digits")),
    responses((status = 200, body = LogEdge), (status = 404, body = Problem)))]
pub(super) async fn edge(
    State(pool): State<Shared>,
    _: MayUpload,
    Segment(origin): Segment,
) -> Result<Json<LogEdge>, ApiFailure> {
    Ok(Json(pool.mirror_edge(&parse_origin(&origin)?)?))
}

/// The log that an address is about.
pub(super) fn parse_origin(digits: &str) -> Result<OriginHash, Rejected> {
    digits.parse().map_err(|_| {
        Rejected::not_found("no_such_log", format!("{digits} is not the hash of an origin"))
    })
}

/// Begins to mirror the ledger of another pool.
#[utoipa::path(post, path = "/api/v1/ledgers", tag = "mirror", request_body = MirrorRequest,
    responses((status = 200, body = MirrorAnswer), (status = 409, body = Problem)))]
pub(super) async fn mirror_ledger(
    State(pool): State<Shared>,
    _: MayAdmin,
    body: Body,
) -> Result<Json<MirrorAnswer>, ApiFailure> {
    let request: MirrorRequest = read_json(body, MAX_LEDGER_BODY, &pool.config).await?;
    Ok(Json(MirrorAnswer { new: pool.mirror_ledger(request).await? }))
}

/// Brings what entries of mirrored ledgers are about. The body may have a Content-Encoding.
#[utoipa::path(post, path = "/api/v1/claims/texts", tag = "mirror", request_body = ClaimTexts,
    responses((status = 200, body = ClaimsKept), (status = 422, body = Problem)))]
pub(super) async fn claim_texts(
    State(pool): State<Shared>,
    _: MayUpload,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ClaimsKept>, ApiFailure> {
    let body = read_encoded(body, &headers, 2 * MAX_CLAIM_BYTES, &pool.config).await?;
    let request: ClaimTexts = parse_json(&body)?;
    Ok(Json(ClaimsKept { new: pool.mirror_claims(request).await? }))
}

/// Which of these NARs are here, and in which files?
#[utoipa::path(post, path = "/api/v1/nars/find", tag = "nars", request_body = FindRequest,
    responses((status = 200, body = FindResponse), (status = 413, body = Problem)))]
pub(super) async fn find(
    State(pool): State<Shared>,
    _: MayRead,
    body: Body,
) -> Result<Json<FindResponse>, ApiFailure> {
    let request: FindRequest = read_json(body, MAX_NARS_BODY, &pool.config).await?;
    Ok(Json(FindResponse { nars: pool.find_nars(&request.nar_hashes).await? }))
}

/// Tells where NARs are that are not here.
#[utoipa::path(post, path = "/api/v1/nars/elsewhere", tag = "mirror",
    request_body = ElsewhereRequest,
    responses((status = 200, body = ElsewhereAnswer), (status = 413, body = Problem)))]
pub(super) async fn elsewhere(
    State(pool): State<Shared>,
    _: MayUpload,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ElsewhereAnswer>, ApiFailure> {
    let body = read_encoded(body, &headers, MAX_NARS_BODY, &pool.config).await?;
    let request: ElsewhereRequest = parse_json(&body)?;
    Ok(Json(ElsewhereAnswer { absent: pool.elsewhere(request).await? }))
}

/// Which page is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedParams {
    /// The last NAR of the page before.
    #[param(value_type = Option<String>, required = false)]
    after: Option<NarHash>,
}

/// NARs that are to come here.
#[utoipa::path(get, path = "/api/v1/nars/wanted", tag = "mirror", params(WantedParams),
    responses((status = 200, body = WantedNars)))]
pub(super) async fn wanted(
    State(pool): State<Shared>,
    _: MayUpload,
    Params(params): Params<WantedParams>,
) -> Result<Json<WantedNars>, ApiFailure> {
    Ok(Json(pool.wanted(params.after)?))
}
