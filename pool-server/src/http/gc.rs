//! `/api/v1/gc`, `/api/v1/pins` and `/api/v1/deletions`: what stays and what goes.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use schema::api::{
    Deletion, DeletionRequest, Deletions, GcLine, GcRequest, MAX_PINNED, MAX_REASON_LEN, Pin,
    PinRequest, Pins, Problem, Unpinned,
};
use schema::store_path::HashPart;
use serde::Deserialize;
use tokio::time::timeout;
use utoipa::IntoParams;

use super::Shared;
use super::body::read_json;
use super::error::ApiFailure;
use super::grant::{MayAdmin, MayPin, MayRead};
use super::params::{Params, Segment};
use crate::rejected::{Failure, Rejected};

/// The longest request, in bytes: a path is not longer than this.
const MAX_PIN_BODY: usize = MAX_PINNED * 300 + 200;
/// So long nothing is sent. Proxies give up on servers that say nothing for a minute.
const SILENCE: Duration = Duration::from_secs(10);
const MAX_BODY: usize = 6 * MAX_REASON_LEN + 1000;

/// Collects, and tells of each NAR that does not simply stay.
#[utoipa::path(post, path = "/api/v1/gc", tag = "retention", request_body = GcRequest,
    responses((status = 200, body = GcLine, content_type = "application/x-ndjson")))]
pub(super) async fn collect(
    State(pool): State<Shared>,
    _: MayAdmin,
    body: Body,
) -> Result<Response, ApiFailure> {
    let request: GcRequest = read_json(body, MAX_BODY, &pool.config).await?;
    let lines = pool.collect(request.dry_run)?;
    let lines = stream::unfold(lines, async |mut lines| {
        let line = match timeout(SILENCE, lines.recv()).await {
            Ok(line) => line?,
            Err(_) => Ok(GcLine::Working),
        };
        Some((printed(line), lines))
    });
    let headers =
        [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(lines)).into_response())
}

fn printed(line: Result<GcLine, Failure>) -> std::io::Result<Vec<u8>> {
    let line = line.map_err(|error| {
        tracing::error!(%error, "a collection broke off");
        std::io::Error::other("the pool failed")
    })?;
    let mut text = serde_json::to_vec(&line)?;
    text.push(b'\n');
    Ok(text)
}

/// Every revision of every pin.
#[utoipa::path(get, path = "/api/v1/pins", tag = "retention",
    responses((status = 200, body = Pins)))]
pub(super) async fn pins(State(pool): State<Shared>, _: MayRead) -> Result<Json<Pins>, ApiFailure> {
    Ok(Json(pool.pins()?))
}

/// Has paths stay, with all that they refer to.
#[utoipa::path(post, path = "/api/v1/pins/{name}", tag = "retention",
    params(("name" = String, Path, description = "letters, digits and . _ - + @")),
    request_body = PinRequest,
    responses((status = 200, body = Pin), (status = 422, body = Problem)))]
pub(super) async fn pin(
    State(pool): State<Shared>,
    _: MayPin,
    Segment(name): Segment,
    body: Body,
) -> Result<Json<Pin>, ApiFailure> {
    let request: PinRequest = read_json(body, MAX_PIN_BODY, &pool.config).await?;
    Ok(Json(pool.pin(&name, request).await?))
}

/// Which revision.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct UnpinParams {
    /// Only this one; else all.
    #[serde(default)]
    #[param(required = false)]
    revision: Option<u64>,
}

/// Forgets a pin, or one revision of it.
#[utoipa::path(delete, path = "/api/v1/pins/{name}", tag = "retention",
    params(("name" = String, Path, description = "the pin"), UnpinParams),
    responses((status = 200, body = Unpinned), (status = 404, body = Problem)))]
pub(super) async fn unpin(
    State(pool): State<Shared>,
    _: MayPin,
    Segment(name): Segment,
    Params(params): Params<UnpinParams>,
) -> Result<Json<Unpinned>, ApiFailure> {
    Ok(Json(Unpinned { revisions: pool.unpin(&name, params.revision).await? }))
}

/// Where a page begins.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DeletionsParams {
    /// After this hash part.
    #[serde(default)]
    #[param(required = false, value_type = Option<String>)]
    after: Option<HashPart>,
}

/// Paths that were taken down, and why.
#[utoipa::path(get, path = "/api/v1/deletions", tag = "retention", params(DeletionsParams),
    responses((status = 200, body = Deletions)))]
pub(super) async fn deletions(
    State(pool): State<Shared>,
    _: MayRead,
    Params(params): Params<DeletionsParams>,
) -> Result<Json<Deletions>, ApiFailure> {
    Ok(Json(pool.deletions(params.after)?))
}

/// Takes a path down.
#[utoipa::path(post, path = "/api/v1/deletions", tag = "retention",
    request_body = DeletionRequest,
    responses((status = 200, body = Deletion), (status = 422, body = Problem)))]
pub(super) async fn delete(
    State(pool): State<Shared>,
    _: MayAdmin,
    body: Body,
) -> Result<Json<Deletion>, ApiFailure> {
    let request: DeletionRequest = read_json(body, MAX_BODY, &pool.config).await?;
    Ok(Json(pool.delete(request).await?))
}

/// Lets a path be here again.
#[utoipa::path(delete, path = "/api/v1/deletions/{hash_part}", tag = "retention",
    params(("hash_part" = String, Path, description = "the 32 characters the path starts with")),
    responses((status = 200, body = Deletion), (status = 404, body = Problem)))]
pub(super) async fn undelete(
    State(pool): State<Shared>,
    _: MayAdmin,
    Segment(hash_part): Segment,
) -> Result<Json<Deletion>, ApiFailure> {
    let hash_part = hash_part.parse().map_err(|why| {
        Rejected::bad_request("hash_part_malformed", format!("{hash_part:?}: {why}"))
    })?;
    Ok(Json(pool.undelete(hash_part).await?))
}
