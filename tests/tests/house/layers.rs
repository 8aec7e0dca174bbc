//! What lies below knows nothing of what lies above, and what is pure does no I/O.

use super::paths::paths;
use super::project::{Project, is_in};

/// A part of the server, and parts of it that it must not know.
const BELOW: [(&str, &[&str]); 7] = [
    ("assemble", &["http", "pool", "serve", "ingest", "auth"]),
    ("auth", &["http", "pool", "serve", "ingest", "assemble", "ledger", "index", "blobs"]),
    ("blobs", &["http", "pool", "serve", "ingest", "assemble", "auth", "ledger", "index"]),
    ("index", &["http", "pool", "serve", "ingest", "assemble", "auth", "ledger", "blobs"]),
    ("ingest", &["http", "pool", "serve", "assemble", "auth", "ledger", "blobs"]),
    ("ledger", &["http", "pool", "serve", "ingest", "assemble", "auth"]),
    ("pool", &["http", "serve"]),
];

/// Code that neither reads nor writes anything, nor knows what time it is.
const PURE: [&str; 2] = ["schema/src/", "pool-server/src/assemble"];

/// What does I/O, waits, or tells the time.
const IMPURE: [&str; 17] = [
    "std::env",
    "std::fs",
    "std::net",
    "std::os",
    "std::path",
    "std::process",
    "std::thread",
    "std::time",
    "axum",
    "getrandom",
    "http",
    "hyper",
    "object_store",
    "reqwest",
    "rocksdb",
    "rustix",
    "tokio",
];

pub(super) fn breaches(project: &Project) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in project.sources("pool-server/src/") {
        let module = file.module();
        let Some((_, above)) = BELOW.iter().find(|(part, _)| is_in(&module, part)) else {
            continue;
        };
        for (line, path) in paths(&file.code()) {
            let path = absolute(&path, &module);
            let known = above.iter().find(|part| is_in(&path, &format!("crate::{part}")));
            breaches.extend(
                known.map(|part| format!("{}:{line}: {module} must not know {part}", file.name)),
            );
        }
    }
    for file in PURE.iter().flat_map(|directory| project.sources(directory)) {
        for (line, path) in paths(&file.code()) {
            let impure = IMPURE.iter().any(|foreign| is_in(&path, foreign)) || path == "async";
            breaches.extend(
                impure.then(|| format!("{}:{line}: {path} where nothing is done", file.name)),
            );
        }
    }
    breaches
}

/// A path as seen from the top of the crate.
fn absolute(path: &str, module: &str) -> String {
    let mut scope: Vec<&str> = module.split("::").collect();
    let mut rest = path;
    while let Some(above) = rest.strip_prefix("super::") {
        scope.pop();
        rest = above;
    }
    if rest.len() == path.len() && !path.starts_with("self::") {
        return path.to_owned();
    }
    let inner = rest.strip_prefix("self::").unwrap_or(rest);
    ["crate"].into_iter().chain(scope).chain([inner]).collect::<Vec<_>>().join("::")
}
