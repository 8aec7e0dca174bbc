//! Each rule, broken in a copy of the project: it must be noticed, and nothing else.

use std::fs;
use std::path::Path;

use super::breaches;
use super::project::Project;

/// A file, what is added to its end, and what is then said.
type Breach = (&'static str, String, &'static str);

fn all() -> Vec<Breach> {
    let fixed = DEPENDENCIES.into_iter().chain(LAYERS).chain(HOMES).chain(NAMES);
    let mut all: Vec<Breach> =
        fixed.map(|(file, added, said)| (file, added.to_owned(), said)).collect();
    all.push(("schema/src/base32.rs", "\n".repeat(350), "at most 350"));
    all.push(("schema/src/api.rs", format!("#[{}]", "ignore"), "a test that does not run"));
    all.push(("README.md", format!("See /{}/notes.", "root"), "a path of one machine"));
    all
}

const DEPENDENCIES: [(&str, &str, &str); 4] = [
    (
        "schema/Cargo.toml",
        "[dev-dependencies]\npool-server.workspace = true\n",
        "schema must not depend on pool-server",
    ),
    (
        "schema/Cargo.toml",
        "[build-dependencies]\ntokio.workspace = true\n",
        "schema depends on tokio, which has no home",
    ),
    (
        "pool-cli/Cargo.toml",
        "[target.'cfg(unix)'.dependencies]\npool-server.workspace = true\n",
        "pool-cli must not depend on pool-server",
    ),
    (
        "pool-server/Cargo.toml",
        "[build-dependencies]\ntests = { path = \"../tests\" }\n",
        "pool-server must not depend on tests",
    ),
];

const LAYERS: [(&str, &str, &str); 9] = [
    ("schema/src/hash.rs", "use std::{fmt, fs::File};", "std::fs::File where nothing is done"),
    ("schema/src/key.rs", "async fn now() {}", "async where nothing is done"),
    ("pool-server/src/assemble/view.rs", "use std::time;", "std::time where nothing is done"),
    ("pool-server/src/assemble.rs", "use tokio::fs;", "tokio::fs where nothing is done"),
    ("pool-server/src/index.rs", "use crate::http::router;", "index must not know http"),
    ("pool-server/src/blobs/staged.rs", "use super::super::pool;", "must not know pool"),
    ("pool-server/src/ledger.rs", "fn f() { crate::pool::x() }", "ledger must not know pool"),
    ("pool-server/src/ingest.rs", "use crate::{http, log};", "ingest must not know http"),
    ("pool-server/src/auth.rs", "use crate::http::error;", "auth must not know http"),
];

const HOMES: [(&str, &str, &str); 4] = [
    ("pool-server/src/auth.rs", "use axum::Json;", "axum is at home in"),
    ("pool-server/src/pool.rs", "use rocksdb::DB;", "rocksdb is at home in"),
    ("pool-server/src/http.rs", "fn f() { zstd::decode_all() }", "zstd is at home in"),
    ("pool-cli/src/exit.rs", "use reqwest::Error;", "reqwest is at home in"),
];

const NAMES: [(&str, &str, &str); 3] = [
    ("pool-server/src/pool/mod.rs", "", "not foo/mod.rs"),
    ("pool-cli/src/path_utils.rs", "", "path_utils is a name that says nothing"),
    ("schema/src/api.rs", "struct NarManager;", "NarManager is a name that says nothing"),
];

#[test]
fn every_rule_is_noticed_when_it_is_broken() {
    let project = Project::read(&tests::program::project());
    let copy = tempfile::tempdir().unwrap();
    for file in &project.files {
        write(&copy.path().join(&file.name), &file.text);
    }
    assert_eq!(breaches(&Project::read(copy.path())), Vec::<String>::new(), "the copy is in order");
    for (name, added, said) in all() {
        let path = copy.path().join(name);
        let before = fs::read_to_string(&path).ok();
        // Before the tests, which may do as they like.
        let text = before.clone().unwrap_or_default();
        let (shipped, tests) = text.split_at(text.find("#[cfg(test)]").unwrap_or(text.len()));
        write(&path, &format!("{shipped}\n{added}\n{tests}"));
        let found = breaches(&Project::read(copy.path()));
        assert_eq!(found.len(), 1, "{name} with {added:?}: {found:#?}");
        assert!(found[0].contains(said), "{name}: {found:?} does not say {said:?}");
        match before {
            Some(text) => write(&path, &text),
            None => fs::remove_file(&path).unwrap(),
        }
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("files lie in directories")).expect("it can be made");
    fs::write(path, text).expect("it can be written");
}
