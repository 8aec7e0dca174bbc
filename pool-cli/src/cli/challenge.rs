//! `pool challenge`: where signers disagree.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::store::Location;

#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Challenge {
    /// Store paths, symlinks to them, or the 32 characters they start with.
    #[arg(value_name = "PATH", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) paths: Vec<PathBuf>,

    /// Challenge all that the paths need, too.
    ///
    /// What a path of the local store needs is looked up there; for any other path, the references
    /// are followed that signers claim it has.
    #[arg(long, conflicts_with = "all")]
    pub(crate) closure: bool,

    /// Challenge every path about which signers of this pool disagree.
    #[arg(long)]
    pub(crate) all: bool,

    /// Show which files differ in the NARs that are claimed.
    ///
    /// The first NAR that can be had is compared with each of the others. The built-in comparison
    /// unpacks nothing; diffoscope gets the files in a temporary directory, and writes what it finds
    /// to standard output.
    #[arg(
        long,
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "builtin"
    )]
    pub(crate) diff: Option<DiffTool>,

    /// Another store to compare with than this machine's: a root directory, or a file:// binary cache.
    ///
    /// Without this option, and without a store on this machine, only signers are compared.
    #[arg(long, value_name = "ROOT|file://DIR")]
    pub(crate) store: Option<Location>,
}

/// What compares two NARs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffTool {
    /// This program: tells the files that differ, and from which byte on.
    Builtin,
    /// The program diffoscope, which looks into files; it must be installed.
    Diffoscope,
}

const AFTER_HELP: &str = "\
What it tells of a path:
  disagree  there are different claims, or the local store has another NAR than is claimed
  agree     two signers or more claim the same, or one claims what the local store has
  alone     one signer has spoken, and there is nothing to compare it with
  unknown   nobody has said anything that counts
  Agreement is told of the paths that were named, and only counted in their closure. The local store
  is asked for the hash in its database; `nix-store --verify-path` compares that with the files.

What it tells of a signer, in paths:
  agreed     another signer said the same
  disagreed  another signer said something else, or it did itself; one path may be in both
  alone      nobody else spoke of the path
  All keys of one name are one signer, and so are a key and the machines that it delegated to.
  Entries that are void, as the key was compromised, are left out.

Exit status:
  0  no disagreement
  1  disagreement found
  2  could not tell: something went wrong, or nobody spoke of a path, and no disagreement was found

Result with --json:
  {\"paths\": [{\"hash_part\": HASH, \"store_path\": PATH, \"verdict\": VERDICT, \"local\": NARHASH,
     \"claims\": [{\"claim\": ID, \"nar_hash\": NARHASH, \"local\": BOOL, \"signers\": [NAME]}],
     \"comparisons\": [{\"first\": NARHASH, \"second\": NARHASH, \"error\": TEXT, \"total\": N,
       \"differences\": [{\"path\": FILE, \"difference\": KIND, …}]}]}],
   \"signers\": [{\"signer\": NAME, \"paths\": N, \"agreed\": N, \"disagreed\": N, \"alone\": N}],
   \"disagree\": N, \"agree\": N, \"alone\": N, \"unknown\": N}
  store_path: absent when nobody spoke of the hash part
  local: the NAR hash in the local store; absent when the path is not there
  comparisons: with --diff, of each path with a disagreement; error when it could not be made
  differences: at most 1000 of the total, by KIND
    only_in_first, only_in_second: kind
    type, executable, target: first, second
    contents: first and second with size and sha256; offset, of the first byte that differs";
