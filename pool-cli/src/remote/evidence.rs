//! Evidence about many paths, as a pool streams it.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::{Buf, Bytes, BytesMut};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response};
use schema::api::EvidenceRequest;
use tokio::time::Instant;

use super::{ANSWER_TIMEOUT, Remote, answer, attempt};
use crate::exit::Failure;

/// The longest line, in bytes: the head may carry thousands of key events.
const MAX_LINE: usize = 32 << 20;
/// The longest answer, in bytes.
const MAX_ANSWER: usize = 256 << 20;
/// For the next piece of an answer.
const PIECE_TIMEOUT: Duration = Duration::from_secs(60);

/// An answer, line by line.
pub(crate) struct EvidenceLines {
    server: String,
    response: Response,
    waiting: BytesMut,
    read: usize,
    deadline: Instant,
}

impl Remote<'_> {
    /// Asks what the ledger has about some paths.
    pub(crate) async fn evidence(&self, request: &EvidenceRequest) -> Result<EvidenceLines> {
        let body = Bytes::from(serde_json::to_vec(request).context("writing JSON")?);
        let response = self
            .patiently(async || {
                let request = self
                    .request(Method::POST, "/api/v1/evidence")
                    .header(CONTENT_TYPE, "application/json")
                    .body(body.clone());
                let asked = tokio::time::timeout(PIECE_TIMEOUT, request.send()).await;
                let answered = asked.map_err(|_| self.slow())?;
                let response =
                    answered.map_err(|error| attempt::unreachable(self.server(), error))?;
                answer::accepted(response).await
            })
            .await?;
        let server = self.server().to_owned();
        Ok(EvidenceLines {
            server,
            response,
            waiting: BytesMut::new(),
            read: 0,
            deadline: Instant::now() + ANSWER_TIMEOUT,
        })
    }

    fn slow(&self) -> anyhow::Error {
        Failure::could_not_tell(format!("the pool at {} did not answer in time", self.server()))
            .into()
    }
}

impl EvidenceLines {
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
            self.read += piece.len();
            if searched + piece.len() > MAX_LINE || self.read > MAX_ANSWER {
                return Err(self.broken("it is too long"));
            }
            self.waiting.extend_from_slice(&piece);
        }
    }

    fn broken(&self, why: &str) -> anyhow::Error {
        let message = format!("the evidence that {} sends does not read: {why}", self.server);
        Failure::could_not_tell(message).into()
    }
}
