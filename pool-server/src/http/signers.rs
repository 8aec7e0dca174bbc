//! `/api/v1/signers`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use schema::api::{EnrolRequest, Problem, Signer, Signers};

use super::Shared;
use super::body::read_json;
use super::error::ApiFailure;
use super::grant::{Asker, MayRead};

/// The longest request, in bytes.
const MAX_BODY: usize = 4096;

/// Everybody who is enrolled.
#[utoipa::path(get, path = "/api/v1/signers", tag = "signers", responses((status = 200, body = Signers)))]
pub(super) async fn list(State(pool): State<Shared>, _: MayRead) -> Json<Signers> {
    Json(pool.signer_list())
}

/// Enrols a key: by an admin's token or, where the operator allows it, by proof of possession.
#[utoipa::path(post, path = "/api/v1/signers", tag = "signers", request_body = EnrolRequest,
    responses((status = 200, body = Signer), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn enrol(
    State(pool): State<Shared>,
    asker: Asker,
    body: Body,
) -> Result<Json<Signer>, ApiFailure> {
    let request: EnrolRequest = read_json(body, MAX_BODY, &pool.config).await?;
    Ok(Json(pool.enrol(request, asker.is_admin).await?))
}
