//! Somebody between a client and a server who counts the bytes that pass, both ways.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::server::Server;

/// A relay to one server, for as long as the test runs.
pub struct Relay {
    address: SocketAddr,
    bytes: Arc<AtomicU64>,
}

impl Relay {
    /// One that passes everything on to `server`.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the kernel has a port");
        let address = listener.local_addr().expect("it is bound");
        let bytes = Arc::new(AtomicU64::new(0));
        let (there, counted) = (server.address().to_owned(), Arc::clone(&bytes));
        thread::spawn(move || {
            for here in listener.incoming().map_while(Result::ok) {
                let Ok(there) = TcpStream::connect(&there) else { continue };
                let clone = |stream: &TcpStream| stream.try_clone().expect("a second handle");
                pass(clone(&here), clone(&there), Arc::clone(&counted));
                pass(there, here, Arc::clone(&counted));
            }
        });
        Self { address, bytes }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Bytes that have passed so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Passes on what comes until there is no more. A connection that breaks is its ends' affair.
fn pass(mut from: TcpStream, mut to: TcpStream, counted: Arc<AtomicU64>) {
    thread::spawn(move || {
        let mut piece = [0; 16 << 10];
        while let Ok(len) = from.read(&mut piece) {
            counted.fetch_add(len as u64, Ordering::Relaxed);
            if len == 0 || to.write_all(&piece[..len]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
