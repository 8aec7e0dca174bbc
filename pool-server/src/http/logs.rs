//! Build logs: `log/<derivation>`. Nobody vouches for them.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use schema::store_path::BaseName;

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
) -> Result<impl IntoResponse, CacheFailure> {
    let log: Bytes = pool.log(&derivation(&address.file)?).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], log))
}

pub(super) async fn put(
    State(pool): State<Shared>,
    _: MayUpload,
    address: Address,
    headers: HeaderMap,
    body: Body,
) -> Result<(), CacheFailure> {
    let derivation = derivation(&address.file)?;
    let limit = usize::try_from(pool.config.max_log_size).unwrap_or(usize::MAX);
    let log = read_encoded(body, &headers, limit, &pool.config).await?;
    Ok(pool.put_log(&derivation, log).await?)
}

fn derivation(file: &str) -> Result<BaseName, Rejected> {
    let derivation = file.parse::<BaseName>().ok().filter(|name| name.name().ends_with(".drv"));
    derivation.ok_or_else(|| {
        Rejected::not_found(
            "no_such_file",
            format!("{file:?} is not the base name of a derivation"),
        )
    })
}
