//! HTTP/1.1 byte by byte: for what no client library would send, and for hearing the answer to it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::deadline::DEADLINE;

/// A request as it goes over the wire.
#[derive(Debug, Clone)]
pub struct Request {
    line: Vec<u8>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    announced: Option<usize>,
}

impl Request {
    /// One for `target`, which goes out exactly as it is given.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        let line = format!("{method} {target} HTTP/1.1").into_bytes();
        Self { line, headers: Vec::new(), body: Vec::new(), announced: None }
    }

    /// With this body, whose length is told.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.announced = Some(self.body.len());
        self
    }

    /// Tells another length than the body has.
    #[must_use]
    pub fn announcing(mut self, len: usize) -> Self {
        self.announced = Some(len);
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.line.clone();
        bytes.extend_from_slice(b"\r\nhost: pool\r\nconnection: close\r\n");
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if let Some(len) = self.announced {
            bytes.extend_from_slice(format!("content-length: {len}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// One connection.
pub struct Wire(TcpStream);

impl Wire {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens there.
    #[must_use]
    pub fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a deadline can be set");
        stream.set_write_timeout(Some(DEADLINE)).expect("a deadline can be set");
        Self(stream)
    }

    /// Sends bytes. A server that has answered already may not take them: the answer tells.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// Tells the server that nothing more will come.
    pub fn finish(&mut self) {
        let _ = self.0.shutdown(Shutdown::Write);
    }

    /// Whether the server says something within `pause`.
    ///
    /// # Panics
    /// When no deadline can be set.
    #[must_use]
    pub fn hears_within(&mut self, pause: Duration) -> bool {
        self.0.set_read_timeout(Some(pause)).expect("a deadline can be set");
        let heard = self.0.peek(&mut [0]);
        self.0.set_read_timeout(Some(DEADLINE)).expect("a deadline can be set");
        !matches!(heard, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Reads the answer, to the end of the connection.
    ///
    /// # Panics
    /// When there is no answer in time.
    #[must_use]
    pub fn reply(mut self) -> Reply {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => bytes.extend_from_slice(&buffer[..len]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    panic!("no answer in time, only {:?}", String::from_utf8_lossy(&bytes))
                }
                // Reset, with bytes of ours unread: what was said before has come.
                Err(_) => break,
            }
        }
        Reply::parse(&bytes)
    }
}

/// What a server answered.
#[derive(Debug)]
pub struct Reply {
    /// The status; 0 when the connection was closed without a word.
    pub status: u16,
    /// The header's lines.
    pub headers: String,
    /// The body.
    pub body: String,
}

impl Reply {
    /// Sends a request on a connection of its own, and hears the answer.
    #[must_use]
    pub fn to(address: &str, request: &Request) -> Self {
        Self::to_bytes(address, &request.to_bytes(), false)
    }

    /// Sends bytes on a connection of their own, and hears the answer. A server that waits for
    /// more of them `ends` up with none.
    #[must_use]
    pub fn to_bytes(address: &str, bytes: &[u8], ends: bool) -> Self {
        let mut wire = Wire::open(address);
        wire.send(bytes);
        if ends {
            wire.finish();
        }
        wire.reply()
    }

    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (headers, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, headers: headers.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// What is said, for people: a problem's detail and hint, or the whole body.
    #[must_use]
    pub fn words(&self) -> String {
        let Some(problem) = self.problem() else { return self.body.clone() };
        let word = |key: &str| problem[key].as_str().unwrap_or_default().to_owned();
        format!("{}\n{}", word("detail"), word("hint"))
    }

    fn problem(&self) -> Option<serde_json::Value> {
        let json = self.headers.contains("content-type: application/problem+json");
        json.then(|| serde_json::from_str(&self.body).unwrap_or_default())
    }

    /// The stable code of a refusal, in either form; empty when there is none.
    #[must_use]
    pub fn code(&self) -> String {
        if let Some(problem) = self.problem() {
            return problem["code"].as_str().unwrap_or_default().to_owned();
        }
        let first = self.body.split_once(": ").map(|(code, _)| code).unwrap_or_default();
        let snake = first.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if snake { first.to_owned() } else { String::new() }
    }
}
