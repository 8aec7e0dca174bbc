//! Unpacks one path.

use std::fs;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};

use super::receive;
use crate::exit::Failure;
use crate::judge::Allowed;
use crate::nar;
use crate::source::Sources;

/// Unpacks the first of them.
pub(super) async fn unpack(allowed: &[Arc<Allowed>], sources: &Sources, to: &Path) -> Result<()> {
    if to.exists() {
        return Err(Failure::could_not_tell(format!("{} is there already", to.display()))
            .hint("name a directory that is to be made")
            .into());
    }
    let first = allowed.first().context("nothing was asked for")?;
    let parent = to.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    let file = receive(first, sources, parent).await?;
    // Beside it, so that what is there under its name is there whole.
    let staging = tempfile::tempdir_in(parent)?;
    let whole = staging.path().join("whole");
    let claim = &first.claim;
    nar::unpack(BufReader::new(file.reopen()?), claim.nar_hash(), claim.nar_size(), &whole)
        .with_context(|| format!("unpacking {}", first.claim.path()))?;
    fs::rename(&whole, to).with_context(|| format!("making {}", to.display()))
}
