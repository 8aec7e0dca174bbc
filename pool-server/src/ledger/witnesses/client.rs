//! One witness, and how it is asked.
//!
//! Source: c2sp.org/tlog-witness, "add-checkpoint".

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode, Url, redirect};
use schema::tlog::checkpoint::SignedCheckpoint;
use schema::tlog::note::{NoteSignature, VerifierKey};
use schema::tlog::policy::Policy;
use schema::tlog::witness::{AddCheckpoint, parse_cosignatures, parse_tree_size};

use crate::ledger::shown::{Published, Shown};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// A witness at an address.
pub(super) struct Client {
    key: VerifierKey,
    address: Url,
    http: reqwest::Client,
}

impl Client {
    /// The witnesses that a policy names.
    pub(super) fn all(policy: &Policy, timeout: Duration) -> Result<Vec<Self>, String> {
        // Fails only if it was done before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("pool-server/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            // A small witness serves one connection at a time, and must not be kept by an idle one.
            .pool_max_idle_per_host(0)
            .timeout(timeout)
            .build()
            .map_err(|error| format!("no HTTP client: {error}"))?;
        let client = |(key, url): (&VerifierKey, Option<&[u8]>)| {
            let url = url.and_then(|url| std::str::from_utf8(url).ok());
            let url = url.ok_or_else(|| format!("the witness {} has no address", key.name()))?;
            let address = format!("{}/add-checkpoint", url.trim_end_matches('/'));
            let address = address.parse().map_err(|error| format!("{url}: {error}"))?;
            Ok(Self { key: key.clone(), address, http: http.clone() })
        };
        policy.witnesses().iter().map(|it| (it.key(), it.url())).map(client).collect()
    }

    /// The key with which it cosigns.
    pub(super) fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The name of that key.
    pub(super) fn name(&self) -> &str {
        self.key.name().as_str()
    }

    /// Whether it has cosigned this checkpoint.
    pub(super) fn has_cosigned(&self, checkpoint: &SignedCheckpoint) -> bool {
        checkpoint.cosignatures([&self.key]).is_ok_and(|found| !found.is_empty())
    }

    /// Asks for a cosignature. `known` is the size that it cosigned last, as far as we know; it
    /// knows better, and then is asked once more.
    pub(super) async fn ask(
        &self,
        log: &Shown,
        signed: &Published,
        known: u64,
    ) -> Result<NoteSignature, String> {
        let answer = match self.send(log, signed, known.min(signed.size())).await? {
            Answer::Lines(lines) => lines,
            Answer::At(size) => match self.send(log, signed, check_size(size, signed)?).await? {
                Answer::Lines(lines) => lines,
                Answer::At(other) => {
                    return Err(format!("it says it is at {size}, and then at {other}"));
                }
            },
        };
        let line = answer.into_iter().find(|line| self.key.is_named_by(line));
        line.ok_or_else(|| "its answer has no signature by its key".to_owned())
    }

    pub(super) async fn send(
        &self,
        log: &Shown,
        signed: &Published,
        old: u64,
    ) -> Result<Answer, String> {
        let proof = log.consistency(old, signed).map_err(|error| error.to_string())?;
        let request = AddCheckpoint::new(old, proof, signed.checkpoint.clone())
            .map_err(|error| error.to_string())?;
        let sent = self
            .http
            .post(self.address.clone())
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(request.to_string())
            .send();
        let response = sent.await.map_err(|error| with_cause(&error))?;
        let status = response.status();
        let body = read(response).await?;
        match status {
            StatusCode::OK => {
                parse_cosignatures(&body).map(Answer::Lines).map_err(|error| error.to_string())
            }
            StatusCode::CONFLICT => {
                parse_tree_size(&body).map(Answer::At).map_err(|error| error.to_string())
            }
            _ => {
                Err(format!("{status}: {}", String::from_utf8_lossy(&body[..body.len().min(200)])))
            }
        }
    }
}

pub(super) enum Answer {
    Lines(Vec<NoteSignature>),
    /// It is at this size.
    At(u64),
}

/// A witness that is ahead of us has seen what we no longer have.
fn check_size(size: u64, signed: &Published) -> Result<u64, String> {
    if size <= signed.size() {
        return Ok(size);
    }
    tracing::error!(
        cosigned = size,
        here = signed.size(),
        "a witness has cosigned more of this log than is here: was an old copy put back?"
    );
    Err(format!("it has seen {size} entries, and there are {} here", signed.size()))
}

async fn read(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| with_cause(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(format!("its answer has more than {MAX_ANSWER} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// reqwest says what failed, and leaves why to the sources.
fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
