//! Failures as answers: problem JSON (RFC 9457) for programs, plain text for the people behind
//! package managers, who print the body. Our own faults are logged here, once, and not told.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use schema::api::Problem;

use crate::rejected::{Error, Failure, Rejected, Trouble};

/// A failure of the JSON API.
pub(super) struct ApiFailure(pub(super) Failure);

/// A failure where a package manager asked.
pub(super) struct CacheFailure(pub(super) Failure);

impl IntoResponse for ApiFailure {
    fn into_response(self) -> Response {
        let after = retry_after(&self.0);
        later(problem_json(problem(self.0)), after)
    }
}

impl IntoResponse for CacheFailure {
    fn into_response(self) -> Response {
        let after = retry_after(&self.0);
        later(problem_text(&problem(self.0)), after)
    }
}

/// A failure before it is decided who is asked: the API, or a cache.
pub(super) struct EitherFailure {
    failure: Failure,
    api: bool,
}

impl EitherFailure {
    /// A failure of whatever is served at this address.
    pub(super) fn at(address: &Uri, failure: impl Into<Failure>) -> Self {
        Self { failure: failure.into(), api: address.path().starts_with("/api/") }
    }
}

impl IntoResponse for EitherFailure {
    fn into_response(self) -> Response {
        if self.api {
            ApiFailure(self.failure).into_response()
        } else {
            CacheFailure(self.failure).into_response()
        }
    }
}

macro_rules! from_failures {
    ($($name:ident),*) => {$(
        impl<F: Into<Failure>> From<F> for $name {
            fn from(failure: F) -> Self {
                Self(failure.into())
            }
        }
    )*};
}
from_failures!(ApiFailure, CacheFailure);

/// Whether JSON is asked for in so many words.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("json"))
}

pub(super) fn problem_json(problem: Problem) -> Response {
    let mut response = (status(&problem), Json(problem)).into_response();
    let json = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    challenge(response)
}

pub(super) fn problem_text(problem: &Problem) -> Response {
    let mut text = format!("{}: {}\n", problem.code, problem.detail);
    if let Some(hint) = &problem.hint {
        text.push_str("hint: ");
        text.push_str(hint);
        text.push('\n');
    }
    challenge((status(problem), text).into_response())
}

/// A 401 says what it wants, and 429 and 503 when to come back. No cache on the way may keep any
/// of it, unless the handler says for how long: what is absent now may be uploaded next.
fn challenge(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let header = match response.status() {
        StatusCode::UNAUTHORIZED => (header::WWW_AUTHENTICATE, "Basic realm=\"narpool\", Bearer"),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            (header::RETRY_AFTER, "5")
        }
        _ => return response,
    };
    response.headers_mut().insert(header.0, HeaderValue::from_static(header.1));
    response
}

fn retry_after(failure: &Failure) -> Option<u64> {
    match failure {
        Failure::Rejected(rejected) => rejected.retry_after,
        Failure::Error(_) => None,
    }
}

/// Where it is known when to come back, says so.
fn later(mut response: Response, after: Option<u64>) -> Response {
    if let Some(seconds) = after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn status(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn problem(failure: Failure) -> Problem {
    match failure {
        Failure::Rejected(rejected) => rejected_problem(rejected),
        Failure::Error(error) => fault_problem(&error),
    }
}

fn rejected_problem(rejected: Rejected) -> Problem {
    Problem {
        kind: "about:blank".to_owned(),
        status: rejected.status.as_u16(),
        title: rejected.status.canonical_reason().unwrap_or_default().to_owned(),
        code: rejected.code.to_owned(),
        detail: rejected.detail,
        hint: rejected.hint,
    }
}

fn fault_problem(error: &Error) -> Problem {
    tracing::error!(%error, "a request failed by our fault");
    let trouble = Trouble::of(error);
    let status = match trouble {
        Some(Trouble::Full) => StatusCode::INSUFFICIENT_STORAGE,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
        None => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let (code, detail, hint) = match trouble {
        Some(trouble) => (trouble.code(), trouble.detail(), trouble.hint()),
        None => ("internal", "the pool failed; its log says why", "tell the operator"),
    };
    Problem {
        kind: "about:blank".to_owned(),
        status: status.as_u16(),
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        code: code.to_owned(),
        detail: detail.to_owned(),
        hint: Some(hint.to_owned()),
    }
}
