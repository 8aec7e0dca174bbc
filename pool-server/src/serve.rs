//! The outer door: sockets, TLS, limits of connections, and how the pool stops.

mod connection;
pub mod sendfile;
mod tls;

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use axum_server::tls_rustls::RustlsAcceptor;
use axum_server::{Handle, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::config::Config;
use crate::durable;
use crate::metrics::Metrics;
use crate::rejected::Error;
use connection::{Door, Peer};
use sendfile::Plain;

/// Where, in the data directory, the address is that the pool listens on.
pub const ADDRESS_FILE: &str = "address";

/// What is buffered of one HTTP/1.1 connection, each way, in bytes: the longest request line and
/// header (longer ones are answered with 431), and the most that is read of a body at once.
const BUFFER_LEN: usize = 128 << 10;
/// Longest header of an HTTP/2 request, in bytes.
const MAX_HEADER_LEN: u32 = 32 << 10;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// How much an HTTP/2 client may send ahead on one stream, and on one connection: enough that an
/// upload is not held up by a long way.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
/// How long an HTTP/2 client may take to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Files that are open beside those of connections: the database's, and one for each NAR served.
const OTHER_FILES: u64 = 2048;

/// Tells answers that have no end of their own when to end. Every request has it among its
/// extensions.
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Waits until the server begins to stop: from then on it waits for what is in flight.
    pub async fn begins(mut self) {
        // Without a sender the server is gone already.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}

/// Serves until SIGTERM or SIGINT, then finishes what is in flight, unless one comes again.
/// `on_ready` is told the address as soon as clients can connect.
///
/// # Errors
/// When the address or the certificate cannot be used.
pub async fn serve(
    config: &Config,
    app: Router,
    metrics: &Arc<Metrics>,
    on_ready: impl FnOnce(SocketAddr),
) -> Result<(), Error> {
    let (mut first, mut again) = (Signals::listen()?, Signals::listen()?);
    tokio::select! {
        result = serve_until(config, app, metrics, on_ready, first.stop()) => result,
        () = async { again.stop().await; again.stop().await } => {
            tracing::warn!("stopped without finishing");
            Ok(())
        }
    }
}

/// As [`serve`], but until `stop` is done.
///
/// # Errors
/// When the address or the certificate cannot be used.
pub async fn serve_until(
    config: &Config,
    app: Router,
    metrics: &Arc<Metrics>,
    on_ready: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let tls = config.tls().map(|(cert, key)| tls::Identity::load(cert, key)).transpose()?;
    let door = Door::open(config, metrics)?;
    let address = door.address()?;
    let handle = Handle::new();
    let server = limited(Server::from_listener(door), config).handle(handle.clone());
    announce(config, address)?;
    on_ready(address);
    let (begun, stopping) = watch::channel(false);
    let app = app.layer(Extension(Stopping(stopping)));
    let stop = async {
        stop.await;
        begun.send_replace(true);
    };
    let stopping = stop_gracefully(&handle, config.drain_timeout, stop);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let result = match tls {
        None => {
            let serving = server.acceptor(Plain).serve(app);
            tokio::select! { result = serving => result, never = stopping => never }
        }
        Some(identity) => {
            let acceptor =
                RustlsAcceptor::new(identity.config()).handshake_timeout(config.header_timeout);
            let serving = server.acceptor(acceptor).serve(app);
            tokio::select! {
                result = serving => result,
                never = stopping => never,
                never = identity.reload_on_hangup() => never,
            }
        }
    };
    match handle.connection_count() {
        0 => {}
        cut => tracing::warn!(connections = cut, "closed before they had finished"),
    }
    // Clients that look for us here should not find a closed door.
    let _ = fs::remove_file(config.data.join(ADDRESS_FILE));
    result.map_err(Error::io("serve"))
}

/// Lets this process open as many files as it may, which must be done before any part counts on
/// it. The usual soft limit of 1024 is for programs that call select(2).
pub fn raise_file_limit(config: &Config) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let wanted = config.max_connections.get() as u64 + OTHER_FILES;
    if let Some(current) = getrlimit(Resource::Nofile).current
        && current < wanted
    {
        tracing::warn!(current, wanted, "the limit of open files is too low for max-connections");
    }
}

/// Whether the certificate and key, if any are configured, can be used.
///
/// # Errors
/// Why not.
pub fn check_tls(config: &Config) -> Result<(), Error> {
    config.tls().map_or(Ok(()), |(cert, key)| tls::Identity::load(cert, key).map(drop))
}

fn limited(mut server: Server<Peer>, config: &Config) -> Server<Peer> {
    let builder = server.http_builder();
    builder.http1().header_read_timeout(config.header_timeout).max_buf_size(BUFFER_LEN);
    builder
        .http2()
        .max_header_list_size(MAX_HEADER_LEN)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(config.header_timeout)
        .keep_alive_timeout(PING_TIMEOUT);
    server.first_request_timeout(config.header_timeout).accept_error_handler(|peer, error| {
        match peer {
            Some(Peer(address)) => tracing::debug!(%address, %error, "no connection came about"),
            None => tracing::warn!(%error, "cannot accept connections"),
        }
    })
}

/// Tells those who wait for the pool to be there. Connections queue from here on.
fn announce(config: &Config, address: SocketAddr) -> Result<(), Error> {
    let file = config.data.join(ADDRESS_FILE);
    durable::replace(&file, format!("{address}\n").as_bytes(), durable::PUBLIC)?;
    notify(NotifyState::Ready);
    Ok(())
}

/// Never returns; the server does, once it has stopped.
async fn stop_gracefully<T>(
    handle: &Handle<Peer>,
    drain: Duration,
    stop: impl Future<Output = ()>,
) -> T {
    stop.await;
    tracing::info!(connections = handle.connection_count(), "stopping");
    notify(NotifyState::Stopping);
    handle.graceful_shutdown(Some(drain));
    std::future::pending().await
}

/// Outside of systemd there is nobody to tell.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

/// What an operator stops a server with.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Error> {
        let on = |kind| signal(kind).map_err(Error::io("listen for signals"));
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests;
