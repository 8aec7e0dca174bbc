//! Unpacking a NAR for programs that look at files.

use std::io::Read;
use std::path::Path;

use anyhow::Result;
use nix_archive::nar::{CaseHack, restore_reader};
use schema::hash::NarHash;

use super::walk::checked;

/// Makes the files of `nar` at `place`, where there is nothing yet, and never outside of it. What
/// was made stays when the NAR turns out not to have this hash and size.
pub(crate) fn unpack(nar: impl Read, hash: NarHash, size: u64, place: &Path) -> Result<()> {
    checked(nar, hash, size, |reader| restore_reader(reader, place, CaseHack::native()))
}
