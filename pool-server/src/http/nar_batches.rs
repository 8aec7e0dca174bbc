//! `POST /api/v1/nars` and `/api/v1/nars/fetch`: many small NARs in one body.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use schema::api::{FindRequest, MAX_NARS, NarsStored, Problem};
use schema::nar_batch::{self, MAX_BATCH_LEN};

use super::Shared;
use super::body::{read_body, read_json};
use super::error::ApiFailure;
use super::grant::{MayRead, MayUpload};

/// The longest request, in bytes: each hash is 52 digits, a prefix, two quotes and a comma.
const MAX_BODY: usize = 128 * MAX_NARS;

/// Uploads many small NARs in one body.
#[utoipa::path(post, path = "/api/v1/nars", tag = "nars",
    request_body(description = "The records", content_type = "application/x-narpool-nars"),
    responses((status = 200, body = NarsStored), (status = 422, body = Problem)))]
pub(super) async fn upload(
    State(pool): State<Shared>,
    MayUpload(by): MayUpload,
    body: Body,
) -> Result<Json<NarsStored>, ApiFailure> {
    let bytes = read_body(body, MAX_BATCH_LEN, &pool.config).await?;
    Ok(Json(NarsStored { stored: pool.receive_batch(bytes, &by).await? }))
}

/// Downloads many small NARs in one body: those that are here, in the order asked, until the next
/// would make it too long. Ask again for the rest.
#[utoipa::path(post, path = "/api/v1/nars/fetch", tag = "nars", request_body = FindRequest,
    responses((status = 200, description = "The records",
        content_type = "application/x-narpool-nars"), (status = 413, body = Problem)))]
pub(super) async fn fetch(
    State(pool): State<Shared>,
    _: MayRead,
    body: Body,
) -> Result<impl IntoResponse, ApiFailure> {
    let request: FindRequest = read_json(body, MAX_BODY, &pool.config).await?;
    let batch: Bytes = pool.nar_batch(request.nar_hashes).await?;
    pool.metrics.nar_bytes_out.increment(batch.len() as u64);
    Ok(([(header::CONTENT_TYPE, nar_batch::MEDIA_TYPE)], batch))
}
