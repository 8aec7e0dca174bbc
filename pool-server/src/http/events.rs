//! `/ledger/{log}/events`: the checkpoints of a log as they are published, for those who would ask
//! again and again. They are server-sent events, as the HTML standard has them.

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, HeaderName};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tokio::sync::OwnedSemaphorePermit;

use super::Shared;
use super::error::CacheFailure;
use super::grant::MayRead;
use super::ledger::parse_log;
use crate::ledger::shown::{Published, Shown};
use crate::serve::Stopping;

/// How often a line without meaning is sent, so that nobody on the way takes the connection for
/// dead.
const PULSE: Duration = Duration::from_secs(15);

/// The checkpoint as it is, and every newer one.
pub(super) async fn follow(
    State(pool): State<Shared>,
    _: MayRead,
    Path(log): Path<String>,
    Extension(stopping): Extension<Stopping>,
) -> Result<Response, CacheFailure> {
    let shown = pool.shown(parse_log(&log)?).clone();
    Ok(events(shown, pool.follower()?, stopping))
}

/// The checkpoints of any log that is served here. Whoever reads slowly misses those that were
/// followed by newer ones. No stop of the pool waits for them.
pub(super) fn events(shown: Shown, follower: OwnedSemaphorePermit, stopping: Stopping) -> Response {
    let events = shown.followed().take_until(stopping.begins()).map(move |published| {
        // Given back when the reader goes.
        let _held = &follower;
        Ok::<_, Infallible>(event(&published))
    });
    // What nginx, and others after it, would hold back until there is more.
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), "no");
    let pulse = KeepAlive::new().interval(PULSE);
    ([(CACHE_CONTROL, "no-store"), unbuffered], Sse::new(events).keep_alive(pulse)).into_response()
}

/// A line of the note each, but for the line's end after the last, which every note has.
fn event(published: &Published) -> Event {
    let note = String::from_utf8_lossy(&published.file);
    Event::default()
        .event("checkpoint")
        .id(published.size().to_string())
        .data(note.strip_suffix('\n').unwrap_or(&note))
}
