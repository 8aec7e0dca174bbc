//! The socket: this machine's own, bound here or handed over by systemd.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::str::FromStr;

use anyhow::{Context, Result};
use listenfd::ListenFd;

use crate::exit::Failure;

/// An address that only this machine can reach.
///
/// What the proxy shows is for one policy, and anybody who can ask it can have it sign. A policy is
/// its host's own, so each host runs its own proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loopback(SocketAddr);

impl FromStr for Loopback {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address: SocketAddr =
            text.parse().map_err(|_| "not an address such as 127.0.0.1:8485".to_owned())?;
        Self::try_from(address)
    }
}

impl TryFrom<SocketAddr> for Loopback {
    type Error = String;

    fn try_from(address: SocketAddr) -> Result<Self, String> {
        if address.ip().to_canonical().is_loopback() {
            Ok(Self(address))
        } else {
            Err(format!(
                "{} is not this machine's loopback: a proxy is for its own host alone",
                address.ip()
            ))
        }
    }
}

impl fmt::Display for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A socket that listens. Connections queue from here on.
pub(crate) struct Door {
    socket: TcpListener,
    address: Loopback,
}

impl Door {
    /// Takes the socket that systemd handed over; without one, binds `listen`.
    pub(crate) fn open(listen: Loopback) -> Result<Self> {
        let handed = ListenFd::from_env()
            .take_tcp_listener(0)
            .context("taking the socket that was handed over")?;
        match handed {
            Some(socket) => Self::of(socket),
            None => Self::bind(listen),
        }
    }

    /// Binds `listen`; port 0 lets the kernel choose.
    pub(super) fn bind(listen: Loopback) -> Result<Self> {
        let socket = TcpListener::bind(listen.0).map_err(|error| {
            Failure::could_not_tell(format!("cannot listen on {listen}: {error}"))
                .hint("--listen takes another address; port 0 lets the kernel choose")
        })?;
        Self::of(socket)
    }

    fn of(socket: TcpListener) -> Result<Self> {
        let address = socket.local_addr().context("asking for the socket's address")?;
        let address = Loopback::try_from(address).map_err(|why| {
            Failure::could_not_tell(why).hint("ListenStream=127.0.0.1:8485 in the .socket unit")
        })?;
        Ok(Self { socket, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Loopback {
        self.address
    }

    pub(super) fn into_socket(self) -> TcpListener {
        self.socket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_let_in() {
        for text in ["127.0.0.1:8485", "127.9.9.9:1", "[::1]:8485", "[::ffff:127.0.0.1]:80"] {
            assert!(text.parse::<Loopback>().is_ok(), "{text}");
        }
        for text in ["0.0.0.0:8485", "[::]:8485", "192.168.0.1:1", "10.0.0.1:8485", "localhost:1"] {
            assert!(text.parse::<Loopback>().is_err(), "{text}");
        }
        let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
        let error = Door::of(everywhere).err().unwrap();
        assert!(error.to_string().contains("loopback"), "{error:#}");
        let free = Door::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let taken = Door::bind(free.address()).err().unwrap();
        assert!(taken.to_string().contains(&free.address().to_string()), "{taken:#}");
    }
}
