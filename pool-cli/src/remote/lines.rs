//! Answers that a pool streams line by line.

use std::time::Duration;

use anyhow::Result;
use bytes::{Buf, BytesMut};
use reqwest::Response;
use tokio::time::Instant;

use super::attempt;
use crate::exit::Failure;

/// For the next piece of an answer.
pub(super) const PIECE_TIMEOUT: Duration = Duration::from_secs(60);

/// What is read of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The longest line, in bytes.
    pub(super) line: usize,
    /// The longest answer, in bytes.
    pub(super) answer: u64,
    /// For the whole answer.
    pub(super) time: Duration,
}

/// An answer, line by line.
pub(crate) struct Lines {
    what: &'static str,
    server: String,
    response: Response,
    waiting: BytesMut,
    read: u64,
    bounds: Bounds,
    deadline: Instant,
}

impl Lines {
    /// `what` is the answer's name for people.
    pub(super) fn of(response: Response, what: &'static str, server: &str, bounds: Bounds) -> Self {
        Self {
            what,
            server: server.to_owned(),
            response,
            waiting: BytesMut::new(),
            read: 0,
            bounds,
            deadline: Instant::now() + bounds.time,
        }
    }

    /// The next line, whatever stands in it; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<BytesMut>> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.waiting[searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.waiting.split_to(searched + at);
                self.waiting.advance(1);
                return Ok(Some(line));
            }
            searched = self.waiting.len();
            let deadline = self.deadline.min(Instant::now() + PIECE_TIMEOUT);
            let piece = tokio::time::timeout_at(deadline, self.response.chunk()).await;
            let piece = piece.map_err(|_| self.broken("it stalls"))?;
            let piece =
                piece.map_err(|error| attempt::unreachable(&self.server, error).into_error())?;
            let Some(piece) = piece else {
                return if searched == 0 { Ok(None) } else { Err(self.broken("it is cut off")) };
            };
            self.read += piece.len() as u64;
            if searched + piece.len() > self.bounds.line || self.read > self.bounds.answer {
                return Err(self.broken("it is too long"));
            }
            self.waiting.extend_from_slice(&piece);
        }
    }

    /// What this pool sends is of no use.
    pub(super) fn broken(&self, why: &str) -> anyhow::Error {
        let Self { what, server, .. } = self;
        let message = format!("the {what} that {server} sends does not read: {why}");
        Failure::could_not_tell(message).into()
    }
}
