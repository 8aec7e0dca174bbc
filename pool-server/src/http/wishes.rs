//! `/api/v1/nars/wishes`: NARs that clients wait for and that are not here, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, HeaderName};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::StreamExt;
use futures_util::stream::unfold;
use tokio::sync::broadcast::error::RecvError;

use super::Shared;
use super::grant::MayUpload;
use crate::serve::Stopping;

/// How often a line without meaning is sent.
const PULSE: Duration = Duration::from_secs(15);

/// The hash of each NAR, in base 32, when somebody begins to wait for it.
pub(super) async fn follow(
    State(pool): State<Shared>,
    _: MayUpload,
    Extension(stopping): Extension<Stopping>,
) -> impl IntoResponse {
    let wishes = unfold(pool.wishes(), |mut wishes| async move {
        loop {
            match wishes.recv().await {
                Ok(nar_hash) => return Some((nar_hash, wishes)),
                // Whoever waits asks again, or is sent elsewhere.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let events = wishes.take_until(stopping.begins()).map(|nar_hash| {
        Ok::<_, Infallible>(Event::default().event("wish").data(nar_hash.to_nix32()))
    });
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), "no");
    let pulse = KeepAlive::new().interval(PULSE);
    ([(CACHE_CONTROL, "no-store"), unbuffered], Sse::new(events).keep_alive(pulse))
}
