//! `/api/v1/attestations`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use schema::api::{AttestRequest, AttestResponse, MAX_ATTESTATIONS, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::body::{parse_json, read_encoded};
use super::error::ApiFailure;
use super::grant::MayAttest;
use super::params::Params;
use crate::rejected::Rejected;

/// The longest request, in bytes.
const MAX_BODY: usize = 128 << 20;

/// What is to come back.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AttestParams {
    /// Whether each attestation is to be answered with its receipt; `true` unless given.
    #[serde(default = "yes")]
    #[param(required = false)]
    receipts: bool,
}

fn yes() -> bool {
    true
}

/// Hands in attestations: all are taken, or none. The body may have a Content-Encoding.
#[utoipa::path(post, path = "/api/v1/attestations", tag = "attestations", params(AttestParams),
    request_body = AttestRequest,
    responses((status = 200, body = AttestResponse), (status = 422, body = Problem)))]
pub(super) async fn attest(
    State(pool): State<Shared>,
    MayAttest(by): MayAttest,
    Params(params): Params<AttestParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<AttestResponse>, ApiFailure> {
    let body = read_encoded(body, &headers, MAX_BODY, &pool.config).await?;
    let request: AttestRequest = parse_json(&body)?;
    if request.attestations.len() > MAX_ATTESTATIONS {
        let detail = format!(
            "{} attestations; at most {MAX_ATTESTATIONS} are allowed",
            request.attestations.len()
        );
        return Err(Rejected::too_large("too_many_attestations", detail).into());
    }
    let logged = pool.attest(request.attestations, params.receipts, &by).await?;
    Ok(Json(AttestResponse { logged }))
}
