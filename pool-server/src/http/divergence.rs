//! `/api/v1/divergence`: where signers disagree.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use schema::api::{
    ChallengeRequest, ChallengeResponse, Divergences, MAX_CHALLENGED, MAX_DIVERGENCES, Problem,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::body::read_json;
use super::error::ApiFailure;
use super::grant::MayRead;
use super::params::Params;
use crate::rejected::Rejected;

/// The longest request, in bytes: each hash part is 32 digits, two quotes and a comma.
const MAX_BODY: usize = 64 * MAX_CHALLENGED;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageParams {
    /// The index in the ledger to begin at: 0 unless given, later the `next` of the page before.
    #[serde(default)]
    #[param(required = false)]
    from: u64,
    /// How many entries to go through, 1 to 1000; 1000 unless given.
    #[serde(default = "longest")]
    #[param(required = false)]
    limit: usize,
}

fn longest() -> usize {
    MAX_DIVERGENCES
}

/// The feed of paths about which signers disagree, in the order in which they came to.
#[utoipa::path(get, path = "/api/v1/divergence", tag = "divergence", params(PageParams),
    responses((status = 200, body = Divergences), (status = 400, body = Problem)))]
pub(super) async fn feed(
    State(pool): State<Shared>,
    _: MayRead,
    Params(page): Params<PageParams>,
) -> Result<Json<Divergences>, ApiFailure> {
    if !(1..=MAX_DIVERGENCES).contains(&page.limit) {
        let detail = format!("limit is {}; it goes from 1 to {MAX_DIVERGENCES}", page.limit);
        return Err(Rejected::bad_request("limit_out_of_range", detail).into());
    }
    Ok(Json(pool.divergences(page.from, page.limit)?))
}

/// What signers say of paths, and whether they disagree.
#[utoipa::path(post, path = "/api/v1/divergence", tag = "divergence",
    request_body = ChallengeRequest,
    responses((status = 200, body = ChallengeResponse), (status = 413, body = Problem)))]
pub(super) async fn challenge(
    State(pool): State<Shared>,
    _: MayRead,
    body: Body,
) -> Result<Json<ChallengeResponse>, ApiFailure> {
    let request: ChallengeRequest = read_json(body, MAX_BODY, &pool.config).await?;
    if request.hash_parts.len() > MAX_CHALLENGED {
        let detail = format!(
            "{} hash parts; at most {MAX_CHALLENGED} are allowed",
            request.hash_parts.len()
        );
        return Err(Rejected::too_large("too_many_paths", detail).into());
    }
    Ok(Json(ChallengeResponse { answers: pool.challenge(&request.hash_parts)? }))
}
