//! Commands that act on what a policy allows.

use std::path::PathBuf;

use clap::Args;

use super::judging::Judging;
use crate::store::Location;

#[derive(Debug, Args)]
#[command(after_long_help = VERIFY_AFTER_HELP)]
pub(crate) struct VerifyStore {
    /// Store paths, paths inside of them, or symlinks to them (such as ./result).
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,

    /// The policy.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,

    /// Read every file again, and not only what the store's database says of it.
    #[arg(long)]
    pub(crate) deep: bool,

    /// Another store than this machine's: a root directory, or a file:// binary cache.
    #[arg(long, value_name = "ROOT|file://DIR", default_value = "/")]
    pub(crate) store: Location,

    #[command(flatten)]
    pub(crate) judging: Judging,
}

const VERIFY_AFTER_HELP: &str = "\
Exit status:
  0    the policy allows every path of the closure, as it is here
  1    it does not, or a path here is another than the policy allows
  2    nobody could tell: a ledger was not heard

Result with --json:
  {\"paths\": N, \"allowed\": N, \"refused\": [{\"path\": \"…\", \"code\": \"…\", \"reason\": \"…\"}]}";

#[derive(Debug, Args)]
#[command(after_long_help = FETCH_AFTER_HELP)]
pub(crate) struct Fetch {
    /// Store paths, or the 32 characters they start with.
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,

    /// The policy.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,

    /// Where to put it. It must not be there yet, unless with --cache. With --export, - is standard
    /// output.
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) to: PathBuf,

    /// Make a binary cache of the whole closure, for `nix copy --from file://DIR`, instead of
    /// unpacking the one path into DIR.
    ///
    /// Its narinfos carry the signatures of everybody whose word counted.
    #[arg(long)]
    pub(crate) cache: bool,

    /// Write the whole closure to one file, for `guix archive --import` or `nix-store --import` on a
    /// machine without a network.
    #[arg(long, conflicts_with = "cache")]
    pub(crate) export: bool,

    /// Sign the file, as Guix demands: with a secret key of Guix's that the other machine knows by
    /// `guix archive --authorize`.
    #[arg(long, value_name = "FILE", requires = "export")]
    pub(crate) key: Option<PathBuf>,

    /// A binary cache, pool or mirror that may have NARs; nothing else of it is believed. May be given
    /// several times.
    #[arg(long = "from", value_name = "URL")]
    pub(crate) caches: Vec<String>,

    /// Take NARs from no mirrors but those named here.
    ///
    /// Without this, each pool is asked which mirrors it has, and those are asked for NARs, too: the
    /// nearest first, without any token. They are believed in nothing. A pool that is asked by https
    /// leads only to mirrors by https.
    #[arg(long)]
    pub(crate) no_mirrors: bool,

    #[command(flatten)]
    pub(crate) judging: Judging,
}

const FETCH_AFTER_HELP: &str = "\
The pool on a stick, for a machine without a network:
  pool fetch --policy FILE --export --key stick.sec --to /mnt/hello.export /gnu/store/…-hello
  pool key acl stick.sec > /mnt/stick.pub
and there, as root
  guix archive --authorize < /mnt/stick.pub     once
  guix archive --import < /mnt/hello.export
For Nix neither key nor authorisation: nix-store --import < /mnt/hello.export. Nix then notices nothing of
what was changed on the way, so that the stick must be in good hands. Guix does.
Whom the policy believes was settled here; over there they believe you.

Result with --json:
  {\"paths\": N, \"nar_bytes\": N, \"to\": \"…\"}
  With --export --to - there is none: standard output is the archive.";

#[derive(Debug, Args)]
#[command(after_long_help = COUNTERSIGN_AFTER_HELP)]
pub(crate) struct Countersign {
    /// The secret key to sign with.
    #[arg(long = "as", value_name = "KEYFILE")]
    pub(crate) key: PathBuf,

    /// Whose claims to sign: a machine's key that KEYFILE delegated to, by name, or any public key.
    /// May be given several times. Default: every machine that KEYFILE delegated to.
    ///
    /// Delegations are signed by KEYFILE itself, so that the pool cannot name other machines.
    #[arg(long, value_name = "NAME|PUBLICKEY")]
    pub(crate) from: Vec<String>,

    /// Sign what this policy allows. Default: what any one of those in --from has attested, with all
    /// that it refers to.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

    /// Go on, and sign what they attest from now on.
    #[arg(long)]
    pub(crate) follow: bool,

    /// Where to keep what was seen of the pool, and how far its ledger was followed.
    ///
    /// Default: $XDG_STATE_HOME/narpool/countersign
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

const COUNTERSIGN_AFTER_HELP: &str = "\
No NAR moves: the claims come from the ledger, where every signature is verified, and what goes back is
one signature each. Users who believe KEYFILE alone then need not know the machines.

What is in another store than the policy's is passed over. Without --policy that is /gnu/store for a key
of Guix's, and the pool's own store for any other. A key of Guix's signs its own words, without a deriver:
who built something from what is for its builder to say.

Result with --json, a line a round:
  {\"claims\": N, \"signed\": N, \"known\": N, \"refused\": N, \"bytes_sent\": N}
  claims: claims by those in --from that are new to this command
  signed: signatures that the ledger did not have
  known: claims that KEYFILE had signed before
  refused: claims that the policy does not allow (yet); they are tried again next time";
