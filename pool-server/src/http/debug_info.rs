//! Debug information: `debuginfo/<build id>.debug`. Some programs that read it leave the ending out.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use schema::debug_info::{BuildId, DebugInfo, DebugInfoError, MAX_DEBUG_INFO_LEN};

use super::Shared;
use super::body::read_encoded;
use super::error::CacheFailure;
use super::grant::{MayRead, MayUpload};
use super::view::Address;
use crate::rejected::Rejected;

pub(super) async fn read(
    State(pool): State<Shared>,
    _: MayRead,
    address: Address,
) -> Result<Json<DebugInfo>, CacheFailure> {
    Ok(Json(pool.debug_info(&build_id(&address.file)?)?))
}

pub(super) async fn put(
    State(pool): State<Shared>,
    _: MayUpload,
    address: Address,
    headers: HeaderMap,
    body: Body,
) -> Result<&'static str, CacheFailure> {
    let build_id = build_id(&address.file)?;
    let json = read_encoded(body, &headers, MAX_DEBUG_INFO_LEN, &pool.config).await?;
    let taken = pool.put_debug_info(build_id, &json).await?;
    Ok(if taken { "kept\n" } else { "the pool knows a NAR that has it\n" })
}

fn build_id(file: &str) -> Result<BuildId, Rejected> {
    let digits = file.strip_suffix(".debug").unwrap_or(file);
    digits.parse().map_err(|error: DebugInfoError| {
        Rejected::not_found("no_such_file", format!("{file:?}: {error}"))
    })
}
