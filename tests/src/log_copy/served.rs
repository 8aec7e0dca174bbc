//! A copy of a log, on a port of its own.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::deadline::DEADLINE;

/// Objects that are served until this goes.
pub struct Served {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Served {
    pub(super) fn start(objects: BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the kernel has a port");
        let address = listener.local_addr().expect("it is bound");
        let ended = Arc::new(AtomicBool::new(false));
        let (objects, seen) = (Arc::new(objects), Arc::clone(&ended));
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if seen.load(Ordering::SeqCst) {
                    return;
                }
                let objects = Arc::clone(&objects);
                // Clients may hold one connection open while they ask on another.
                let _ = stream.map(|stream| thread::spawn(move || answer(&stream, &objects)));
            }
        });
        Self { address, ended, accepting: Some(accepting) }
    }

    /// The log's address, without a slash at the end.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // It looks once more when somebody calls.
        let _ = TcpStream::connect(self.address);
        let _ = self.accepting.take().map(JoinHandle::join);
    }
}

/// Answers one request of a connection.
fn answer(mut stream: &TcpStream, objects: &BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    // Closing with headers unread would reset the connection.
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.strip_prefix("GET /").and_then(|rest| rest.split(' ').next());
    let (status, body): (_, &[u8]) = match path.and_then(|path| objects.get(path)) {
        Some(object) => ("200 OK", object),
        None => ("404 Not Found", b""),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/octet-stream\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)
}
