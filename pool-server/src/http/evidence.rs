//! `/api/v1/evidence`: what the ledger has about paths, with proofs, a line of JSON each.

use std::io;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use schema::api::{EvidenceLine, EvidenceRequest, MAX_EVIDENCE_ASKED, Problem};

use super::Shared;
use super::body::read_json;
use super::error::ApiFailure;
use super::grant::MayRead;
use crate::rejected::Error;

/// The longest request, in bytes: each hash part is 32 digits, two quotes and a comma.
const MAX_BODY: usize = 64 * MAX_EVIDENCE_ASKED;

/// Everything that the ledger has about some paths, and the proof that there is no more.
#[utoipa::path(post, path = "/api/v1/evidence", tag = "paths", request_body = EvidenceRequest,
    responses((status = 200, body = EvidenceLine, content_type = "application/x-ndjson"),
        (status = 413, body = Problem)))]
pub(super) async fn read(
    State(pool): State<Shared>,
    _: MayRead,
    body: Body,
) -> Result<Response, ApiFailure> {
    let request: EvidenceRequest = read_json(body, MAX_BODY, &pool.config).await?;
    let mut pieces = pool.evidence(request).await?;
    let first = match pieces.recv().await {
        Some(first) => first?,
        None => Bytes::new(),
    };
    let rest = stream::unfold(pieces, async |mut pieces| {
        let piece = pieces.recv().await?;
        Some((piece.map_err(broken), pieces))
    });
    // Whoever compresses it asks once more after the end.
    let all = stream::once(async { Ok(first) }).chain(rest).fuse();
    let headers =
        [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(all)).into_response())
}

fn broken(error: Error) -> io::Error {
    tracing::error!(%error, "an answer with evidence broke off");
    io::Error::other("the pool failed")
}
