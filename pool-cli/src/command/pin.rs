//! `pool pin`, `pool pins` and `pool unpin`: paths that are to stay.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use schema::api::{Pin as Pinned, PinRequest, Unpinned};
use schema::store_path::StorePath;

use crate::cli::{Pin, Unpin};
use crate::exit::Exit;
use crate::output::{Output, plural, time};
use crate::remote::Remote;
use crate::store::in_any_store;

/// Adds a revision.
pub(super) async fn run(pin: Pin, remote: &Remote<'_>, output: &Output) -> Result<Exit> {
    let Pin { name, paths, keep_last, keep_days } = pin;
    let request = PinRequest { paths: resolved(&paths)?, keep_last, keep_days };
    let pinned = remote.pin(&name, &request).await?;
    output.result(&pinned, || {
        let paths = plural(pinned.paths.len(), "path");
        format!("{name}: revision {} keeps the closure of {paths}", pinned.revision)
    });
    Ok(Exit::Yes)
}

/// Lists every revision.
pub(super) async fn list(remote: &Remote<'_>, output: &Output) -> Result<Exit> {
    let pins = remote.pins().await?;
    output.result(&pins, || table(&pins));
    Ok(Exit::Yes)
}

/// Forgets a pin, or a revision.
pub(super) async fn unpin(unpin: Unpin, remote: &Remote<'_>, output: &Output) -> Result<Exit> {
    let revisions = remote.unpin(&unpin.name, unpin.revision).await?;
    output.result(&Unpinned { revisions }, || {
        format!("{}: {} forgotten", unpin.name, plural(revisions, "revision"))
    });
    Ok(Exit::Yes)
}

fn resolved(paths: &[PathBuf]) -> Result<Vec<StorePath>> {
    paths.iter().map(|path| in_any_store(path)).collect()
}

fn table(pins: &[Pinned]) -> String {
    if pins.is_empty() {
        return "no pins; `pool pin NAME PATH…` makes one".to_owned();
    }
    let mut out = String::new();
    for Pinned { name, revision, paths, pinned_at } in pins {
        let _ = writeln!(out, "{name}  revision {revision}, {}", time(*pinned_at));
        for path in paths {
            let _ = writeln!(out, "  {path}");
        }
    }
    out
}
