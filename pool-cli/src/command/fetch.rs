//! `pool fetch`: takes what a policy allows out of a pool, for hosts without a package manager.

mod cache;
mod export;
mod order;
mod unpack;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use schema::store_path::StorePath;
use serde_json::json;
use tempfile::NamedTempFile;

use self::cache::make_cache;
use self::export::Export;
use self::unpack::unpack;
use crate::cli::{Fetch, Global};
use crate::command::policy::root;
use crate::credentials::{Access, trimmed};
use crate::exit::{Exit, Failure};
use crate::judge::{Allowed, Judge, Refusal, Root};
use crate::output::{Output, bytes, plural};
use crate::source::{Nar, Pace, Sources, Wanted};

/// Fetches. No, when the policy does not allow all of it.
pub(super) async fn run(fetch: Fetch, global: &Global, output: &'static Output) -> Result<Exit> {
    let roots = fetch.paths.iter().map(|path| root(path)).collect::<Result<Vec<_>>>()?;
    let judge = Judge::of(&fetch.policy, &fetch.judging, global, output)?;
    let to = &fetch.to;
    let export = if fetch.export { Some(Export::new(&fetch, judge.policy())?) } else { None };
    let sources = sources(&fetch, global, output)?;
    let mirrors = async {
        if !fetch.no_mirrors {
            sources.learn_mirrors().await;
        }
    };
    let (allowed, ()) = tokio::join!(allowed(&judge, &roots), mirrors);
    let allowed = allowed?;
    let fetched = match export {
        Some(export) => export.write(&judge, &roots, &allowed, &sources, output).await?,
        None if fetch.cache => {
            make_cache(&judge, &allowed, &sources, to, output).await?;
            Fetched::of(&allowed)
        }
        None => {
            unpack(&allowed, &sources, to).await?;
            Fetched::of(&allowed[..1])
        }
    };
    if fetch.export && to == Path::new("-") {
        // The archive is the result.
        output.note(&fetched.text(to));
    } else {
        let value = json!({ "paths": fetched.paths, "nar_bytes": fetched.nar_bytes, "to": to });
        output.result(&value, || fetched.text(to));
    }
    Ok(Exit::Yes)
}

/// What came of it.
struct Fetched {
    paths: usize,
    nar_bytes: u64,
}

impl Fetched {
    fn of(allowed: &[Arc<Allowed>]) -> Self {
        let nar_bytes = allowed.iter().map(|it| it.claim.nar_size()).sum();
        Self { paths: allowed.len(), nar_bytes }
    }

    fn text(&self, to: &Path) -> String {
        let (paths, to) = (plural(self.paths, "path"), to.display());
        format!("{paths} fetched to {to}: {} of NARs", bytes(self.nar_bytes))
    }
}

/// Who may have NARs.
fn sources(fetch: &Fetch, global: &Global, output: &'static Output) -> Result<Sources> {
    let pools = Access::find_each(&fetch.judging.pools, global)?;
    let cache = |url: &String| Access {
        server: trimmed(url),
        token: None,
        ca_file: global.ca_file.clone(),
    };
    let caches: Vec<Access> = fetch.caches.iter().map(cache).collect();
    Sources::new(&pools, &caches, Pace::default(), output)
}

/// The claims of the closure, what was asked for first.
async fn allowed(judge: &Judge, roots: &[Root]) -> Result<Vec<Arc<Allowed>>> {
    let judged = judge.judge(roots.to_vec()).await;
    let mut all = Vec::new();
    for root in roots {
        let of_root = judged.closure.reached().iter().filter(|it| root.is(&it.path));
        match of_root.filter(|it| it.outcome.claim().is_some()).count() {
            1 => {}
            0 => return Err(refused(&judge.why(&judged, root)).into()),
            _ => {
                let hint = "name the whole store path";
                let message = "ambiguous: two paths with this hash part are allowed";
                return Err(Failure::no(message).hint(hint).into());
            }
        }
    }
    for reached in judged.closure.reached() {
        all.extend(judge.allowed(&reached.path, &reached.outcome));
    }
    Ok(all)
}

fn refused(refusal: &Refusal) -> Failure {
    Failure::no(format!("{}: {}", refusal.code, refusal.detail)).maybe_hint(refusal.hint.clone())
}

/// A NAR, unpacked, whole and right.
async fn receive(allowed: &Allowed, sources: &Sources, dir: &Path) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(dir)?;
    let undelivered = |path: &StorePath, asked: &[String]| {
        Failure::could_not_tell(format!("nobody gives the NAR of {path}: {}", asked.join("; ")))
    };
    let path = allowed.claim.path();
    let found = Nar::find(Wanted::of(&allowed.claim), None, sources.of(allowed)).await;
    let mut nar = found.map_err(|why| undelivered(path, &why.asked))?;
    while let Some(piece) = nar.next().await {
        file.write_all(&piece.map_err(|why| undelivered(path, &why.asked))?)?;
    }
    if !nar.is_whole() {
        return Err(undelivered(path, &["it broke off".to_owned()]).into());
    }
    Ok(file)
}
