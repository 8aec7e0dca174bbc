//! One foreign crate, one home.

use super::paths::paths;
use super::project::{Project, is_in};

/// Where a foreign crate is at home: in these modules and what lies in them.
pub(super) struct Home {
    pub(super) package: &'static str,
    pub(super) crate_name: &'static str,
    modules: &'static [&'static str],
}

const fn server(crate_name: &'static str, modules: &'static [&'static str]) -> Home {
    Home { package: "pool-server", crate_name, modules }
}

const fn cli(crate_name: &'static str, modules: &'static [&'static str]) -> Home {
    Home { package: "pool-cli", crate_name, modules }
}

const fn schema(crate_name: &'static str, modules: &'static [&'static str]) -> Home {
    Home { package: "schema", crate_name, modules }
}

pub(super) const HOMES: [Home; 55] = [
    schema("crypto_bigint", &["guix::ecdsa"]),
    schema("curve25519_dalek", &["guix::ecdsa"]),
    schema("ed25519_dalek", &["key"]),
    schema("hmac", &["guix::ecdsa"]),
    schema("toml", &["policy"]),
    schema(
        "utoipa",
        &["api", "claim", "compression", "key_event", "tlog", "verifiable_map", "wire_text"],
    ),
    // The door takes a router, and no more.
    server("axum", &["http", "serve"]),
    server("axum_server", &["serve"]),
    server("brotli", &["ingest::decode"]),
    server("bzip2", &["ingest::decode"]),
    server("clap", &["cli"]),
    server("flate2", &["http::gzip", "ingest::decode"]),
    server("liblzma", &["ingest::decode"]),
    server("listenfd", &["serve"]),
    server("lzma_rust2", &["ingest::decode"]),
    server("memchr", &["ingest::scan"]),
    server("metrics", &["metrics"]),
    server("metrics_exporter_prometheus", &["metrics"]),
    server("nix_archive", &["ingest::grammar", "ingest::refused", "pool::interleaved"]),
    server("object_store", &["blobs"]),
    server("rocksdb", &["index::families", "index::rocks"]),
    server(
        "rustix",
        &["background", "backup", "blobs", "clock", "rejected::trouble", "reindex", "serve"],
    ),
    server("reqwest", &["ledger::witnesses"]),
    server("rustls", &["ledger::witnesses", "serve"]),
    server("sd_notify", &["serve"]),
    server("subtle", &["auth"]),
    server("toml", &["config"]),
    server("tower", &["http", "serve"]),
    server("tower_http", &["http"]),
    server("tracing_subscriber", &["log"]),
    server("utoipa", &["http"]),
    server("utoipa_axum", &["http"]),
    server("zeroize", &["ledger"]),
    server("zstd", &["ingest::decode"]),
    cli("axum", &["proxy"]),
    cli("axum_server", &["proxy"]),
    cli("brotli", &["decode"]),
    cli("bzip2", &["decode"]),
    cli("clap", &["cli"]),
    cli("clap_complete", &["cli"]),
    cli("clap_mangen", &["cli"]),
    cli("flate2", &["decode"]),
    cli("indicatif", &["output"]),
    cli("liblzma", &["compress", "decode"]),
    cli("listenfd", &["proxy"]),
    cli("lzma_rust2", &["decode"]),
    cli("metrics", &["proxy::metrics"]),
    cli("metrics_exporter_prometheus", &["proxy::metrics"]),
    cli("nix_archive", &["nar", "store"]),
    cli("reqwest", &["remote", "source"]),
    cli("rusqlite", &["judge", "store"]),
    cli("rustls", &["remote"]),
    cli("sd_notify", &["proxy"]),
    cli("toml", &["credentials"]),
    cli("zstd", &["command::fetch", "compress", "decode"]),
];

/// Crates that a package may use in any of its modules.
pub(super) const AT_HOME_ANYWHERE: [(&str, &[&str]); 3] = [
    ("schema", &["base64", "serde", "serde_json", "sha2", "subtle", "thiserror", "zeroize"]),
    (
        "pool-server",
        &[
            "base64",
            "bytes",
            "futures_util",
            "getrandom",
            "http",
            "http_body",
            "http_body_util",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "tokio",
            "tracing",
        ],
    ),
    (
        "pool-cli",
        &[
            "anyhow",
            "bytes",
            "futures_util",
            "getrandom",
            "serde",
            "serde_json",
            "sha2",
            "tempfile",
            "tokio",
            "zeroize",
        ],
    ),
];

pub(super) fn breaches(project: &Project) -> Vec<String> {
    let mut breaches = Vec::new();
    for package in ["schema", "pool-server", "pool-cli"] {
        for file in project.sources(&format!("{package}/src/")) {
            let module = file.module();
            let found = paths(&file.code());
            for home in HOMES.iter().filter(|home| home.package == package) {
                if home.modules.iter().any(|modules| is_in(&module, modules)) {
                    continue;
                }
                // A module of ours may be called like a crate; where it is in scope, it is meant.
                let ours = format!("crate::{}", home.crate_name);
                if found.iter().any(|(_, path)| *path == ours) {
                    continue;
                }
                let foreign = format!("{}::", home.crate_name);
                for (line, _) in found.iter().filter(|(_, path)| path.starts_with(&foreign)) {
                    let (name, homes) = (home.crate_name, home.modules);
                    breaches.push(format!("{}:{line}: {name} is at home in {homes:?}", file.name));
                }
            }
        }
    }
    breaches
}
