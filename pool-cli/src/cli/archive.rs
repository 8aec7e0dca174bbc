//! What `guix archive --export` and `nix-store --export` wrote.

use std::path::PathBuf;

use clap::Args;

use crate::compress::Method;

/// Send what an archive holds.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Archive {
    /// The archive; - for standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Vouch for what is in it with this secret key. Without it NARs are kept, and nothing is attested.
    #[arg(long, value_name = "[NAME=]KEYFILE")]
    pub(crate) key: Option<PathBuf>,

    /// How to compress NARs: zstd, xz or none; with a level if you like, such as zstd:8 or xz:9.
    #[arg(long, value_name = "METHOD[:LEVEL]", default_value = "zstd:3")]
    pub(crate) compression: Method,
}

const AFTER_HELP: &str = "\
What is taken:
  Of Guix's archives, items signed by a key that the pool knows; every signature is checked. It is over
  other bytes than those of a claim, so that it is no attestation: with --key you vouch for the items
  yourself.
  Of Nix's archives, which nobody signs, everything, but only with --key.
  At the first item that is refused it stops. What came before that one is kept.

Files:
  $TMPDIR (default /tmp)   holds one NAR at a time, compressed, before it is sent

Result with --json:
  {\"paths\": N, \"nars_sent\": N, \"nars_known\": N, \"attestations_new\": N, \"attestations_known\": N,
   \"bytes_sent\": N, \"seconds\": N}";
