//! `/api/v1/paths`.

use axum::Json;
use axum::extract::State;
use schema::api::{PathReport, Problem};
use schema::store_path::{HashPart, StorePathError};

use super::Shared;
use super::error::ApiFailure;
use super::grant::MayRead;
use super::params::Segment;
use crate::rejected::Rejected;

/// All that is known of a store path: every claim, and who stands behind it.
#[utoipa::path(get, path = "/api/v1/paths/{hash_part}", tag = "paths",
    params(("hash_part" = String, Path, description = "32 base-32 digits")),
    responses((status = 200, body = PathReport), (status = 404, body = Problem)))]
pub(super) async fn report(
    State(pool): State<Shared>,
    _: MayRead,
    Segment(digits): Segment,
) -> Result<Json<PathReport>, ApiFailure> {
    let hash_part: HashPart = digits.parse().map_err(|error: StorePathError| {
        Rejected::bad_request("hash_part_malformed", error.to_string())
    })?;
    Ok(Json(pool.path_report(hash_part)?))
}
