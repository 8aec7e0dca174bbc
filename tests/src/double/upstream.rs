//! A pool in memory that others mirror. It shows whatever it is told to, under one address.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use schema::api::{
    ClaimAnswer, ClaimsRequest, ClaimsResponse, FindRequest, FindResponse, LedgerReport, Ledgers,
    LogReport, NarFound,
};
use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};
use schema::key::PublicKey;
use schema::nar_batch::Record;
use schema::tlog::merkle::EMPTY_ROOT;

use super::Ledger;
use super::serving::Serving;
use crate::log_copy::{LogCopy, made};
use crate::nar::zstd;

/// The longest question, in bytes.
const MAX_BODY: usize = 1 << 20;

/// A pool that can be mirrored.
pub struct Upstream {
    shown: Arc<Mutex<Pool>>,
    serving: Serving,
}

/// What it shows.
#[derive(Clone)]
pub struct Shown {
    /// What the origins of its logs begin with.
    pub origin: String,
    /// The key that it says is its own.
    pub public_key: PublicKey,
    /// From which the key comes that signs its logs.
    pub seed: u8,
    /// The entries of each of its logs.
    pub logs: BTreeMap<&'static str, Vec<Vec<u8>>>,
    /// What it answers about claims.
    pub claims: Vec<ClaimAnswer>,
    /// The NARs that it says it has.
    pub nars: Vec<(NarFound, Given)>,
    /// Files of its logs that are not what the entries make them, such as
    /// `attestations/tile/entries/000.p/3`.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Whether it tells of NARs that it was not asked about, and of each twice.
    pub offers_all: bool,
    /// In front of the names of its logs in their addresses.
    pub prefix: String,
}

/// What comes of a NAR's file.
#[derive(Debug, Clone)]
pub enum Given {
    /// These bytes.
    File(Vec<u8>),
    /// Nothing: it is not there.
    Nothing,
    /// The first bytes, and then nothing any more.
    Stalls(Vec<u8>),
}

impl Shown {
    /// A ledger of the pool whose key comes from `seed`, as it is, and these NARs.
    #[must_use]
    pub fn of(ledger: &Ledger, seed: u8, nars: &[Vec<u8>]) -> Self {
        let origin = ledger.logs().origin().to_owned();
        let attestations = ledger.entries().map(|entry| entry.to_bytes().to_vec());
        let index = ledger.leaves().iter().map(|leaf| leaf.to_bytes().to_vec());
        let logs = BTreeMap::from([
            ("keys", ledger.key_entries().to_vec()),
            ("attestations", attestations.collect()),
            ("index", index.collect()),
        ]);
        let answer = |claim: &schema::claim::Claim| ClaimAnswer {
            claim: claim.id(),
            text: Some(claim.signed_bytes().into_owned()),
            collected: false,
        };
        Self {
            origin,
            public_key: ledger.pool().public(),
            seed,
            logs,
            claims: ledger.claims().map(answer).collect(),
            nars: nars.iter().map(|nar| given(nar)).collect(),
            files: BTreeMap::new(),
            offers_all: false,
            prefix: "/ledger/".to_owned(),
        }
    }

    /// The log of this name with all its files.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn log(&self, log: &str) -> LogCopy {
        made(&format!("{}/{log}", self.origin), self.seed, &self.logs[log]).0
    }
}

fn given(nar: &[u8]) -> (NarFound, Given) {
    let file = zstd(nar);
    let found = NarFound {
        nar_hash: NarHash::of(nar),
        compression: Compression::Zstd,
        file_hash: FileHash::of(&file),
        file_size: file.len() as u64,
    };
    (found, Given::File(file))
}

/// What is shown, and the files that it makes.
struct Pool {
    shown: Shown,
    logs: BTreeMap<&'static str, LogCopy>,
}

impl Pool {
    fn of(shown: Shown) -> Self {
        let logs = shown.logs.iter().filter(|(_, entries)| !entries.is_empty());
        let logs = logs.map(|(log, _)| (*log, shown.log(log))).collect();
        Self { shown, logs }
    }
}

impl Upstream {
    /// One that shows this.
    ///
    /// # Panics
    /// When there is no port, or no thread.
    #[must_use]
    pub fn of(shown: Shown) -> Self {
        let shown = Arc::new(Mutex::new(Pool::of(shown)));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shown));
        Self { shown, serving: Serving::start(router) }
    }

    /// Shows this from now on.
    pub fn shows(&self, shown: Shown) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Pool::of(shown);
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        self.serving.url()
    }
}

async fn answer(State(state): State<Arc<Mutex<Pool>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await.unwrap_or_default();
    let state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let shown = &state.shown;
    let path = parts.uri.path();
    let answered = match path {
        "/api/v1/ledgers" => Some(json(&ledgers(&state))),
        "/api/v1/claims" => asked(&body, |request: ClaimsRequest| json(&claims(shown, &request))),
        "/api/v1/nars/find" => asked(&body, |request: FindRequest| json(&found(shown, &request))),
        "/api/v1/nars/fetch" => asked(&body, |request: FindRequest| batch(shown, &request)),
        _ => path.strip_prefix("/nar/").map_or_else(
            || log_file(&state, path),
            |name| name.split('.').next().and_then(|hash| nar(shown, hash)),
        ),
    };
    answered.unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

fn asked<T: serde::de::DeserializeOwned>(
    body: &Bytes,
    tell: impl FnOnce(T) -> Response,
) -> Option<Response> {
    serde_json::from_slice(body).ok().map(tell)
}

fn json(value: &impl serde::Serialize) -> Response {
    axum::Json(value).into_response()
}

fn ledgers(state: &Pool) -> Ledgers {
    let log = |(log, copy): (&&str, &LogCopy)| LogReport {
        log: (*log).to_owned(),
        key: String::new(),
        address: format!("{}{log}", state.shown.prefix),
        size: Some(copy.size()),
        next: copy.size(),
        pending: copy.size(),
        pending_root: EMPTY_ROOT,
        heard_at: 0,
        sources: Vec::new(),
        fork: None,
    };
    let ledger = LedgerReport {
        origin: state.shown.origin.clone(),
        public_key: state.shown.public_key.clone(),
        own: true,
        logs: state.logs.iter().map(log).collect(),
    };
    Ledgers { ledgers: vec![ledger], wanted: false }
}

fn claims(shown: &Shown, request: &ClaimsRequest) -> ClaimsResponse {
    let of = |claim| {
        let known = shown.claims.iter().find(|known| known.claim == claim).cloned();
        known.unwrap_or(ClaimAnswer { claim, text: None, collected: false })
    };
    ClaimsResponse { claims: request.claims.iter().copied().map(of).collect() }
}

fn found(shown: &Shown, request: &FindRequest) -> FindResponse {
    if shown.offers_all {
        let twice = shown.nars.iter().chain(&shown.nars);
        return FindResponse { nars: twice.map(|(found, _)| found.clone()).collect() };
    }
    let of = |hash: &NarHash| shown.nars.iter().find(|(found, _)| found.nar_hash == *hash);
    let found = request.nar_hashes.iter().filter_map(of).map(|(found, _)| found.clone());
    FindResponse { nars: found.collect() }
}

fn batch(shown: &Shown, request: &FindRequest) -> Response {
    let mut body = Vec::new();
    for (found, given) in &shown.nars {
        let (Given::File(file) | Given::Stalls(file)) = given else { continue };
        if request.nar_hashes.contains(&found.nar_hash) {
            let (nar_hash, compression) = (found.nar_hash, found.compression);
            Record { nar_hash, compression, file }.encode_to(&mut body).expect("they are small");
        }
    }
    body.into_response()
}

fn nar(shown: &Shown, hash: &str) -> Option<Response> {
    let mut nars = shown.nars.iter();
    let (found, given) = nars.find(|(found, _)| found.nar_hash.to_nix32() == hash)?;
    let response = match given.clone() {
        Given::File(file) => file.into_response(),
        Given::Nothing => return None,
        Given::Stalls(file) => {
            let first = stream::iter([Ok::<_, std::io::Error>(file)]);
            let body = Body::from_stream(first.chain(stream::pending()));
            ([(CONTENT_LENGTH, found.file_size)], body).into_response()
        }
    };
    Some(response)
}

fn log_file(state: &Pool, path: &str) -> Option<Response> {
    let path = path.strip_prefix("/ledger/")?;
    if let Some(file) = state.shown.files.get(path) {
        return Some(file.clone().into_response());
    }
    let (log, path) = path.split_once('/')?;
    Some(state.logs.get(log)?.object(path)?.to_vec().into_response())
}
