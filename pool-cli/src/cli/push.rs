//! `pool push` and `pool attest`.

use std::path::PathBuf;

use clap::Args;

use crate::compress::Method;
use crate::store::Location;

/// What to sign, and with what.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// The secret key to sign with; `nix key generate-secret` and `pool key generate` make them.
    ///
    /// For a Guix store also /etc/guix/signing-key.sec, which then needs no name: the pool knows it.
    #[arg(long, value_name = "[NAME=]FILE", required = true)]
    pub(crate) key: PathBuf,

    /// Another store than this machine's: a root directory, or a file:// binary cache.
    ///
    /// For a root directory ROOT, the database is ROOT/nix/var/nix/db/db.sqlite and the files lie in
    /// ROOT/nix/store; for Guix ROOT/var/guix/db/db.sqlite and ROOT/gnu/store. Paths are still
    /// spelled /nix/store/… or /gnu/store/….
    #[arg(long, value_name = "ROOT|file://DIR", default_value = "/")]
    pub(crate) store: Location,
}

#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Push {
    /// Store paths, paths inside of them, or symlinks to them (such as ./result).
    #[arg(value_name = "PATH", required_unless_present = "post_build_hook")]
    pub(crate) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) source: Source,

    /// How to compress NARs: zstd, xz or none; with a level if you like, such as zstd:8 or xz:9.
    ///
    /// The pool keeps each NAR as its first sender compressed it. zstd (1 to 19) is in independent
    /// frames of 4 MiB, packed on all cores. xz (0 to 9) is in streams of 4 MiB; it needs about 50
    /// MiB of memory a core.
    #[arg(long, value_name = "METHOD[:LEVEL]", default_value = "zstd:3")]
    pub(crate) compression: Method,

    /// Uploads under way at a time. Default: two a core, at least 4 and at most 32.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: Option<u16>,

    /// Act as Nix's post-build-hook: push $OUT_PATHS, and never fail a build.
    #[arg(long)]
    pub(crate) post_build_hook: bool,
}

const AFTER_HELP: &str = "\
As a post-build hook:
  Put into nix.conf
      post-build-hook = /etc/nix/push-to-pool
  and into that file, executable,
      #!/bin/sh
      exec pool push --post-build-hook --server http://pool:8484 --token-file FILE --key FILE
  When the pool is down the build goes on: the paths wait in $XDG_STATE_HOME/narpool/queue
  (/var/lib/narpool/queue when there is no home directory), and the next push or hook with the same
  server, key and store sends them as well. What can never be sent, such as a path that was changed,
  is set aside there as *.refused.

Result with --json:
  {\"signer\": NAME, \"paths\": N, \"nars_sent\": N, \"nars_known\": N, \"nar_bytes\": N, \"bytes_sent\": N,
   \"attestations_new\": N, \"attestations_known\": N, \"seconds\": N}
  nar_bytes: size of the closure's NARs, uncompressed, each counted once
  bytes_sent: all bytes in request bodies, repeated attempts included";

#[derive(Debug, Args)]
pub(crate) struct Attest {
    /// Store paths, paths inside of them, or symlinks to them (such as ./result).
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) source: Source,
}
