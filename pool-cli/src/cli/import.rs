//! `pool import`.

use std::path::PathBuf;

use clap::Args;

use super::archive::Archive;

#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Import {
    /// The source: a binary cache of Nix's, `guix publish`, or another pool. It is shown no token.
    #[arg(value_name = "URL", required_unless_present = "archive")]
    pub(crate) source: Option<String>,

    /// Store paths, or the 32 characters they start with.
    #[arg(value_name = "PATH", required_unless_present_any = ["all_from", "follow", "archive"])]
    pub(crate) paths: Vec<PathBuf>,

    /// Import the paths in this file, too: one a line. `-` is standard input.
    ///
    /// Blank lines, and what follows a `#`, are passed over.
    #[arg(long, value_name = "LIST")]
    pub(crate) all_from: Option<PathBuf>,

    /// Import all that the paths refer to, too, as the source has it.
    #[arg(long)]
    pub(crate) closure: bool,

    /// The same as --all-from, and then go on: what is appended to the file, or arrives on standard
    /// input, is imported as it comes.
    ///
    /// A line counts once it is ended. A path that cannot be imported is told and tried again later,
    /// after a minute at first and half an hour at last.
    #[arg(long, value_name = "LIST")]
    pub(crate) follow: Option<PathBuf>,

    /// NARs under way at a time. Default: two a core, at least 4 and at most 32.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: Option<u16>,

    #[command(flatten)]
    pub(crate) archive: Archive,
}

const AFTER_HELP: &str = "\
Whose signatures are taken:
  Those by keys that are enrolled at the pool: `pool signer enrol` makes a key known, and that makes
  nobody believe it. A key of Nix's is enrolled as its line in trusted-public-keys, one of Guix's as
  `pool signer enrol NAME=signing-key.pub`, with the file that the source has at /signing-key.pub.
  A path that only others have signed, or nobody, is told and left alone; nor is its NAR fetched, or
  followed what it refers to.
  A path with a signature that does not verify is an error, and nothing of it is taken.
  Signatures by keys of RSA are kept nowhere: the NAR is taken, and nobody has vouched for it.

What the source offers:
  Of several compressions, the smallest file is taken. A source that says that it is still baking a
  path is asked again, for ten minutes; so is one that does not answer, for half a minute. Where a
  connection breaks off in the midst of a NAR, the next one goes on from there if the source can do
  that; one over which nothing comes any more is given up.

What of an archive is taken:
  Of Guix's, items signed by a key that the pool knows; every signature is checked. It is over other
  bytes than those of a claim, so that it is no attestation: with --key you vouch for the items yourself.
  Of Nix's, which nobody signs, everything, but only with --key.
  At the first item that is refused it stops. What came before that one is kept. $TMPDIR (default /tmp)
  holds one NAR at a time, compressed, before it is sent.

Exit status:
  0    every path is in the pool, as the source has it
  1    the source does not have a path, nobody known has signed it, or it was refused
  2    could not tell: the source or the pool could not be reached
  Disagreement with what others have attested is told, and is no failure: `pool challenge` shows it.

Result with --json, with --follow a line each time that something was imported or failed:
  {\"source\": URL, \"paths\": N, \"nars_fetched\": N, \"nars_known\": N, \"nar_bytes\": N,
   \"bytes_fetched\": N, \"attestations_new\": N, \"attestations_known\": N, \"unattested\": N, \"rsa\": N,
   \"absent\": N, \"refused\": N, \"failed\": N, \"diverging\": N, \"seconds\": N}
  paths: imported, now or before
  nar_bytes: size of their NARs, uncompressed, each counted once
  bytes_fetched: all bytes of narinfos and NARs that the source sent, repeated attempts included
  unattested: not imported, for no signer known to the pool has signed it
  rsa: of the paths, those that are signed with RSA and so vouched for by nobody
  absent: the source does not have it
  refused: a signature that does not verify, a narinfo about something else, or the pool's refusal
  failed: the source did not give it, or not in time
  diverging: of the paths, those about which signers disagree

Result with --json and --archive:
  {\"paths\": N, \"nars_sent\": N, \"nars_known\": N, \"attestations_new\": N,
   \"attestations_known\": N, \"bytes_sent\": N, \"seconds\": N}";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Cli;

    #[test]
    fn an_import_needs_a_source_and_something_to_import() {
        let read = |rest: &str| Cli::try_parse_from(format!("pool import {rest}").split(' '));
        assert!(read("http://a").is_err());
        assert!(read("http://a /gnu/store/x --closure --jobs 3").is_ok());
        assert!(read("http://a --all-from list").is_ok());
        assert!(read("http://a --follow -").is_ok());
        assert!(read("http://a x --jobs 0").is_err());
        assert!(read("--archive f --key k --compression xz:9").is_ok());
        assert!(read("http://a x --archive f").is_err());
        assert!(read("http://a x --key k").is_err());
        assert!(read("http://a x --compression xz").is_err());
    }
}
