//! `pool delete`, `pool undelete` and `pool deletions`: paths that are not to be had.

use std::fmt::Write;

use anyhow::Result;
use schema::api::{Deletion, DeletionRequest};

use crate::cli::{Delete, Undelete};
use crate::exit::Exit;
use crate::output::{Output, time};
use crate::remote::Remote;
use crate::store::in_any_store;

/// Takes a path down.
pub(super) async fn run(delete: Delete, remote: &Remote<'_>, output: &Output) -> Result<Exit> {
    let Delete { path, reason, now } = delete;
    let request = DeletionRequest { path: in_any_store(&path)?, reason, now };
    let deletion = remote.delete(&request).await?;
    output.result(&deletion, || format!("taken down: {}", deletion.path));
    Ok(Exit::Yes)
}

/// Lets it be there again.
pub(super) async fn undo(it: Undelete, remote: &Remote<'_>, output: &Output) -> Result<Exit> {
    let spelled = it.path.to_str().and_then(|text| text.parse().ok());
    let hash_part = match spelled {
        Some(hash_part) => hash_part,
        None => in_any_store(&it.path)?.base().hash_part(),
    };
    let deletion = remote.undelete(hash_part).await?;
    output.result(&deletion, || format!("may be there again: {}", deletion.path));
    Ok(Exit::Yes)
}

/// Lists what was taken down.
pub(super) async fn list(remote: &Remote<'_>, output: &Output) -> Result<Exit> {
    let mut all: Vec<Deletion> = Vec::new();
    loop {
        let after = all.last().map(|it| it.path.base().hash_part());
        let page = remote.deletions(after).await?;
        all.extend(page.deletions);
        if !page.more {
            break;
        }
    }
    output.result(&all, || table(&all));
    Ok(Exit::Yes)
}

fn table(deletions: &[Deletion]) -> String {
    if deletions.is_empty() {
        return "nothing was taken down".to_owned();
    }
    let mut out = String::new();
    for Deletion { path, reason, deleted_at } in deletions {
        let _ = writeln!(out, "{path}  {}: {reason}", time(*deleted_at));
    }
    out
}
