//! `pool challenge`: where signers disagree, with each other and with the local store.

mod compare;
mod report;
mod subjects;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;
use schema::store_path::StorePath;

use self::report::{Challenged, Report};
use self::subjects::{Subject, Subjects};
use crate::cli::{self, DiffTool};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::remote::Remote;
use crate::store::{Location, PathInfo, Store};

/// Challenges paths. No, when there is a disagreement.
pub(super) async fn run(
    challenge: cli::Challenge,
    remote: &Remote<'_>,
    output: &Output,
) -> Result<Exit> {
    if output.is_json() && challenge.diff == Some(DiffTool::Diffoscope) {
        let failure = Failure::could_not_tell("diffoscope writes for people, and not as JSON");
        return Err(failure.hint("--diff compares files for programs, too").into());
    }
    let store = open_store(&challenge)?.map(Arc::new);
    let subjects = find(&challenge, store.as_deref(), remote).await?;
    let known = known(store.as_deref(), &subjects)?;
    let mut paths = Challenged::all(subjects, &known);
    let compare = compare::Compare { remote, store, known: &known, output };
    if challenge.diff == Some(DiffTool::Builtin) {
        for path in paths.iter_mut().filter(|path| path.disagrees()) {
            path.comparisons = Some(compare.built_in(path).await?);
        }
    }
    let report = Report::new(paths);
    output.result(&report, || report.text());
    if challenge.diff == Some(DiffTool::Diffoscope) {
        for path in report.paths.iter().filter(|path| path.disagrees()) {
            compare.diffoscope(path).await?;
        }
    }
    Ok(report.exit())
}

/// The store to compare with. It may be missing where nobody asked for it.
fn open_store(challenge: &cli::Challenge) -> Result<Option<Store>> {
    match &challenge.store {
        Some(location) => Store::open(location, &challenge.paths).map(Some),
        None => Ok(Store::open(&Location::Root("/".into()), &challenge.paths).ok()),
    }
}

async fn find(
    challenge: &cli::Challenge,
    store: Option<&Store>,
    remote: &Remote<'_>,
) -> Result<Vec<Subject>> {
    let mut subjects = Subjects::new(remote);
    if challenge.all {
        subjects.add_all_divergent().await?;
    } else {
        subjects.add_named(&challenge.paths, store)?;
        if challenge.closure {
            subjects.add_local_closure(store)?;
        }
    }
    subjects.ask(challenge.closure, store).await
}

/// What the store knows of the paths.
fn known(store: Option<&Store>, subjects: &[Subject]) -> Result<HashMap<StorePath, PathInfo>> {
    let Some(store) = store else { return Ok(HashMap::new()) };
    let paths: Vec<_> = subjects.iter().flat_map(Subject::store_paths).collect();
    store.known(&paths)
}
