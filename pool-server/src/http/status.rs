//! How the pool is: for operators, their probes, and clients that introduce themselves.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::IntoResponse;
use schema::api::{Info, WitnessReport};

use super::Shared;
use super::error::{ApiFailure, EitherFailure};
use super::grant::MayRead;
use crate::rejected::Rejected;

/// What this pool is.
#[utoipa::path(get, path = "/api/v1/info", tag = "status", responses((status = 200, body = Info)))]
pub(super) async fn info(State(pool): State<Shared>, _: MayRead) -> Result<Json<Info>, ApiFailure> {
    Ok(Json(pool.info()?))
}

pub(super) async fn health() -> &'static str {
    "alive\n"
}

pub(super) async fn ready(State(pool): State<Shared>) -> Result<String, (StatusCode, String)> {
    match pool.check_ready() {
        Ok(()) => {
            let mut troubles: Vec<String> =
                pool.degraded().iter().map(|error| format!("degraded: {error}")).collect();
            troubles.extend(pool.mirror().troubles());
            troubles.extend(pool.damage());
            troubles.extend(pool.restored().map(|restored| restored.refusal().to_string()));
            Ok(readiness(&pool.witness_reports(), &troubles))
        }
        Err(error) => {
            tracing::error!(%error, "not ready");
            Err((StatusCode::SERVICE_UNAVAILABLE, "not ready; the log says why\n".to_owned()))
        }
    }
}

/// Ready, and what of its witnesses, of the disk, of the logs that it mirrors and of what it keeps is not
/// as it should be: that holds up nobody who reads the rest.
fn readiness(witnesses: &[WitnessReport], troubles: &[String]) -> String {
    let mut text = "ready\n".to_owned();
    for WitnessReport { name, trouble, .. } in witnesses {
        if let Some(trouble) = trouble {
            text.push_str(&format!("witness {name}: {trouble}\n"));
        }
    }
    for trouble in troubles {
        text.push_str(trouble);
        text.push('\n');
    }
    text
}

pub(super) async fn metrics(State(pool): State<Shared>, _: MayRead) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], pool.metrics_text())
}

pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], schema::api::OPENAPI)
}

pub(super) async fn no_such_route(address: Uri) -> EitherFailure {
    let rejected = Rejected::not_found("no_such_route", "nothing is served under this address")
        .hint("see /nix-cache-info for the cache, /api/v1/openapi.json for the API");
    EitherFailure::at(&address, rejected)
}

pub(super) async fn wrong_method(address: Uri) -> EitherFailure {
    EitherFailure::at(
        &address,
        Rejected::wrong_method("the header Allow says what is possible here"),
    )
}
