//! `/api/v1/keys/events`: what happens to signers' keys.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use schema::api::{KeyEventLogged, KeyEventRequest, Problem};

use super::Shared;
use super::body::read_json;
use super::error::ApiFailure;

/// The longest request, in bytes.
const MAX_BODY: usize = 8192;

/// Rotates, delegates or revokes a key. No token is asked for: the signatures say who asks.
#[utoipa::path(post, path = "/api/v1/keys/events", tag = "signers", request_body = KeyEventRequest,
    responses((status = 200, body = KeyEventLogged), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn event(
    State(pool): State<Shared>,
    body: Body,
) -> Result<Json<KeyEventLogged>, ApiFailure> {
    let request: KeyEventRequest = read_json(body, MAX_BODY, &pool.config).await?;
    Ok(Json(pool.key_event(request).await?))
}
