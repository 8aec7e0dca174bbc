//! Narinfos and listings: `<hash part>.narinfo` and `<hash part>.ls`.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schema::api::{Problem, Refused, RefusedCode};
use schema::claim::Dialect;
use schema::narinfo::MAX_NARINFO_LEN;
use schema::store_path::HashPart;

use super::Shared;
use super::body::{read_body, read_encoded};
use super::error::{CacheFailure, problem_json, problem_text, wants_json};
use super::etag::Etag;
use super::grant::{MayAttest, MayRead};
use super::view::Address;
use crate::config::Config;
use crate::pool::{Merged, Pool};
use crate::rejected::Rejected;

/// Under an address that names no view there is no cache: stock Nix then says so, where it would
/// take a 404 for each narinfo in silence.
pub(super) async fn cache_info(
    State(pool): State<Shared>,
    _: MayRead,
    address: Address,
) -> impl IntoResponse {
    let info = pool.cache_info(address.dialect);
    ([(header::CONTENT_TYPE, "text/x-nix-cache-info")], info.print())
}

pub(super) async fn read(
    State(pool): State<Shared>,
    _: MayRead,
    address: Address,
    headers: HeaderMap,
) -> Result<Response, CacheFailure> {
    match File::parse(&address.file)? {
        File::NarInfo(hash_part) => {
            let answer = pool.narinfo(&address.view, address.dialect, &hash_part).await?;
            Ok(match answer {
                Ok(text) => shown(text, media_type(address.dialect), &headers, &pool),
                Err(refused) => not_shown(refused, address.dialect, &headers, &pool),
            })
        }
        File::Listing(hash_part) => {
            let listing = pool.listing(&address.view, address.dialect, &hash_part)?;
            // It follows from the NAR, and may be long: it is not hashed.
            let etag = Etag::named(&format!("{}-ls", listing.nar_hash.to_nix32()));
            Ok(etag.on(lasting(listing.json, "application/json", &pool), &headers))
        }
    }
}

fn media_type(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Nix => "text/x-nix-narinfo",
        Dialect::Guix => "application/x-nix-narinfo",
    }
}

pub(super) async fn put(
    State(pool): State<Shared>,
    MayAttest(by): MayAttest,
    address: Address,
    headers: HeaderMap,
    body: Body,
) -> Result<String, CacheFailure> {
    match File::parse(&address.file)? {
        File::NarInfo(hash_part) => {
            let text = read_encoded(body, &headers, MAX_NARINFO_LEN, &pool.config).await?;
            let merged = pool.merge_narinfo(&address.view, &hash_part, &text, &by).await?;
            Ok(summary(&merged))
        }
        File::Listing(_) => {
            // The pool lists each NAR itself, when it reads it; what is sent is not looked at.
            read_body(body, listing_limit(&pool.config), &pool.config).await?;
            Ok("the pool makes its own listings\n".to_owned())
        }
    }
}

enum File {
    NarInfo(HashPart),
    Listing(HashPart),
}

impl File {
    fn parse(name: &str) -> Result<Self, Rejected> {
        let parsed = match name.rsplit_once('.') {
            Some((digits, "narinfo")) => digits.parse().ok().map(Self::NarInfo),
            Some((digits, "ls")) => digits.parse().ok().map(Self::Listing),
            _ => None,
        };
        parsed.ok_or_else(|| {
            Rejected::not_found(
                "no_such_file",
                "a cache has <32 base-32 digits>.narinfo and .ls, and nothing else here",
            )
        })
    }
}

pub(super) fn shown(
    text: String,
    content_type: &'static str,
    asked: &HeaderMap,
    pool: &Pool,
) -> Response {
    Etag::of(text.as_bytes()).on(lasting(text, content_type, pool), asked)
}

fn lasting(body: impl Into<Body>, content_type: &'static str, pool: &Pool) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, max_age(pool.config.narinfo_max_age));
    response
}

/// What was taken down is gone. Guix asks again and again for what is not simply missing, so it is told
/// no more than that.
fn status_of(code: RefusedCode, dialect: Dialect) -> StatusCode {
    match (code, dialect) {
        (RefusedCode::Deleted, Dialect::Nix) => StatusCode::GONE,
        _ => StatusCode::NOT_FOUND,
    }
}

pub(super) fn not_shown(
    refused: Refused,
    dialect: Dialect,
    headers: &HeaderMap,
    pool: &Pool,
) -> Response {
    let status = status_of(refused.code, dialect);
    let problem = Problem {
        kind: "about:blank".to_owned(),
        status: status.as_u16(),
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        code: refused.code.as_str().to_owned(),
        detail: refused.detail,
        hint: None,
    };
    let mut response =
        if wants_json(headers) { problem_json(problem) } else { problem_text(&problem) };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, max_age(pool.config.missing_max_age));
    // A cache on the way keeps the text and the JSON apart.
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

fn max_age(age: std::time::Duration) -> HeaderValue {
    HeaderValue::try_from(format!("max-age={}", age.as_secs()))
        .unwrap_or_else(|_| HeaderValue::from_static("no-cache"))
}

fn listing_limit(config: &Config) -> usize {
    // A stock client's listing may be longer than ours: it has no bound.
    usize::try_from(config.max_listing_size.saturating_mul(8)).unwrap_or(usize::MAX)
}

pub(super) fn summary(merged: &Merged) -> String {
    let mut text = format!("{} attestations added, {} known\n", merged.new, merged.known);
    for name in &merged.unknown {
        text.push_str(&format!("passed over: a signature by {name}, whom nobody enrolled here\n"));
    }
    text
}
