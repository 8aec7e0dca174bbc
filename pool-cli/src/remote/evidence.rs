//! Evidence about many paths, as a pool streams it.

use anyhow::{Context, Result};
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use schema::api::EvidenceRequest;

use super::lines::{Bounds, Lines, PIECE_TIMEOUT};
use super::{ANSWER_TIMEOUT, Remote, answer, attempt};
use crate::exit::Failure;

/// The head may carry thousands of key events.
const BOUNDS: Bounds = Bounds { line: 32 << 20, answer: 256 << 20, time: ANSWER_TIMEOUT };

impl Remote<'_> {
    /// Asks what the ledger has about some paths.
    pub(crate) async fn evidence(&self, request: &EvidenceRequest) -> Result<Lines> {
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
        Ok(Lines::of(response, "evidence", self.server(), BOUNDS))
    }

    fn slow(&self) -> anyhow::Error {
        Failure::could_not_tell(format!("the pool at {} did not answer in time", self.server()))
            .into()
    }
}
