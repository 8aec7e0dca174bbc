//! The outer door: sockets, TLS, limits of connections, and how the pool stops.

mod connection;
pub mod sendfile;
mod tls;

use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

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
pub use connection::{Socket, listen};
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

/// How long requests are waited for while the pool is opened anew. Others wait for that.
const ANEW_DRAIN: Duration = Duration::from_secs(5);
/// Told once in this time that no connections can be accepted.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// Why serving has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The operator wants that.
    Stopped,
    /// The pool is to be opened anew, and to serve on.
    Anew,
}

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

/// Serves until SIGTERM or SIGINT, or until `anew` is done, then finishes what is in flight, unless a
/// signal comes again. `on_ready` is told the address as soon as clients can connect.
///
/// # Errors
/// When the address or the certificate cannot be used.
pub async fn serve(
    config: &Config,
    socket: &Socket,
    app: Router,
    metrics: &Arc<Metrics>,
    on_ready: impl FnOnce(SocketAddr),
    anew: impl Future<Output = ()>,
) -> Result<Ended, Error> {
    let (mut first, mut again) = (Signals::listen()?, Signals::listen()?);
    let end = async {
        tokio::select! {
            () = first.stop() => Ended::Stopped,
            () = anew => Ended::Anew,
        }
    };
    tokio::select! {
        result = serve_until(config, socket, app, metrics, on_ready, end) => result,
        () = async { again.stop().await; again.stop().await } => {
            tracing::warn!("stopped without finishing");
            Ok(Ended::Stopped)
        }
    }
}

/// As [`serve`], but until `stop` is done.
///
/// # Errors
/// When the address or the certificate cannot be used.
pub async fn serve_until(
    config: &Config,
    socket: &Socket,
    app: Router,
    metrics: &Arc<Metrics>,
    on_ready: impl FnOnce(SocketAddr),
    stop: impl Future<Output = Ended>,
) -> Result<Ended, Error> {
    let tls = config.tls().map(|(cert, key)| tls::Identity::load(cert, key)).transpose()?;
    let door = Door::open(config, socket, metrics)?;
    let address = door.address()?;
    let handle = Handle::new();
    let server = limited(Server::from_listener(door), config).handle(handle.clone());
    announce(config, address)?;
    on_ready(address);
    let (begun, stopping) = watch::channel(false);
    let app = app.layer(Extension(Stopping(stopping)));
    let ended = OnceLock::new();
    let stop = async {
        let why = stop.await;
        let _ = ended.set(why);
        if why == Ended::Stopped {
            socket.close();
        }
        begun.send_replace(true);
        why
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
    let why = ended.get().copied().unwrap_or(Ended::Stopped);
    if why == Ended::Stopped {
        // Clients that look for us here should not find a closed door.
        let _ = fs::remove_file(config.data.join(ADDRESS_FILE));
    }
    result.map_err(Error::io("serve"))?;
    Ok(why)
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
    let told: Mutex<Option<Instant>> = Mutex::new(None);
    server.first_request_timeout(config.header_timeout).accept_error_handler(move |peer, error| {
        let Some(Peer(address)) = peer else {
            // As with too many open files: it is tried again after some milliseconds.
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.is_none_or(|told| told.elapsed() > TELL_AGAIN) {
                *told = Some(Instant::now());
                tracing::warn!(%error, "cannot accept connections");
            }
            return;
        };
        tracing::debug!(%address, %error, "no connection came about");
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
    stop: impl Future<Output = Ended>,
) -> T {
    let why = stop.await;
    let connections = handle.connection_count();
    match why {
        Ended::Stopped => {
            tracing::info!(connections, "stopping");
            notify(NotifyState::Stopping);
            handle.graceful_shutdown(Some(drain));
        }
        Ended::Anew => {
            tracing::warn!(connections, "the pool is opened anew");
            handle.graceful_shutdown(Some(drain.min(ANEW_DRAIN)));
        }
    }
    std::future::pending().await
}

/// Outside of systemd there is nobody to tell.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

/// What an operator stops a server with.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Notices those that come from now on.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn listen() -> Result<Self, Error> {
        let on = |kind| signal(kind).map_err(Error::io("listen for signals"));
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    /// Waits for one that tells to stop.
    pub async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests;
