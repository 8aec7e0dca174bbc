//! Somebody who stands in front of a real pool, passes everything on, and tells one lie.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use schema::api::{EvidenceLine, EvidenceRequest};

use super::serving::Serving;
use crate::server::Server;

/// The longest body that is passed on.
const MAX_BODY: usize = 256 << 20;

type Changed = Box<dyn Fn(Vec<EvidenceLine>) -> Vec<EvidenceLine> + Send + Sync>;
type MadeUp = Box<dyn Fn(&EvidenceRequest) -> Vec<EvidenceLine> + Send + Sync>;

/// What is not passed on as it is.
pub enum Lie {
    /// Everything is.
    None,
    /// Evidence is changed.
    Changes(Changed),
    /// Evidence is made up.
    MakesUp(MadeUp),
    /// Each answer's bytes of evidence are changed.
    Garbles(Box<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>),
    /// Another pool, at this address, answers for it.
    IsAnother(String),
    /// These bytes come in the place of every NAR's file.
    Swaps(Bytes),
    /// So many bytes come of every NAR's file, as if that were all.
    Shortens(usize),
    /// So many bytes come of every NAR's file, and then nothing any more.
    Stalls(usize),
}

/// A pool that lies when it is told to.
pub struct Double {
    shared: Arc<Shared>,
    serving: Serving,
}

struct Shared {
    truth: String,
    http: reqwest::Client,
    lie: Mutex<Arc<Lie>>,
    nars: Mutex<u64>,
}

impl Double {
    /// One that passes everything on to `server`.
    ///
    /// # Panics
    /// When there is no port, or no thread.
    #[must_use]
    pub fn before(server: &Server) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().http1_only().build();
        let shared = Arc::new(Shared {
            truth: server.url(""),
            http: http.expect("a client can be made"),
            lie: Mutex::new(Arc::new(Lie::None)),
            nars: Mutex::new(0),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        Self { shared, serving: Serving::start(router) }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        self.serving.url()
    }

    /// Tells this lie from now on.
    pub fn tells(&self, lie: Lie) {
        *self.shared.lie.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(lie);
    }

    /// Tells the truth from now on.
    pub fn is_honest(&self) {
        self.tells(Lie::None);
    }

    /// How many NARs it was asked for.
    #[must_use]
    pub fn nars(&self) -> u64 {
        *self.shared.nars.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let lie = Arc::clone(&shared.lie.lock().unwrap_or_else(PoisonError::into_inner));
    let told = match request.uri().path() {
        "/api/v1/evidence" => evidence(&shared, &lie, request).await,
        path if path.contains("/nar/") => {
            *shared.nars.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            nar(&shared, &lie, request).await
        }
        _ => passed(&shared, &lie, request).await.map(IntoResponse::into_response),
    };
    told.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
}

async fn evidence(shared: &Shared, lie: &Lie, request: Request) -> Result<Response, axum::Error> {
    if let Lie::MakesUp(make_up) = lie {
        let body = axum::body::to_bytes(request.into_body(), MAX_BODY).await?;
        let request = serde_json::from_slice(&body).map_err(axum::Error::new)?;
        return Ok(printed(&make_up(&request)).into_response());
    }
    let (status, headers, body) = passed(shared, lie, request).await?;
    let body = match lie {
        Lie::Changes(change) => {
            let text = String::from_utf8_lossy(&body);
            let lines = text.lines().map(serde_json::from_str).collect::<Result<_, _>>();
            printed(&change(lines.map_err(axum::Error::new)?)).into()
        }
        Lie::Garbles(garble) => garble(body.to_vec()).into(),
        _ => body,
    };
    Ok((status, headers, body).into_response())
}

fn printed(lines: &[EvidenceLine]) -> String {
    let text = |line| serde_json::to_string(line).expect("a line prints") + "\n";
    lines.iter().map(text).collect()
}

async fn nar(shared: &Shared, lie: &Lie, request: Request) -> Result<Response, axum::Error> {
    let (status, mut headers, file) = passed(shared, lie, request).await?;
    let len = file.len();
    let body = match lie {
        Lie::Swaps(other) => Body::from(other.clone()),
        Lie::Shortens(most) => Body::from(file.slice(..len.min(*most))),
        Lie::Stalls(most) => {
            headers.insert(CONTENT_LENGTH, len.into());
            let first: Result<_, std::io::Error> = Ok(file.slice(..len.min(*most)));
            Body::from_stream(stream::iter([first]).chain(stream::pending()))
        }
        _ => Body::from(file),
    };
    Ok((status, headers, body).into_response())
}

/// What the real pool answers, or another.
async fn passed(
    shared: &Shared,
    lie: &Lie,
    request: Request,
) -> Result<(StatusCode, HeaderMap, Bytes), axum::Error> {
    let base = if let Lie::IsAnother(base) = lie { base } else { &shared.truth };
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let body = axum::body::to_bytes(body, MAX_BODY).await?;
    let mut headers = parts.headers;
    for name in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, ACCEPT_ENCODING] {
        headers.remove(name);
    }
    let request = shared.http.request(parts.method, format!("{base}{path}"));
    let answer = request.headers(headers).body(body).send().await.map_err(axum::Error::new)?;
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    Ok((status, headers, answer.bytes().await.map_err(axum::Error::new)?))
}
