//! Refusals as answers: plain text for the people behind package managers, who print the body, and
//! problem JSON (RFC 9457) for programs that ask for it.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schema::api::Problem;

use crate::judge::Refusal;

/// A refusal with this status.
pub(super) fn refuse(status: StatusCode, refusal: &Refusal, headers: &HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let mut response = if accept.is_some_and(|accept| accept.contains("json")) {
        json(status, refusal)
    } else {
        (status, text(refusal)).into_response()
    };
    // What is refused now may be allowed once another builder has attested it.
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        fields.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

fn text(refusal: &Refusal) -> String {
    let mut text = format!("{}: {}\n", refusal.code, refusal.detail.trim_end());
    if let Some(hint) = &refusal.hint {
        text.push_str(&format!("hint: {hint}\n"));
    }
    text
}

fn json(status: StatusCode, refusal: &Refusal) -> Response {
    let problem = Problem {
        kind: "about:blank".to_owned(),
        status: status.as_u16(),
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        code: refusal.code.to_owned(),
        detail: refusal.detail.clone(),
        hint: refusal.hint.clone(),
    };
    let mut response = (status, Json(problem)).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
