//! The HTTP client of a pool.

mod answer;
mod attempt;
mod divergence;
mod evidence;
mod ledger;
mod lines;
mod mirror;
mod retention;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::StreamExt;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use reqwest::{Certificate, Client, Method, RequestBuilder, StatusCode, Url, redirect};
use schema::api::{
    AttestRequest, AttestResponse, EnrolRequest, Info, MAX_ATTESTATIONS, MAX_MISSING,
    MissingRequest, MissingResponse, NarReport, NarStored, NarsStored, PathReport, Signer, Signers,
};
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::nar_batch;
use schema::store_path::HashPart;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::compress::{self, Compressor};
use crate::credentials::Access;
use crate::exit::Failure;
use crate::output::Output;

pub(crate) use self::attempt::{Patience, Trouble};
pub(crate) use self::lines::Lines;
pub(crate) use self::mirror::{Added, Brought};

/// For a connection to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// For a question of a few megabytes at most. The answer to an attestation waits for the disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// For a peer that takes no more bytes.
const STALLED: Duration = Duration::from_secs(120);

/// A pool at an address.
pub(crate) struct Remote<'a> {
    client: Client,
    server: Url,
    token: Option<HeaderValue>,
    patience: Patience,
    sent: Arc<AtomicU64>,
    output: &'a Output,
}

/// What came of attesting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attested {
    /// Entries that this brought to the ledger.
    pub(crate) new: usize,
    /// Entries that stood there before.
    pub(crate) known: usize,
}

impl<'a> Remote<'a> {
    /// Gets ready to talk; nothing is sent yet.
    pub(crate) fn new(access: &Access, patience: Patience, output: &'a Output) -> Result<Self> {
        let server = parse_server(&access.server)?;
        let token = access.token.as_deref().map(bearer).transpose()?;
        let client = client(&server, access, redirect::Policy::none())?;
        Ok(Self { client, server, token, patience, sent: Arc::default(), output })
    }

    /// The pool's address.
    pub(crate) fn server(&self) -> &str {
        self.server.as_str().trim_end_matches('/')
    }

    /// Bytes in request bodies so far, whatever came of them.
    pub(crate) fn bytes_sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// What pool this is.
    pub(crate) async fn info(&self) -> Result<Info> {
        self.ask("/api/v1/info").await
    }

    /// Whether it is ready to serve.
    pub(crate) async fn ready(&self) -> Result<bool> {
        let response = self
            .request(Method::GET, "/readyz")
            .timeout(ANSWER_TIMEOUT)
            .send()
            .await
            .map_err(|error| attempt::unreachable(self.server(), error).into_error())?;
        Ok(response.status().is_success())
    }

    /// Those of `hashes` that the pool does not have.
    pub(crate) async fn missing(&self, hashes: &[NarHash]) -> Result<Vec<NarHash>> {
        let mut missing = Vec::new();
        for chunk in hashes.chunks(MAX_MISSING) {
            let request = MissingRequest { nar_hashes: chunk.to_vec() };
            let answer: MissingResponse = self.tell("/api/v1/nars/missing", &request).await?;
            missing.extend(answer.missing);
        }
        Ok(missing)
    }

    /// Sends a whole packed NAR.
    pub(crate) async fn put_nar(
        &self,
        hash: NarHash,
        compression: Compression,
        file: Bytes,
    ) -> Result<NarStored> {
        self.patiently(async || {
            self.count(file.len());
            let request = self.nar_request(hash, compression).body(file.clone());
            self.send(request.timeout(ANSWER_TIMEOUT)).await
        })
        .await
    }

    /// Sends a packed NAR as it comes about. One attempt: the pieces are gone afterwards.
    pub(crate) async fn stream_nar<E>(
        &self,
        hash: NarHash,
        compression: Compression,
        pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> Result<NarStored, Trouble>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let sent = Arc::clone(&self.sent);
        let counted = pieces.inspect(move |piece| {
            let len = piece.as_ref().map_or(0, Bytes::len);
            sent.fetch_add(len as u64, Ordering::Relaxed);
        });
        let body = reqwest::Body::wrap_stream(counted);
        self.send(self.nar_request(hash, compression).body(body)).await
    }

    /// Sends many small NARs at once.
    pub(crate) async fn put_batch(&self, batch: Bytes) -> Result<NarsStored> {
        self.patiently(async || {
            self.count(batch.len());
            let request = self
                .request(Method::POST, "/api/v1/nars")
                .header(CONTENT_TYPE, nar_batch::MEDIA_TYPE)
                .body(batch.clone());
            self.send(request.timeout(ANSWER_TIMEOUT)).await
        })
        .await
    }

    /// Vouches for everything in `request`, in one request where that is allowed.
    pub(crate) async fn attest(&self, request: AttestRequest) -> Result<Attested> {
        let mut attested = Attested::default();
        let mut rest = request.attestations;
        while !rest.is_empty() {
            let later = rest.split_off(rest.len().min(MAX_ATTESTATIONS));
            let chunk = AttestRequest { attestations: rest };
            let answer: AttestResponse =
                self.tell_packed("/api/v1/attestations?receipts=false", &chunk).await?;
            let new = answer.logged.iter().filter(|logged| logged.new).count();
            attested.new += new;
            attested.known += answer.logged.len() - new;
            rest = later;
        }
        Ok(attested)
    }

    /// Everybody whose signatures the pool keeps.
    pub(crate) async fn signers(&self) -> Result<Vec<Signer>> {
        let answer: Signers = self.ask("/api/v1/signers").await?;
        Ok(answer.signers)
    }

    /// Makes a key known.
    pub(crate) async fn enrol(&self, request: &EnrolRequest) -> Result<Signer> {
        self.tell("/api/v1/signers", request).await
    }

    /// What is known of a store path; nothing if it was never seen.
    pub(crate) async fn path_report(&self, path: HashPart) -> Result<Option<PathReport>> {
        self.ask_if_known(&format!("/api/v1/paths/{path}")).await
    }

    /// What is known of a NAR; nothing if it was never seen.
    pub(crate) async fn nar_report(&self, hash: NarHash) -> Result<Option<NarReport>> {
        self.ask_if_known(&format!("/api/v1/nars/{}", hash.to_nix32())).await
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.patiently(async || {
            self.send(self.request(Method::GET, path).timeout(ANSWER_TIMEOUT)).await
        })
        .await
    }

    async fn ask_if_known<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        self.patiently(async || {
            let request = self.request(Method::GET, path).timeout(ANSWER_TIMEOUT);
            let response = request.send().await;
            let response = response.map_err(|error| attempt::unreachable(self.server(), error))?;
            if response.status() == StatusCode::NOT_FOUND {
                return answer::not_found(response).await.map(|()| None);
            }
            answer::read(response).await.map(Some)
        })
        .await
    }

    async fn tell<T: DeserializeOwned>(&self, path: &str, value: &impl Serialize) -> Result<T> {
        let body = Bytes::from(serde_json::to_vec(value).context("writing JSON")?);
        self.post(self.json(path), body).await
    }

    /// The same where there is much to tell.
    async fn tell_packed<T: DeserializeOwned>(
        &self,
        path: &str,
        value: &impl Serialize,
    ) -> Result<T> {
        let body = serde_json::to_vec(value).context("writing JSON")?;
        let body = Compressor::new(compress::Method::Zstd(3))?.pack(&body)?;
        self.post(self.json(path).header(CONTENT_ENCODING, "zstd"), body).await
    }

    async fn post<T: DeserializeOwned>(&self, request: RequestBuilder, body: Bytes) -> Result<T> {
        let request = request.timeout(ANSWER_TIMEOUT).body(body.clone());
        self.patiently(async || {
            self.count(body.len());
            let again = request.try_clone().context("a body in memory can be sent again")?;
            self.send(again).await
        })
        .await
    }

    fn json(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path).header(CONTENT_TYPE, "application/json")
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Trouble> {
        let response = request.send().await;
        let response = response.map_err(|error| attempt::unreachable(self.server(), error))?;
        answer::read(response).await
    }

    fn nar_request(&self, hash: NarHash, compression: Compression) -> RequestBuilder {
        let path = format!("/api/v1/nars/{}?compression={compression}", hash.to_nix32());
        self.request(Method::PUT, &path).header(CONTENT_TYPE, "application/x-nix-nar")
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.server()));
        let request = request.header(ACCEPT, "application/json, application/problem+json");
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        }
    }

    fn count(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Reads the address of a pool or cache.
pub(crate) fn parse_server(text: &str) -> Result<Url> {
    let wrong = || {
        Failure::could_not_tell(format!("{text:?} is not the address of a pool"))
            .hint("an address looks like http://127.0.0.1:8484 or https://pool.example.org")
    };
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    Ok(url.filter(|url| url.query().is_none() && url.fragment().is_none()).ok_or_else(wrong)?)
}

/// The header by which a token is shown.
pub(crate) fn bearer(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Failure::could_not_tell("the token holds characters that no token has"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A client for the server at this address, which goes where it is sent as far as `redirects` says.
pub(crate) fn client(server: &Url, access: &Access, redirects: redirect::Policy) -> Result<Client> {
    // Fails only if it was done before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("pool/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(STALLED / 2)
        .redirect(redirects);
    #[cfg(target_os = "linux")]
    {
        builder = builder.tcp_user_timeout(STALLED);
    }
    if server.scheme() == "http" {
        // So that a machine without any certificates can still talk in the clear.
        builder = builder.tls_certs_only(std::iter::empty());
    } else if let Some(file) = &access.ca_file {
        let about = || format!("reading the certificates {}", file.display());
        let pem = std::fs::read(file).with_context(about)?;
        let certificates = Certificate::from_pem_bundle(&pem).with_context(about)?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().context("setting up the HTTP client")
}

#[cfg(test)]
mod tests;
