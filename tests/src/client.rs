//! Somebody who asks a pool over plain HTTP.

use std::net::IpAddr;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use schema::api::{AttestItem, AttestRequest, EnrolRequest, NarStored, Problem, Proof};
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::key::{PublicKey, SecretKey};
use schema::store_path::{BaseName, StorePath};
use serde_json::Value;

use crate::nar::{attestation, zstd};
use crate::server::Server;

/// A client of one server, perhaps with a token.
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    /// One without credentials, who speaks HTTP/1.1.
    ///
    /// # Panics
    /// When no client can be made.
    #[must_use]
    pub fn new(server: &Server) -> Self {
        Self::of(&server.url(""))
    }

    /// The same, of whatever is at this address.
    ///
    /// # Panics
    /// When no client can be made.
    #[must_use]
    pub fn of(url: &str) -> Self {
        Self::build(url, |builder| builder.http1_only())
    }

    /// One without credentials, who speaks HTTP/2 without being asked to.
    ///
    /// # Panics
    /// When no client can be made.
    #[must_use]
    pub fn http2(server: &Server) -> Self {
        Self::build(&server.url(""), |builder| builder.http2_prior_knowledge())
    }

    /// One without credentials, who connects from this address.
    ///
    /// # Panics
    /// When no client can be made.
    #[must_use]
    pub fn from_address(server: &Server, address: IpAddr) -> Self {
        Self::build(&server.url(""), |builder| builder.http1_only().local_address(address))
    }

    /// The same, with this token.
    #[must_use]
    pub fn holding(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// One with this token.
    ///
    /// # Panics
    /// When no client can be made.
    #[must_use]
    pub fn with_token(server: &Server, token: &str) -> Self {
        Self::new(server).holding(token)
    }

    /// One with the token of the first start.
    ///
    /// # Panics
    /// When no client can be made, or there is no such token.
    #[must_use]
    pub fn admin(server: &Server) -> Self {
        Self::with_token(server, &server.admin_token())
    }

    fn build(url: &str, speak: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Self {
        // Nothing here speaks TLS, but no client is made without this. A second time changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder =
            reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let http = speak(builder).build().expect("a client can be made");
        Self { http, base: url.to_owned(), token: None }
    }

    /// A request to be completed, then [sent](Answer::to). `path` starts with a slash.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::GET, path)).await
    }

    /// `HEAD`.
    pub async fn head(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::HEAD, path)).await
    }

    /// `PUT`.
    pub async fn put(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        Answer::to(self.request(Method::PUT, path).body(body)).await
    }

    /// Enrols a key by this client's word.
    ///
    /// # Panics
    /// When the pool does not take it.
    pub async fn enrol(&self, key: &PublicKey) {
        let answer = self.ask_to_enrol(key, None).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Asks for a key to be enrolled.
    pub async fn ask_to_enrol(&self, key: &PublicKey, proof: Option<Proof>) -> Answer {
        let request = EnrolRequest { public_key: key.clone(), proof };
        Answer::to(self.request(Method::POST, "/api/v1/signers").json(&request)).await
    }

    /// Uploads a NAR in this file.
    ///
    /// # Panics
    /// When the pool does not take it.
    pub async fn upload(&self, nar: &[u8], compression: Compression, file: Vec<u8>) -> NarStored {
        let path =
            format!("/api/v1/nars/{}?compression={compression}", NarHash::of(nar).to_nix32());
        let answer = self.put(&path, file).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_value(answer.json()).expect("what is stored")
    }

    /// Hands in attestations.
    pub async fn attest(&self, attestations: Vec<AttestItem>) -> Answer {
        let request = AttestRequest { attestations };
        Answer::to(self.request(Method::POST, "/api/v1/attestations").json(&request)).await
    }

    /// Uploads a NAR with zstd, and has `key` vouch for `path` having it.
    ///
    /// # Panics
    /// When the pool does not take either.
    pub async fn push(
        &self,
        key: &SecretKey,
        path: &StorePath,
        nar: &[u8],
        references: &[BaseName],
    ) {
        self.upload(nar, Compression::Zstd, zstd(nar)).await;
        self.vouch(key, path, nar, references).await;
    }

    /// Has `key` vouch for `path` having this NAR.
    ///
    /// # Panics
    /// When the pool does not take it.
    pub async fn vouch(
        &self,
        key: &SecretKey,
        path: &StorePath,
        nar: &[u8],
        references: &[BaseName],
    ) {
        let answer = self.attest(vec![attestation(key, path, nar, references)]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["logged"].as_array().map(Vec::len), Some(1));
    }

    /// The value of one line of `/metrics`.
    ///
    /// # Panics
    /// When there is no such line.
    pub async fn metric(&self, name_and_labels: &str) -> f64 {
        let value = self.metric_if_any(name_and_labels).await;
        value.unwrap_or_else(|| panic!("nothing is counted as {name_and_labels}"))
    }

    /// The value of one line of `/metrics`, once there is one: some begin with their first case.
    pub async fn metric_if_any(&self, name_and_labels: &str) -> Option<f64> {
        let text = self.get("/metrics").await.text();
        let mut values =
            text.lines().filter_map(|line| line.strip_prefix(name_and_labels)?.strip_prefix(' '));
        values.next()?.parse().ok()
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body, as sent.
    pub body: Bytes,
}

impl Answer {
    /// Sends a request and reads the whole answer.
    ///
    /// # Panics
    /// When there is none.
    pub async fn to(request: RequestBuilder) -> Self {
        Self::unless_gone(request)
            .await
            .unwrap_or_else(|error| panic!("no whole answer: {error:?}"))
    }

    /// Sends a request to a server that may end at any time.
    ///
    /// # Errors
    /// Why there is no answer, or only half of one.
    pub async fn unless_gone(request: RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, body: response.bytes().await? })
    }

    /// A header's value; empty when there is none.
    ///
    /// # Panics
    /// When it is not text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("headers are text"))
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).expect("the body is text")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// The body as a problem, which must say so and agree with the status.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn problem(&self) -> Problem {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem: Problem = serde_json::from_value(self.json()).expect("a problem");
        assert_eq!(problem.status, self.status);
        problem
    }

    /// The lines of a body of JSON lines.
    ///
    /// # Panics
    /// When one is not JSON.
    #[must_use]
    pub fn json_lines(&self) -> Vec<Value> {
        let text = self.text();
        text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }
}
