//! Realisations: `realisations/<id>.doi`.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use schema::claim::Dialect;
use schema::realisation::{DrvOutput, MAX_REALISATION_LEN};

use super::Shared;
use super::body::read_encoded;
use super::error::CacheFailure;
use super::grant::{MayAttest, MayRead};
use super::narinfos::{not_shown, shown, summary};
use super::view::Address;
use crate::rejected::Rejected;

pub(super) async fn read(
    State(pool): State<Shared>,
    _: MayRead,
    address: Address,
    headers: HeaderMap,
) -> Result<Response, CacheFailure> {
    let answer = pool.realisation(&address.view, &id(&address.file)?)?;
    Ok(match answer {
        Ok(json) => shown(json, "application/json", &headers, &pool),
        Err(refused) => not_shown(refused, Dialect::Nix, &headers, &pool),
    })
}

pub(super) async fn put(
    State(pool): State<Shared>,
    _: MayAttest,
    address: Address,
    headers: HeaderMap,
    body: Body,
) -> Result<String, CacheFailure> {
    let id = id(&address.file)?;
    let json = read_encoded(body, &headers, MAX_REALISATION_LEN, &pool.config).await?;
    let merged = pool.merge_realisation(&address.view, &id, &json).await?;
    Ok(summary(&merged))
}

fn id(file: &str) -> Result<DrvOutput, Rejected> {
    let id = file.strip_suffix(".doi").and_then(|id| id.parse().ok());
    id.ok_or_else(|| {
        Rejected::not_found("no_such_file", format!("{file:?} is not the name of a realisation"))
            .hint("names are sha256:<64 hex digits>!<output>.doi")
    })
}
