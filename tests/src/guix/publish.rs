//! `guix publish`, which serves a machine's store.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use super::confined::Confined;
use super::on_machine;
use crate::wire::{Reply, Request};

/// As systemd starts it: with the socket as descriptor 3. So the kernel picks the port, and the
/// port is never free for another.
const ACTIVATED: [&str; 4] = [
    "sh",
    "-euc",
    "exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec guix publish \"$@\"",
    "publish",
];

/// A running `guix publish`, which ends when the test is done with it.
pub struct Publisher {
    program: Confined,
    address: SocketAddr,
}

impl Publisher {
    pub(super) fn start(dir: &Path, arguments: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the kernel has a port");
        let address = listener.local_addr().expect("it is bound");
        let log = dir.join(format!("publish-{}.log", address.port()));
        let command = on_machine(dir, &[&ACTIVATED[..], arguments].concat());
        let program = Confined::start(command, std::os::fd::OwnedFd::from(listener).into(), &log);
        let publisher = Self { program, address };
        // The socket takes this before Guix does, and lets go of it if Guix ends.
        let reply = publisher.get("/nix-cache-info");
        assert_eq!(reply.status, 200, "guix publish does not answer:\n{}", publisher.log());
        publisher
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The server's address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has logged: `GET /….narinfo` for each request, and `-> GET /….narinfo: 404`.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.log()
    }

    /// What it answers to `GET`. It is told both to close the connection, or it would wait for
    /// more after a NAR without a length, and that nothing more comes: it hears only the latter
    /// when it answers with 404.
    #[must_use]
    pub fn get(&self, target: &str) -> Reply {
        Reply::to_bytes(&self.address(), &Request::new("GET", target).to_bytes(), true)
    }
}
