//! Every address that the proxy answers.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use schema::cache_info::CacheInfo;
use schema::guix::key_file::print_public;
use schema::store_path::{HashPart, StoreDir};
use tokio::sync::OwnedSemaphorePermit;

use super::Proxy;
use super::answer::refuse;
use super::narinfo::{self, NarName};
use crate::judge::{Allowed, Refusal};
use crate::source::{Nar, Undeliverable, Wanted};

/// Lower than that of any public cache, so that the proxy is asked first.
const PRIORITY: u32 = 10;

pub(super) fn router(proxy: Arc<Proxy>) -> Router {
    Router::new()
        .route("/", get(async |State(proxy): State<Arc<Proxy>>| proxy.status()))
        .route("/healthz", get(async || "ok\n"))
        .route("/metrics", get(metrics))
        .route("/nix-cache-info", get(cache_info))
        .route("/signing-key.pub", get(signing_key))
        .route("/{file}", get(narinfo))
        .route("/nar/{file}", get(nar))
        .fallback(elsewhere)
        .method_not_allowed_fallback(read_only)
        .with_state(proxy)
}

async fn metrics(State(proxy): State<Arc<Proxy>>) -> Response {
    let text = proxy.metrics.render(&proxy.sources, &proxy.prefetch);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn cache_info(State(proxy): State<Arc<Proxy>>) -> Response {
    let store_dir = proxy.store_dir.clone();
    let info = CacheInfo { store_dir, want_mass_query: true, priority: PRIORITY, batch: None };
    ([(header::CONTENT_TYPE, "text/x-nix-cache-info")], info.print()).into_response()
}

/// The host's key: Nix's line, or what `guix archive --authorize` takes.
async fn signing_key(State(proxy): State<Arc<Proxy>>) -> String {
    let key = proxy.key.public();
    key.guix().map_or_else(|| format!("{key}\n"), print_public)
}

async fn narinfo(
    State(proxy): State<Arc<Proxy>>,
    Path(file): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let path = file.strip_suffix(".narinfo").and_then(|path| path.parse().ok());
    let Some(path) = path else { return refuse(StatusCode::NOT_FOUND, &not_here(&file), &headers) };
    let answer = Arc::clone(&proxy.judge).answer(path).await;
    match answer.outcome.and_then(|allowed| asked_for(allowed, path, &proxy.store_dir)) {
        Ok(allowed) => {
            proxy.metrics.narinfos_shown.increment(1);
            if method == Method::GET {
                proxy.prefetch.want(&allowed);
            }
            proxy.show(narinfo::print(&allowed, &proxy.key))
        }
        Err(refusal) => {
            proxy.metrics.narinfo_refused(refusal.code);
            proxy.tell(&refusal);
            proxy.kept_for_guix(refuse(StatusCode::NOT_FOUND, &refusal, &headers))
        }
    }
}

/// The claim, if it is about a path with this hash part in this store. Clients of Guix's do not check.
fn asked_for(
    allowed: Arc<Allowed>,
    path: HashPart,
    store_dir: &StoreDir,
) -> Result<Arc<Allowed>, Refusal> {
    let claimed = allowed.claim.path();
    if claimed.base().hash_part() == path && claimed.dir() == store_dir {
        return Ok(allowed);
    }
    let detail = format!("{claimed} is not what was asked for");
    Err(Refusal { code: "other_path", detail, hint: None })
}

async fn nar(
    State(proxy): State<Arc<Proxy>>,
    Path(file): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let not_found = |refusal| refuse(StatusCode::NOT_FOUND, &refusal, &headers);
    let Some(name) = NarName::parse(&file) else { return not_found(not_here(&file)) };
    // Asked again: the policy, or what is known of the path, may have changed since the narinfo.
    let allowed = match Arc::clone(&proxy.judge).answer(name.path).await.outcome {
        Ok(allowed) => allowed,
        Err(refusal) => return not_found(refusal),
    };
    let wanted = Wanted::of(&allowed.claim);
    if wanted.hash != name.hash {
        return not_found(another_nar());
    }
    let fields = [
        (header::CONTENT_TYPE, "application/x-nix-nar".to_owned()),
        (header::CONTENT_LENGTH, wanted.size.to_string()),
    ];
    if method == Method::HEAD {
        return fields.into_response();
    }
    let Ok(slot) = Arc::clone(&proxy.nars).acquire_owned().await else {
        unreachable!("the semaphore is never closed")
    };
    let fetched = proxy.prefetch.take(wanted.hash).await;
    match Nar::find(wanted, fetched, proxy.sources.of(&allowed)).await {
        Ok(nar) => (fields, Sending::new(&proxy, nar, slot).into_body()).into_response(),
        Err(nobody) => {
            proxy.metrics.nars_undeliverable.increment(1);
            let passes = nobody.passes;
            let status =
                if passes { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NOT_FOUND };
            refuse(status, &undeliverable(&nobody), &headers)
        }
    }
}

async fn elsewhere(address: Uri, headers: HeaderMap) -> Response {
    refuse(StatusCode::NOT_FOUND, &not_here(address.path()), &headers)
}

async fn read_only(headers: HeaderMap) -> Response {
    let refusal = Refusal {
        code: "read_only",
        detail: "this proxy takes nothing; it shows what a policy allows".to_owned(),
        hint: Some("push to a pool".to_owned()),
    };
    refuse(StatusCode::METHOD_NOT_ALLOWED, &refusal, &headers)
}

/// A NAR while it is sent.
struct Sending {
    proxy: Arc<Proxy>,
    nar: Nar,
    whole: bool,
    _slot: OwnedSemaphorePermit,
}

impl Sending {
    fn new(proxy: &Arc<Proxy>, nar: Nar, slot: OwnedSemaphorePermit) -> Self {
        Self { proxy: Arc::clone(proxy), nar, whole: false, _slot: slot }
    }

    /// An error ends the connection, before the announced length is there.
    fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, async |mut sending| {
            let piece = sending.nar.next().await?;
            let piece = piece.map_err(|nobody| io::Error::other(nobody.asked.join("; ")));
            if let Ok(piece) = &piece {
                sending.proxy.metrics.nar_bytes.increment(piece.len() as u64);
            }
            sending.whole = sending.nar.is_whole();
            Some((piece, sending))
        }))
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let metrics = &self.proxy.metrics;
        if self.whole { &metrics.nars_sent } else { &metrics.nars_broken_off }.increment(1);
    }
}

fn not_here(address: &str) -> Refusal {
    let unattested = ["log/", "realisations/", "build-trace-v2/", "debuginfo/"];
    let address = address.trim_start_matches('/');
    let (code, detail) = if unattested.iter().any(|prefix| address.starts_with(prefix))
        || address.ends_with(".ls")
    {
        ("not_attested", "nobody attests logs, listings, realisations or debug information")
    } else {
        ("no_such_address", "a proxy has nix-cache-info, <hash>.narinfo and nar/…")
    };
    Refusal { code, detail: detail.to_owned(), hint: None }
}

fn another_nar() -> Refusal {
    Refusal {
        code: "another_nar",
        detail: "the policy now allows another NAR for this path".to_owned(),
        hint: Some("the package manager remembers an old narinfo; have it forget those".to_owned()),
    }
}

fn undeliverable(nobody: &Undeliverable) -> Refusal {
    let mut detail = "the policy allows the path, but nobody gave its NAR".to_owned();
    for line in &nobody.asked {
        detail.push_str("\n  ");
        detail.push_str(line);
    }
    let hint = "--from names further caches to take NARs from; their word is not needed";
    Refusal { code: "no_nar", detail, hint: Some(hint.to_owned()) }
}
