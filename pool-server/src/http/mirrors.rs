//! `/api/v1/mirrors`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use schema::api::{
    MAX_MIRROR_ANNOUNCEMENT_LEN, MirrorAnnouncement, MirrorReport, Mirrors, Problem,
};

use super::Shared;
use super::body::read_json;
use super::error::ApiFailure;
use super::grant::MayRead;

/// Which mirrors of this pool there are, and how fresh each is.
#[utoipa::path(get, path = "/api/v1/mirrors", tag = "mirrors",
    responses((status = 200, body = Mirrors)))]
pub(super) async fn list(State(pool): State<Shared>, _: MayRead) -> Json<Mirrors> {
    Json(pool.mirrors())
}

/// A mirror tells how far it is. No token is asked for: the signatures say whose word it is.
#[utoipa::path(post, path = "/api/v1/mirrors", tag = "mirrors", request_body = MirrorAnnouncement,
    responses((status = 200, body = MirrorReport), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn announce(
    State(pool): State<Shared>,
    body: Body,
) -> Result<Json<MirrorReport>, ApiFailure> {
    let request: MirrorAnnouncement =
        read_json(body, MAX_MIRROR_ANNOUNCEMENT_LEN, &pool.config).await?;
    Ok(Json(pool.announce_mirror(request.checkpoint).await?))
}
