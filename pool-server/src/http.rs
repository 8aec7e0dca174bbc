//! HTTP: every route on one screen. A handler extracts, makes one call of the pool, and renders.

mod absent;
mod attestations;
mod batch;
mod body;
mod claims;
mod debug_info;
mod divergence;
mod error;
mod etag;
mod events;
mod evidence;
mod gc;
mod grant;
mod guix;
mod gzip;
mod keys;
mod ledger;
mod limit;
mod logs;
mod mirror;
mod mirrored;
mod mirrors;
mod nar_batches;
mod narinfos;
mod nars;
mod observe;
mod params;
mod paths;
mod range;
mod realisations;
mod signers;
mod status;
mod view;
mod wishes;
mod witness;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use schema::claim::Dialect;
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use crate::pool::Pool;

/// What every handler is given.
type Shared = Arc<Pool>;

/// Everything the pool answers.
pub fn router(pool: Arc<Pool>) -> Router {
    let (api, _) = api().split_for_parts();
    let observed = |name| from_fn_with_state(pool.metrics.route(name), observe::observe);
    let (cache, guix) = (cache(&pool), guix(&pool));
    Router::new()
        .merge(cache.clone())
        .nest("/signers/{k}/{names}", cache.clone())
        .nest("/policy/{policy}", cache.clone())
        .nest("/as/{signer}", cache)
        .nest("/gnu", guix.clone())
        .nest("/gnu/signers/{k}/{names}", guix.clone())
        .nest("/gnu/policy/{policy}", guix.clone())
        .nest("/gnu/as/{signer}", guix)
        .merge(api.layer(observed("/api/v1")))
        .route("/api/v1/openapi.json", get(status::openapi))
        .route("/api/v1/nars/wishes", get(wishes::follow).layer(observed("/api/v1/nars/wishes")))
        .route("/ledger/{log}/checkpoint", get(ledger::checkpoint).layer(observed("/ledger")))
        .route("/ledger/{log}/events", get(events::follow).layer(observed("/ledger/events")))
        .route("/ledger/{log}/tile/{*path}", get(ledger::tile).layer(observed("/ledger")))
        .route("/ledger/index/lookup/{key}", get(ledger::lookup).layer(observed("/ledger/lookup")))
        .route(
            "/witness/add-checkpoint",
            post(witness::add_checkpoint).layer(observed("/witness/add-checkpoint")),
        )
        .nest("/mirror", mirror(&pool))
        // What is above: whoever watches the pool is let in always.
        .layer(from_fn_with_state(Arc::clone(&pool), limit::limit))
        .route("/healthz", get(status::health))
        .route("/readyz", get(status::ready))
        .route("/metrics", get(status::metrics))
        .fallback(status::no_such_route)
        .method_not_allowed_fallback(status::wrong_method)
        // Each handler bounds its own body; some take gigabytes.
        .layer(DefaultBodyLimit::disable())
        .with_state(pool)
}

/// The document that describes `/api/v1`.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    api().split_for_parts().1
}

/// What a package manager asks under the address of each view.
fn cache(pool: &Pool) -> Router<Shared> {
    let observed = |name| from_fn_with_state(pool.metrics.route(name), observe::observe);
    Router::new()
        .route("/nix-cache-info", get(narinfos::cache_info).layer(observed("/nix-cache-info")))
        .route("/{file}", get(narinfos::read).put(narinfos::put).layer(observed("/{hash}.narinfo")))
        .route("/nar/{file}", get(nars::read).put(nars::put).layer(observed("/nar/{file}")))
        .route(
            "/log/{derivation}",
            get(logs::read).put(logs::put).layer(observed("/log/{derivation}")),
        )
        .route(
            "/debuginfo/{file}",
            get(debug_info::read).put(debug_info::put).layer(observed("/debuginfo/{file}")),
        )
        .route(
            "/realisations/{file}",
            get(realisations::read).put(realisations::put).layer(observed("/realisations/{file}")),
        )
        .route("/get-narinfos-v1", any(batch::narinfos).layer(observed("/get-narinfos-v1")))
}

/// The same for Guix, which takes and never sends.
fn guix(pool: &Pool) -> Router<Shared> {
    let observed = |name| from_fn_with_state(pool.metrics.route(name), observe::observe);
    Router::new()
        .route("/nix-cache-info", get(narinfos::cache_info).layer(observed("/gnu/nix-cache-info")))
        .route("/{file}", get(narinfos::read).layer(observed("/gnu/{hash}.narinfo")))
        .route("/nar/{file}", get(nars::read).layer(observed("/gnu/nar/{file}")))
        .route(
            "/nar/{compression}/{file}",
            get(nars::read_of_path).layer(observed("/gnu/nar/{compression}/{file}")),
        )
        .route("/signing-key.pub", get(guix::signing_key).layer(observed("/gnu/signing-key.pub")))
        .route(
            "/file/{name}/sha256/{file}",
            get(guix::flat_file).layer(observed("/gnu/file/{name}/sha256/{hash}")),
        )
        .route("/get-narinfos-v1", any(batch::narinfos).layer(observed("/gnu/get-narinfos-v1")))
        .layer(Extension(Dialect::Guix))
}

/// The logs of others, as C2SP's tlog-mirror has them.
fn mirror(pool: &Pool) -> Router<Shared> {
    let observed = |name| from_fn_with_state(pool.metrics.route(name), observe::observe);
    Router::new()
        .route("/add-checkpoint", post(mirror::add_checkpoint))
        .route("/add-fork", post(mirror::add_fork))
        .route("/add-entries", post(mirror::add_entries))
        .route("/{origin}/checkpoint", get(mirrored::checkpoint))
        .route("/{origin}/tile/{*path}", get(mirrored::tile))
        .route("/{origin}/events", get(mirrored::follow))
        .layer(observed("/mirror"))
}

fn api() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(status::info))
        .routes(routes!(nars::missing))
        .routes(routes!(nar_batches::upload))
        .routes(routes!(nar_batches::fetch))
        .routes(routes!(mirror::find))
        .routes(routes!(mirror::elsewhere))
        .routes(routes!(mirror::wanted))
        .routes(routes!(nars::report, nars::upload))
        .routes(routes!(attestations::attest))
        .routes(routes!(signers::list, signers::enrol))
        .routes(routes!(keys::event))
        .routes(routes!(mirrors::list, mirrors::announce))
        .routes(routes!(ledger::receipt))
        .routes(routes!(claims::read))
        .routes(routes!(claims::read_many))
        .routes(routes!(mirror::claim_texts))
        .routes(routes!(mirror::ledgers, mirror::mirror_ledger))
        .routes(routes!(mirror::edge))
        .routes(routes!(paths::report))
        .routes(routes!(gc::collect))
        .routes(routes!(gc::pins))
        .routes(routes!(gc::pin, gc::unpin))
        .routes(routes!(gc::deletions, gc::delete))
        .routes(routes!(gc::undelete))
        .routes(routes!(divergence::feed, divergence::challenge))
        // Most of it is digits and proofs that have much in common.
        .routes(routes!(evidence::read).layer(CompressionLayer::new()))
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "narpool",
        description = "A content-addressed NAR pool with external, multi-party signatures."
    ),
    // Lines of `get-narinfos-v1` and answers of `/ledger`, which are no part of `/api/v1`.
    components(schemas(schema::api::BatchLine, schema::api::Lookup))
)]
struct Description;
