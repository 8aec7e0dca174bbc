//! Connections: where they come from, how many there may be, and when one is given up.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::extract::connect_info::Connected;
use axum_server::{AddrListener, Address};
use listenfd::ListenFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

use super::sendfile::{self, Outlet};
use crate::config::Config;
use crate::fair::{Slot, Slots};
use crate::metrics::Metrics;
use crate::patience::Patience;
use crate::quota::Prefix;
use crate::rejected::Error;

/// Where a connection comes from.
#[derive(Debug, Clone)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Connected<Peer> for SocketAddr {
    fn connect_info(peer: Peer) -> Self {
        peer.0
    }
}

impl Address for Peer {
    type Stream = Connection;
    type Listener = Door;
}

/// Accepts connections, as long as there are not too many.
pub(super) struct Door {
    listener: TcpListener,
    slots: Arc<Semaphore>,
    /// As many, by who has them.
    shares: Slots<Prefix>,
    /// Through these come many, so that they may have every slot.
    fronts: Vec<IpAddr>,
    patience: Patience,
    metrics: Arc<Metrics>,
}

/// Where clients connect. It outlasts a server that makes place for the next one, so that they wait in
/// between, until it is closed.
#[derive(Debug)]
pub struct Socket(Mutex<Option<std::net::TcpListener>>);

impl Socket {
    /// Clients are turned away once no server accepts there, either.
    pub(super) fn close(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn share(&self) -> io::Result<TcpListener> {
        let socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        TcpListener::from_std(socket.try_clone()?)
    }
}

/// Takes the socket that systemd handed over; without one, binds the configured address. Connections
/// wait there while there is no server.
///
/// # Errors
/// An address that cannot be used.
pub fn listen(config: &Config) -> Result<Socket, Error> {
    let handed = ListenFd::from_env()
        .take_tcp_listener(0)
        .map_err(Error::io("take the socket that was handed over"))?;
    let bind = || std::net::TcpListener::bind(config.listen);
    let ready = handed.map_or_else(bind, Ok).and_then(|socket| {
        socket.set_nonblocking(true)?;
        Ok(Socket(Mutex::new(Some(socket))))
    });
    ready.map_err(|why| Error::Setup {
        detail: format!("cannot listen on {}: {why}", config.listen),
        hint: "--listen takes another address; port 0 lets the kernel choose".to_owned(),
    })
}

impl Door {
    /// Stands at this socket, which outlasts it.
    pub(super) fn open(
        config: &Config,
        socket: &Socket,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Error> {
        let listener = socket.share();
        let listener = listener.map_err(Error::io("take the socket"))?;
        Ok(Self {
            listener,
            slots: Arc::new(Semaphore::new(config.max_connections.get())),
            shares: Slots::new(config.max_connections.get(), config.connection_share),
            fronts: config.fronts.clone(),
            patience: Patience::new(config),
            metrics: Arc::clone(metrics),
        })
    }

    /// The next connection of somebody who has not too many, and the share that it takes.
    async fn next(&self) -> io::Result<(TcpStream, SocketAddr, Option<Slot<Prefix>>)> {
        loop {
            let (socket, peer) = self.listener.accept().await?;
            if self.fronts.contains(&peer.ip().to_canonical()) {
                return Ok((socket, peer, None));
            }
            match self.shares.try_take(&peer.ip().into()) {
                Some(share) => return Ok((socket, peer, Some(share))),
                None => self.metrics.connection_refused(),
            }
        }
    }

    pub(super) fn address(&self) -> Result<SocketAddr, Error> {
        self.listener.local_addr().map_err(Error::io("ask for the socket's address"))
    }
}

impl AddrListener<Connection, Peer> for Door {
    async fn bind_to(_: Peer) -> io::Result<Self> {
        unreachable!("a server is only ever made from an open door")
    }

    /// With no slot free, connections wait in the kernel's queue.
    async fn accept_stream(&self) -> io::Result<(Connection, Peer)> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(io::Error::other)?;
        let (socket, peer, share) = self.next().await?;
        // Nagle's algorithm would hold back the end of each answer for 40 ms.
        socket.set_nodelay(true)?;
        let stall = Stall::new(self.patience.clone());
        let outlet = Outlet::default();
        let connection = Connection { socket, outlet, stall, _share: share, _slot: slot };
        Ok((connection, Peer(peer)))
    }

    fn get_local_addr(&self) -> io::Result<Peer> {
        self.listener.local_addr().map(Peer)
    }
}

/// A socket that gives up when nobody takes what is sent.
pub(super) struct Connection {
    socket: TcpStream,
    outlet: Outlet,
    stall: Stall,
    /// Given back before the slot: whoever gets that finds a share.
    _share: Option<Slot<Prefix>>,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    /// By which answers announce what the kernel is to send.
    pub(super) fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(blanks) = sendfile::first_blanks(parts) else {
            return Pin::new(&mut self.socket).poll_write_vectored(context, parts);
        };
        let (socket, outlet) = (&self.socket, &self.outlet);
        loop {
            ready!(socket.poll_write_ready(context))?;
            let send = || outlet.send(socket, parts, blanks);
            match socket.try_io(Interest::WRITABLE, send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.poll_send(context, &[IoSlice::new(bytes)]);
        self.stall.judge(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.poll_send(context, parts);
        self.stall.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// Notices that the other side takes nothing, or too little, for too long. HTTP has timeouts of its
/// own for what it reads, but none for what it writes.
struct Stall {
    patience: Patience,
    /// Made at the first write that had to wait; most connections never need it.
    timer: Option<Pin<Box<Sleep>>>,
    waiting_since: Option<Instant>,
}

impl Stall {
    fn new(patience: Patience) -> Self {
        Self { patience, timer: None, waiting_since: None }
    }

    fn judge(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            if let Some(since) = self.waiting_since.take() {
                self.patience.waited(since.elapsed());
            }
            self.patience.moved(*written.as_ref().unwrap_or(&0));
            return Poll::Ready(written);
        }
        let now = Instant::now();
        let until = now + self.patience.left();
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if self.waiting_since.is_none() {
            timer.as_mut().reset(until);
            self.waiting_since = Some(now);
        }
        timer.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use super::*;
    use crate::config::Settings;

    /// How often a pause of 20 ms is borne after each of which one byte goes on.
    async fn borne(rate: &str) -> Option<usize> {
        let mut settings = Settings::default();
        settings.add_flag("body-idle-timeout", "200ms").unwrap();
        settings.add_flag("min-body-rate", rate).unwrap();
        let mut stall = Stall::new(Patience::new(&settings.config().unwrap()));
        let mut context = Context::from_waker(Waker::noop());
        for round in 0..20 {
            let _ = stall.judge(&mut context, Poll::Pending);
            tokio::time::sleep(Duration::from_millis(20)).await;
            if stall.judge(&mut context, Poll::Pending).is_ready() {
                return Some(round);
            }
            let _ = stall.judge(&mut context, Poll::Ready(Ok(1)));
        }
        None
    }

    #[tokio::test]
    async fn who_takes_a_byte_now_and_then_is_given_up_too() {
        let rounds = borne("1KiB").await.expect("it is given up");
        assert!(rounds <= 10, "{rounds}");
        assert_eq!(borne("1").await, None, "a byte is as good as a second");
    }
}
