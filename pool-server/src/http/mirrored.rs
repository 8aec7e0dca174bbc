//! `/mirror/{origin hash}/…`: the files of each log of another's that is mirrored here, as its own pool
//! serves them.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::Shared;
use super::error::CacheFailure;
use super::events::events;
use super::grant::MayRead;
use super::ledger::{published, tile_of};
use super::mirror::parse_origin;
use crate::ledger::shown::Shown;
use crate::rejected::Rejected;
use crate::serve::Stopping;

/// The newest checkpoint up to which the log is here whole, with the mirror's cosignature.
pub(super) async fn checkpoint(
    State(pool): State<Shared>,
    _: MayRead,
    Path(origin): Path<String>,
    headers: HeaderMap,
) -> Result<Response, CacheFailure> {
    Ok(published(&shown(&pool, &origin)?.published(), &headers))
}

/// A tile of hashes, or a bundle of entries.
pub(super) async fn tile(
    State(pool): State<Shared>,
    _: MayRead,
    Path((origin, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, CacheFailure> {
    tile_of(&shown(&pool, &origin)?, &path, &headers, pool.config.private)
}

/// Each checkpoint as it comes.
pub(super) async fn follow(
    State(pool): State<Shared>,
    _: MayRead,
    Path(origin): Path<String>,
    Extension(stopping): Extension<Stopping>,
) -> Result<Response, CacheFailure> {
    let shown = shown(&pool, &origin)?;
    Ok(events(shown, pool.follower()?, stopping))
}

fn shown(pool: &Shared, origin: &str) -> Result<Shown, Rejected> {
    pool.mirror_shown(&parse_origin(origin)?)
}
