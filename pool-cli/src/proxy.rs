//! The proxy: a binary cache on this machine's own loopback, for a stock package manager that trusts
//! nothing but it. What it shows is what the judge allows, signed with a key of this host.

mod answer;
pub(crate) mod door;
mod guix;
pub(crate) mod host_key;
mod metrics;
mod narinfo;
pub(crate) mod printed;
mod routes;
mod status;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum_server::accept::NoDelayAcceptor;
use futures_util::future::BoxFuture;
use schema::store_path::{HashPart, StoreDir};
use sd_notify::NotifyState;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use self::door::Door;
use self::host_key::HostKey;
use self::metrics::Metrics;
use crate::judge::{Answer, Judge, Refusal};
use crate::output::{Output, plural, time};
use crate::source::{Limits, Prefetch, Sources};

/// NARs on their way at a time. Each takes a thread, 2 MiB, and what its decoder needs.
const NARS_AT_ONCE: usize = 64;
/// Questions that are with the judge at a time. Each takes a thread, and for an answer some must be left.
static TURNS: Semaphore = Semaphore::const_new(64);
/// For a request's head, and between two requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a request may go on once the proxy is to stop.
const DRAIN: Duration = Duration::from_secs(30);
/// The longest request line and header, in bytes.
const BUFFER_LEN: usize = 32 << 10;

/// Whom the proxy asks what may be shown: the judge.
pub(crate) trait Decides: Send + Sync + 'static {
    /// What to make of the path with this hash part.
    fn answer(self: Arc<Self>, path: HashPart) -> BoxFuture<'static, Answer>;

    /// How it fares: lines for the status page.
    fn status(&self) -> Vec<String>;
}

impl Decides for Judge {
    /// On a thread of its own: the first question about a closure verifies thousands of signatures.
    /// Whoever asked may go away meanwhile; the answer is remembered for the next one.
    fn answer(self: Arc<Self>, path: HashPart) -> BoxFuture<'static, Answer> {
        Box::pin(async move {
            let Ok(turn) = TURNS.acquire().await else { return undecided() };
            let network = Handle::current();
            let judging = spawn_blocking(move || {
                let answer = network.block_on(Self::answer(&self, path));
                drop(turn);
                answer
            });
            judging.await.unwrap_or_else(|_| undecided())
        })
    }

    fn status(&self) -> Vec<String> {
        let policy = self.policy();
        let mut lines = vec![format!("policy {}, version {}", policy.name(), policy.version())];
        lines.push("ledgers, all of which must be heard:".to_owned());
        for pool in Self::status(self) {
            let heard = pool.as_of.map_or("not heard yet".to_owned(), |as_of| {
                let size = usize::try_from(pool.attestations).unwrap_or(usize::MAX);
                format!("whole as of {}, {}", time(as_of), plural(size, "attestation"))
            });
            lines.push(format!("  {}: {heard}", pool.url));
            lines.extend(pool.trouble.map(|trouble| format!("    now: {trouble}")));
        }
        lines
    }
}

/// The judge failed, which it never should.
fn undecided() -> Answer {
    let detail = "the judge came to no decision; the proxy's log says why".to_owned();
    Answer { path: None, outcome: Err(Refusal { code: "undecided", detail, hint: None }) }
}

/// What every request needs.
pub(crate) struct Proxy {
    judge: Arc<dyn Decides>,
    sources: Arc<Sources>,
    prefetch: Arc<Prefetch>,
    key: HostKey,
    store_dir: StoreDir,
    metrics: Metrics,
    nars: Arc<Semaphore>,
    output: &'static Output,
}

impl Proxy {
    /// A proxy for one store directory: that of the judge's policy.
    pub(crate) fn new(
        judge: Arc<dyn Decides>,
        sources: Arc<Sources>,
        key: HostKey,
        store_dir: StoreDir,
        output: &'static Output,
    ) -> Self {
        let prefetch = Prefetch::new(Arc::clone(&sources), Limits::default());
        let metrics = Metrics::install();
        let nars = Arc::new(Semaphore::new(NARS_AT_ONCE));
        Self { judge, sources, prefetch, key, store_dir, metrics, nars, output }
    }
}

/// Serves until `stop` is done, then finishes what is in flight.
pub(crate) async fn serve(
    proxy: Proxy,
    door: Door,
    output: &'static Output,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let handle = axum_server::Handle::new();
    let address = door.address();
    let mut server = axum_server::from_tcp(door.into_socket()).context("serving")?;
    server.http_builder().http1().header_read_timeout(HEADER_TIMEOUT).max_buf_size(BUFFER_LEN);
    let server = server.http1_only().first_request_timeout(HEADER_TIMEOUT).handle(handle.clone());
    let value = serde_json::json!({ "address": format!("http://{address}") });
    output.result(&value, || format!("listening on http://{address}"));
    notify(NotifyState::Ready, output);
    let router = routes::router(Arc::new(proxy)).into_make_service();
    let serving = server.acceptor(NoDelayAcceptor::new()).serve(router);
    let stopping = async {
        stop.await;
        notify(NotifyState::Stopping, output);
        handle.graceful_shutdown(Some(DRAIN));
        std::future::pending().await
    };
    tokio::select! { result = serving => result.context("serving"), never = stopping => never }
}

/// Outside of systemd there is nobody to tell.
fn notify(state: NotifyState<'_>, output: &Output) {
    if let Err(error) = sd_notify::notify(&[state]) {
        output.warn(&format!("cannot tell the service manager: {error}"));
    }
}

#[cfg(test)]
mod tests;
