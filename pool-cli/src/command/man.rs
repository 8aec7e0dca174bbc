//! `pool man`: the manual as man pages.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::cli;
use crate::exit::Exit;
use crate::output::Output;

/// Prints one page, or writes all into `dir`.
pub(super) fn run(dir: Option<&Path>, output: &Output) -> Result<Exit> {
    let Some(dir) = dir else {
        output.raw(&cli::man_page()?);
        return Ok(Exit::Yes);
    };
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    cli::write_man_pages(dir).with_context(|| format!("writing into {}", dir.display()))?;
    output.result(&json!({ "dir": dir }), || format!("the man pages are in {}", dir.display()));
    Ok(Exit::Yes)
}
