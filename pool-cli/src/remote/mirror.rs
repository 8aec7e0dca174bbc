//! Mirroring: what a pool holds, and what a mirror is brought.

use std::collections::HashSet;

use anyhow::{Context, Result};
use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, Response, StatusCode};
use schema::api::{
    ClaimTexts, ClaimsKept, ElsewhereAnswer, ElsewhereRequest, FindRequest, FindResponse, Ledgers,
    LogEdge, MAX_NARS, MirrorAnnouncement, MirrorAnswer, MirrorReport, MirrorRequest, NarElsewhere,
    NarFound, WantedNars,
};
use schema::hash::NarHash;
use schema::nar_batch::MAX_BATCH_LEN;
use schema::tlog::mirror::MirrorInfo;
use schema::tlog::witness::parse_tree_size;

use super::{ANSWER_TIMEOUT, Remote, Trouble, answer, attempt};
use crate::exit::Failure;

/// As much of an answer of the protocol as is read, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// What a mirror says to a checkpoint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// Entries may be added up to it.
    Taken,
    /// It knows the log at this size, which is another than it was told.
    Conflict(u64),
    /// The log has not only grown: in the mirror's words.
    Refused(String),
}

/// What a mirror says to entries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Brought {
    /// It is whole up to the checkpoint.
    Whole,
    /// More are to come, or others.
    Next(MirrorInfo),
    /// Something about them is wrong: in the mirror's words.
    Refused(String),
}

impl Remote<'_> {
    /// The ledgers that the pool holds, each log at an address of that pool's.
    pub(crate) async fn ledgers(&self) -> Result<Ledgers> {
        let held: Ledgers = self.ask("/api/v1/ledgers").await?;
        let mut logs = held.ledgers.iter().flat_map(|ledger| &ledger.logs);
        // What comes right behind the name of a server could make it the name of another.
        if let Some(log) = logs.find(|log| !log.address.starts_with('/')) {
            let (server, address) = (self.server(), &log.address);
            let message = format!("{server} serves no log under {address:?}");
            return Err(Failure::could_not_tell(message).into());
        }
        Ok(held)
    }

    /// Has the pool begin to mirror a ledger. Answers with whether that is new.
    pub(crate) async fn mirror_ledger(&self, request: &MirrorRequest) -> Result<bool> {
        let answer: MirrorAnswer = self.tell("/api/v1/ledgers", request).await?;
        Ok(answer.new)
    }

    /// A file of a log that is served under `address`.
    pub(crate) async fn file_at(&self, address: &str, path: &str) -> Result<Bytes> {
        self.file(&format!("{address}/{path}"), super::ledger::MAX_FILE).await
    }

    /// The edge of what the mirror has of the log that it serves under `address`.
    pub(crate) async fn log_edge(&self, address: &str) -> Result<LogEdge> {
        let origin = address.trim_start_matches("/mirror/");
        self.ask(&format!("/api/v1/ledgers/edges/{origin}")).await
    }

    /// Brings a checkpoint that `source` showed, or the proof of a fork.
    pub(crate) async fn add_checkpoint(
        &self,
        what: &'static str,
        body: String,
        source: &str,
    ) -> Result<Added> {
        let body = Bytes::from(body);
        self.patiently(async || {
            let path = format!("/mirror/{what}?from={source}");
            let request = self.request(Method::POST, &path).body(body.clone());
            let response = self.reached(request.timeout(ANSWER_TIMEOUT)).await?;
            match response.status() {
                StatusCode::CONFLICT => {
                    let said = answer::body(response, MAX_ANSWER).await?;
                    let size = parse_tree_size(&said).map_err(|_| self.nonsense())?;
                    Ok(Added::Conflict(size))
                }
                StatusCode::UNPROCESSABLE_ENTITY => Ok(Added::Refused(words(response).await?)),
                _ => answer::accepted(response).await.map(|_| Added::Taken),
            }
        })
        .await
    }

    /// Brings entries: a body of the protocol's.
    pub(crate) async fn add_entries(&self, body: Bytes) -> Result<Brought> {
        self.patiently(async || {
            self.count(body.len());
            let request = self
                .request(Method::POST, "/mirror/add-entries")
                .header(CONTENT_TYPE, "application/octet-stream")
                .body(body.clone());
            let response = self.reached(request.timeout(ANSWER_TIMEOUT)).await?;
            match response.status() {
                StatusCode::ACCEPTED | StatusCode::CONFLICT => {
                    let said = answer::body(response, MAX_ANSWER).await?;
                    let info = MirrorInfo::parse(&said).map_err(|_| self.nonsense())?;
                    Ok(Brought::Next(info))
                }
                StatusCode::UNPROCESSABLE_ENTITY => Ok(Brought::Refused(words(response).await?)),
                _ => answer::accepted(response).await.map(|_| Brought::Whole),
            }
        })
        .await
    }

    /// Brings claims. Answers with how many the pool did not have.
    pub(crate) async fn bring_claims(&self, texts: Vec<String>) -> Result<usize> {
        let request = ClaimTexts { texts };
        let answer: ClaimsKept = self.tell_packed("/api/v1/claims/texts", &request).await?;
        Ok(answer.new)
    }

    /// Those of `hashes` that the pool has, and their files.
    pub(crate) async fn find_nars(&self, hashes: &[NarHash]) -> Result<Vec<NarFound>> {
        let mut found = Vec::new();
        for chunk in hashes.chunks(MAX_NARS) {
            let request = FindRequest { nar_hashes: chunk.to_vec() };
            let answer: FindResponse = self.tell("/api/v1/nars/find", &request).await?;
            let mut asked: HashSet<NarHash> = chunk.iter().copied().collect();
            // Each once, and nothing that nobody asked for.
            found.extend(answer.nars.into_iter().filter(|it| asked.remove(&it.nar_hash)));
        }
        Ok(found)
    }

    /// Tells the pool where NARs are. Answers with how many of them it lacks.
    pub(crate) async fn tell_elsewhere(&self, nars: Vec<NarElsewhere>) -> Result<usize> {
        let mut absent = 0;
        let mut rest = nars;
        while !rest.is_empty() {
            let later = rest.split_off(rest.len().min(MAX_NARS));
            let request = ElsewhereRequest { nars: rest };
            let answer: ElsewhereAnswer =
                self.tell_packed("/api/v1/nars/elsewhere", &request).await?;
            absent += answer.absent;
            rest = later;
        }
        Ok(absent)
    }

    /// A page of the NARs that are to come to the pool.
    pub(crate) async fn wanted(&self, after: Option<&NarHash>) -> Result<WantedNars> {
        let after = after.map_or_else(String::new, |after| format!("?after={after}"));
        self.ask(&format!("/api/v1/nars/wanted{after}")).await
    }

    /// Small NARs in one body, at least the first of those that it has.
    pub(crate) async fn fetch_nars(&self, hashes: &[NarHash]) -> Result<Bytes> {
        let request = FindRequest { nar_hashes: hashes.to_vec() };
        let body = Bytes::from(serde_json::to_vec(&request).context("writing JSON")?);
        self.patiently(async || {
            let request = self.json("/api/v1/nars/fetch").body(body.clone());
            let response = self.reached(request.timeout(ANSWER_TIMEOUT)).await?;
            answer::file(response, MAX_BATCH_LEN).await
        })
        .await
    }

    /// Word of new checkpoints of the log under `address`, as it comes: server-sent events.
    pub(crate) async fn events(&self, address: &str) -> Result<Response, Trouble> {
        let request = self.request(Method::GET, &format!("{address}/events"));
        let request = request.header(ACCEPT, "text/event-stream");
        answer::accepted(self.reached(request).await?).await
    }

    /// NARs that clients of the mirror wait for, as they begin to: server-sent events.
    pub(crate) async fn wishes(&self) -> Result<Response, Trouble> {
        let request = self.request(Method::GET, "/api/v1/nars/wishes");
        let request = request.header(ACCEPT, "text/event-stream");
        answer::accepted(self.reached(request).await?).await
    }

    /// Tells a pool how far its log is mirrored, by a checkpoint that the mirror has cosigned.
    pub(crate) async fn announce(&self, checkpoint: String) -> Result<()> {
        let request = MirrorAnnouncement { checkpoint };
        let _: MirrorReport = self.tell("/api/v1/mirrors", &request).await?;
        Ok(())
    }

    async fn reached(&self, request: reqwest::RequestBuilder) -> Result<Response, Trouble> {
        let response = request.send().await;
        response.map_err(|error| attempt::unreachable(self.server(), error))
    }

    fn nonsense(&self) -> Trouble {
        let message = format!("{} does not answer as a mirror does", self.server());
        Trouble::Lasting(Failure::could_not_tell(message).into())
    }
}

/// Why something was refused, for people. Our own routes say so in JSON, the protocol's in a line.
async fn words(response: Response) -> Result<String, Trouble> {
    let body = answer::body(response, MAX_ANSWER).await?;
    let said = serde_json::from_slice::<schema::api::Problem>(&body).map(|said| said.detail);
    Ok(said.unwrap_or_else(|_| String::from_utf8_lossy(&body).trim().to_owned()))
}
