//! What every request leaves behind: a count, a duration, and a line in the log when asked.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::metrics::Route;

pub(super) async fn observe(State(route): State<Route>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let line = tracing::enabled!(tracing::Level::DEBUG)
        .then(|| (request.method().clone(), request.uri().path().to_owned()));
    let response = next.run(request).await;
    let took = start.elapsed();
    route.answered(response.status(), took);
    if let Some((method, path)) = line {
        tracing::debug!(%method, path, status = response.status().as_u16(), ?took, "answered");
    }
    response
}
