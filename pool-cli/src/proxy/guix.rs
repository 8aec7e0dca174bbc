//! What differs for Guix, which shows nobody why a narinfo is not there, and remembers what it is told
//! to.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use schema::claim::Dialect;

use super::Proxy;
use crate::judge::Refusal;

/// How long Guix keeps a narinfo, in seconds: the judge would say the same for so long.
const SHOWN: &str = "max-age=60";
/// How long it keeps that there is none: without being told it would be two minutes.
const REFUSED: &str = "max-age=1";

impl Proxy {
    fn is_for_guix(&self) -> bool {
        self.key.public().dialect() == Dialect::Guix
    }

    /// A narinfo as an answer.
    pub(super) fn show(&self, text: String) -> Response {
        if self.is_for_guix() {
            let kind = (header::CONTENT_TYPE, "application/x-nix-narinfo");
            ([kind, (header::CACHE_CONTROL, SHOWN)], text).into_response()
        } else {
            ([(header::CONTENT_TYPE, "text/x-nix-narinfo")], text).into_response()
        }
    }

    /// A refusal that Guix may ask about again soon.
    pub(super) fn kept_for_guix(&self, mut response: Response) -> Response {
        if self.is_for_guix() {
            let kept = HeaderValue::from_static(REFUSED);
            response.headers_mut().insert(header::CACHE_CONTROL, kept);
        }
        response
    }

    /// Prints why a path is refused, unless nobody ever spoke of it: Guix passes answers' bodies over.
    pub(super) fn tell(&self, refusal: &Refusal) {
        if self.is_for_guix() && refusal.code != "never_seen" {
            self.output.warn(&format!("refused: {}: {}", refusal.code, refusal.detail.trim_end()));
        }
    }
}
