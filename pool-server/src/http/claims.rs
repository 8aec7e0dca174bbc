//! `/api/v1/claims`: the sentences that signers sign, by their hash.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use schema::api::{ClaimsRequest, ClaimsResponse, MAX_CLAIMS, Problem};
use schema::hash::ClaimId;

use super::Shared;
use super::body::read_json;
use super::error::ApiFailure;
use super::grant::MayRead;
use super::params::Segment;
use crate::rejected::Rejected;

/// The longest request, in bytes: each hash is 64 digits, two quotes and a comma.
const MAX_BODY: usize = 128 * MAX_CLAIMS;

/// The exact bytes that signers of a claim sign.
#[utoipa::path(get, path = "/api/v1/claims/{claim}", tag = "claims",
    params(("claim" = ClaimId, Path, description = "64 hex digits")),
    responses((status = 200, body = String, content_type = "text/plain"),
        (status = 404, body = Problem), (status = 410, body = Problem)))]
pub(super) async fn read(
    State(pool): State<Shared>,
    _: MayRead,
    Segment(digits): Segment,
) -> Result<impl IntoResponse, ApiFailure> {
    let claim: ClaimId = digits
        .parse()
        .map_err(|error| Rejected::bad_request("claim_malformed", format!("{digits}: {error}")))?;
    let lifetime = if pool.config.private { "private" } else { "public" };
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CACHE_CONTROL, format!("{lifetime}, max-age=31536000, immutable")),
    ];
    Ok((headers, pool.claim(&claim)?))
}

/// The same for many claims at once.
#[utoipa::path(post, path = "/api/v1/claims", tag = "claims", request_body = ClaimsRequest,
    responses((status = 200, body = ClaimsResponse), (status = 413, body = Problem)))]
pub(super) async fn read_many(
    State(pool): State<Shared>,
    _: MayRead,
    body: Body,
) -> Result<Json<ClaimsResponse>, ApiFailure> {
    let request: ClaimsRequest = read_json(body, MAX_BODY, &pool.config).await?;
    if request.claims.len() > MAX_CLAIMS {
        let detail = format!("{} claims; at most {MAX_CLAIMS} are allowed", request.claims.len());
        return Err(Rejected::too_large("too_many_claims", detail).into());
    }
    Ok(Json(ClaimsResponse { claims: pool.claims(&request.claims)? }))
}
