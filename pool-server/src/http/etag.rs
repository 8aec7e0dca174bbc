//! Strong validators: whoever has an answer is told so, and not sent it again (RFC 9110, section
//! 13.1.2).

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use schema::hash::FileHash;

/// What tells the bytes of one answer from any others at the same address.
pub(super) struct Etag(String);

impl Etag {
    /// Of bytes that are few enough to be hashed for every answer.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self::named(&FileHash::of(bytes).to_nix32())
    }

    /// Of bytes that this says all of. It has no quotes in it.
    pub(super) fn named(name: &str) -> Self {
        Self(format!("\"{name}\""))
    }

    /// With its quotes.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `If-None-Match` has it.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        let tags = headers.get_all(header::IF_NONE_MATCH).into_iter();
        let mut tags = tags.filter_map(|tags| tags.to_str().ok()).flat_map(|tags| tags.split(','));
        tags.any(|tag| {
            let tag = tag.trim();
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.0
        })
    }

    /// Puts it on a 200, which becomes a 304 for those who have it, good for as long.
    pub(super) fn on(&self, mut response: Response, asked: &HeaderMap) -> Response {
        if self.is_in(asked) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.body_mut() = Body::empty();
        }
        if let Ok(value) = HeaderValue::try_from(&self.0) {
            response.headers_mut().insert(header::ETAG, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(lines: &[&str]) -> HeaderMap {
        let pair = |line: &&str| (header::IF_NONE_MATCH, line.parse().unwrap());
        HeaderMap::from_iter(lines.iter().map(pair))
    }

    #[test]
    fn any_of_the_tags_will_do_and_weak_ones_as_well() {
        let etag = Etag::named("tag");
        for known in [
            &["\"tag\""][..],
            &["*"],
            &["W/\"tag\""],
            &["\"x\", \"tag\""],
            &["\"x\",W/\"tag\" , \"y\""],
        ] {
            assert!(etag.is_in(&asked(known)), "{known:?}");
        }
        for unknown in [&[][..], &["tag"], &["\"ta\"", "\"g\""], &["w/\"tag\""], &["\"TAG\""]] {
            assert!(!etag.is_in(&asked(unknown)), "{unknown:?}");
        }
        let mut lines = asked(&["\"x\""]);
        lines.append(header::IF_NONE_MATCH, "\"tag\"".parse().unwrap());
        assert!(etag.is_in(&lines), "in the second line");
    }

    #[test]
    fn a_304_keeps_what_it_says_of_caching() {
        let whole = || {
            let mut response = Response::new(Body::from("text"));
            let lifetime = HeaderValue::from_static("max-age=7");
            response.headers_mut().insert(header::CACHE_CONTROL, lifetime);
            response
        };
        let etag = Etag::of(b"text");
        let fresh = etag.on(whole(), &asked(&[]));
        assert_eq!(fresh.status(), StatusCode::OK);
        let tag = fresh.headers()[header::ETAG].to_str().unwrap();
        assert_ne!(tag, Etag::of(b"texts").as_str());
        let known = etag.on(whole(), &asked(&[tag]));
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(known.headers()[header::CACHE_CONTROL], "max-age=7");
        assert_eq!(known.headers()[header::ETAG], tag);
        assert_eq!(http_body::Body::size_hint(known.body()).exact(), Some(0));
    }
}
