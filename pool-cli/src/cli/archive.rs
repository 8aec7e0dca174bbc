//! What `guix archive --export` and `nix-store --export` wrote.

use std::path::PathBuf;

use clap::Args;

use crate::compress::Method;

/// What an archive holds, and what to make of it.
#[derive(Debug, Args)]
pub(crate) struct Archive {
    /// Send what `guix archive --export` or `nix-store --export` wrote, instead; - for standard input.
    #[arg(
        id = "archive",
        long = "archive",
        value_name = "FILE",
        conflicts_with_all = ["source", "paths", "all_from", "closure", "follow", "jobs"]
    )]
    pub(crate) file: Option<PathBuf>,

    /// Vouch for what is in the archive with this secret key. Without it NARs are kept, and nothing is
    /// attested.
    #[arg(long, value_name = "[NAME=]KEYFILE", requires = "archive", conflicts_with = "source")]
    pub(crate) key: Option<PathBuf>,

    /// How to compress the archive's NARs: zstd, xz or none; with a level if you like, such as zstd:8
    /// or xz:9.
    #[arg(
        long,
        value_name = "METHOD[:LEVEL]",
        default_value = "zstd:3",
        requires = "archive",
        conflicts_with = "source"
    )]
    pub(crate) compression: Method,
}
