//! `pool policy`: what a policy file says, and what it makes of paths.

mod explain;
mod init;

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use crate::cli::{Global, Policy};
use crate::exit::Exit;
use crate::judge::{self, Root};
use crate::output::Output;
use crate::store::in_any_store;

/// Does what was asked for with a policy.
pub(super) async fn run(policy: Policy, global: &Global, output: &'static Output) -> Result<Exit> {
    match policy {
        Policy::Check { file } => check(&file, output),
        Policy::Init(init) => init::run(init, global, output).await,
        Policy::Explain(explain) => explain::run(explain, global, output).await,
    }
}

/// What a user means: a path, wherever it is spelled, or the hash part of one.
pub(super) fn root(path: &Path) -> Result<Root> {
    let part = path.to_str().and_then(|text| text.parse().ok());
    part.map_or_else(|| Ok(Root::Path(in_any_store(path)?)), |part| Ok(Root::Part(part)))
}

fn check(file: &Path, output: &Output) -> Result<Exit> {
    let policy = judge::read_policy(file)?;
    let lints = policy.lints(judge::now());
    for lint in &lints {
        output.warn(&format!("{}: {}\nhint: {}", file.display(), lint.message, lint.hint));
    }
    let (name, version) = (policy.name(), policy.version());
    let value = json!({ "name": name, "version": version, "lints": lints });
    output.result(&value, || format!("{name}, version {version}, is a policy"));
    Ok(Exit::Yes)
}
