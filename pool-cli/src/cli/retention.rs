//! `pool pin`, `pool unpin`, `pool gc`, `pool delete` and `pool undelete`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Pin {
    /// The pin's name: letters, digits and . _ - + @
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Store paths, symlinks to them (such as ./result).
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,

    /// Keep so many of the pin's newest revisions, this one included.
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) keep_last: u32,

    /// Keep revisions that are younger than so many days, too.
    #[arg(long, value_name = "DAYS", default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(..=36_600))]
    pub(crate) keep_days: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Unpin {
    /// The pin's name.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Forget only this revision; `pool pins` tells their numbers.
    #[arg(long, value_name = "N")]
    pub(crate) revision: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// Only say what would go, and why.
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// A store path, or a symlink to one. What refers to it is not touched.
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,

    /// Why. Everybody who asks for the path reads it.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,

    /// Remove its NARs at once, even those that were promised to somebody.
    ///
    /// Clients that hold a narinfo then meet a NAR that is gone. Without this option nobody is told of
    /// the path any more, and its NARs go once they are promised to nobody.
    #[arg(long)]
    pub(crate) now: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Undelete {
    /// The store path, or the 32 characters it starts with.
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
}
