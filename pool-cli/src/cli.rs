//! The command line. `--help` is the manual, and the man pages are made from it.

mod archive;
mod challenge;
mod import;
mod judging;
mod ledger;
mod mirror;
mod pages;
mod policy;
mod proxy;
mod signer;
mod trust;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use schema::key::KeyName;

use crate::compress::Method;
use crate::store::Location;

pub(crate) use self::archive::Archive;
pub(crate) use self::challenge::{Challenge, DiffTool};
pub(crate) use self::import::Import;
pub(crate) use self::judging::Judging;
pub(crate) use self::ledger::{Audit, Ledger, Proof, Verify};
pub(crate) use self::mirror::{Carry, Filter, Mirror, MirrorAction};
pub(crate) use self::pages::{Shell, completions, man_page, write_man_pages};
pub(crate) use self::policy::{Explain, Init, Policy};
pub(crate) use self::proxy::Proxy;
pub(crate) use self::signer::{Delegate, Revoke, Rotate, Signer};
pub(crate) use self::trust::{Countersign, Fetch, VerifyStore};

/// Reads the arguments; help, version and mistakes end the program here.
pub(crate) fn parse() -> Cli {
    Cli::parse()
}

/// Push store paths to a narpool, attest them with your key, and see who vouches for what.
///
/// A pool keeps each NAR once, whoever sends it, and beside it the signatures of everybody who
/// built it. `pool push` sends what the pool lacks and signs the whole closure; `pool attest` signs
/// without sending anything; `pool show` tells who signed what.
#[derive(Debug, Parser)]
#[command(name = "pool", version, max_term_width = 100, after_long_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  pool key generate alice-1 --out alice.secret
  pool login http://127.0.0.1:8484 --token-file narpool-data/admin.token
  pool signer enrol alice.secret
  pool push ./result --key alice.secret
  pool show ./result

Exit status:
  0    yes: done, or it is so
  1    no: not known to the pool, refused by it, or a path is not what the store says
  2    could not tell: no connection, unreadable file, wrong command line
  130  interrupted; what was sent so far stays, and running the command again goes on from there

Files:
  $XDG_CONFIG_HOME/narpool/credentials.toml   what `pool login` keeps (default ~/.config)
  $XDG_STATE_HOME/narpool/queue/              pushes that wait for the pool (default ~/.local/state)
  $XDG_STATE_HOME/narpool/ledger/             what `pool ledger audit` saw of each pool";

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The pool's address, such as http://127.0.0.1:8484; else the one `pool login` kept.
    #[arg(long, global = true, value_name = "URL", env = "NARPOOL_SERVER", hide_env_values = true)]
    pub(crate) server: Option<String>,

    /// A file with the token to show the pool.
    ///
    /// Without it the environment variable NARPOOL_TOKEN is used, else the token that `pool login`
    /// kept for this very address. A token is never sent to any other address.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// Certificates (PEM) to trust for https beside those of the system.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "NARPOOL_CA_FILE",
        hide_env_values = true
    )]
    pub(crate) ca_file: Option<PathBuf>,

    /// Print the result as JSON on standard output, and errors as JSON on standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print results, warnings and errors only.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Keep a pool's address and token, so that other commands need neither.
    ///
    /// The token is taken from --token-file, from NARPOOL_TOKEN, or asked for (on a terminal without
    /// echo, else the first line of standard input). It is tried before it is kept, in a file that
    /// only you can read. A pool that asks for no token needs none: leave the line empty.
    Login(Login),
    /// Make and look at signing keys, in Nix's and Guix's own file formats.
    ///
    /// Guix's key files have no names. Wherever a key is asked for, NAME=FILE gives them one; a pool
    /// that knows a key knows its name, too.
    #[command(subcommand)]
    Key(Key),
    /// Make keys known to the pool, list those it knows, and say what became of them.
    #[command(subcommand)]
    Signer(Signer),
    /// Send the NARs that the pool lacks, and sign the closure of the paths.
    ///
    /// Finds the closure in the store's own database, asks the pool once what it lacks, then dumps,
    /// checks, compresses and uploads that in parallel, and attests every path in one request. What
    /// the pool has is not even read. A path whose files do not have the hash that the database says
    /// is an error, and nothing of it is kept.
    ///
    /// Run it again after any failure: it goes on where it stopped.
    #[command(after_long_help = PUSH_AFTER_HELP)]
    Push(Push),
    /// Sign the closure of the paths, without sending or even reading any NAR.
    ///
    /// For a builder who made what others pushed already: only the store's database is read. A NAR
    /// that the pool does not have may be attested too; its path is served once somebody pushes it.
    Attest(Attest),
    /// Take paths over from a binary cache or `guix publish`, with its signatures; or from an archive.
    ///
    /// NARs go to the pool in the compression that they come in, and never touch this machine's disk;
    /// the signatures beside them are verified here and become attestations of the signers that the
    /// pool knows. What the pool has already is not fetched.
    ///
    /// Run it again after any failure: it goes on where it stopped.
    Import(Import),
    /// Carry what other pools hold to one of yours: ledgers, claims and NARs.
    ///
    /// A client of both ends: it keeps nothing itself, and goes on from where the mirror is. Run it again
    /// after any failure.
    Mirror(Box<Mirror>),
    /// Show what the pool knows of a path: the claims, who signed which, and whether they disagree.
    ///
    /// Exits with 1 when the pool never saw the path or NAR.
    Show(Show),
    /// Show where signers disagree: with each other, and with the local store.
    Challenge(Challenge),
    /// Watch a pool's ledger: audit it, and take proofs from it.
    #[command(subcommand)]
    Ledger(Ledger),
    /// Check a policy file, and see what it makes of paths.
    #[command(subcommand)]
    Policy(Policy),
    /// Check what lies in the local store against a policy, with all that it refers to.
    Verify(VerifyStore),
    /// Take what a policy allows out of a pool: unpacked, as a binary cache, or as an archive to import.
    Fetch(Fetch),
    /// Sign what others built, by what the ledger shows of it; no NAR moves.
    Countersign(Countersign),
    /// Be this host's own binary cache, which shows what a policy allows, and nothing else.
    Proxy(Proxy),
    /// See whether the pool answers, and how fast.
    Ping,
    /// Print a completion script for a shell.
    ///
    /// For bash: pool completions bash > ~/.local/share/bash-completion/completions/pool
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print this manual as a man page, or write one page a command into a directory.
    Man {
        /// Where to write pool.1, pool-push.1 and the others; it is made if missing.
        dir: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The pool's address; the same as --server.
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a key; prints its public line, which is what others put into trusted-public-keys.
    Generate {
        /// The name, for ever: package managers find keys by it. Often host name, dash, number.
        name: KeyName,
        /// Where the secret half goes, readable by you alone; never overwritten. Default: NAME.secret
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Make a key for Guix, in Guix's own format: what `guix archive --generate-key` makes.
        #[arg(long)]
        guix: bool,
    },
    /// Print the public line of a secret key file.
    Public {
        /// As `pool key generate`, `nix key generate-secret` or, with NAME= before it, `guix archive
        /// --generate-key` wrote it.
        #[arg(value_name = "[NAME=]KEYFILE|PUBLICKEY")]
        key: String,
    },
    /// Print a key of Guix's as `guix archive --authorize` wants it.
    ///
    /// As root: pool key acl FILE | guix archive --authorize
    Acl {
        /// A file with either half, or a public line such as `berlin-1:ecdsa:8D15…`.
        #[arg(value_name = "KEYFILE|PUBLICKEY")]
        key: String,
    },
}

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

const PUSH_AFTER_HELP: &str = "\
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

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// A store path, a symlink to one, the 32 characters it starts with, or a NAR hash
    /// (sha256:…, sha256-…, or 52 characters).
    #[arg(value_name = "PATH|HASH")]
    pub(crate) subject: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_hook_needs_no_paths_and_a_push_does() {
        let read = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(read("pool push --post-build-hook --key k").is_ok());
        assert!(read("pool push --key k").is_err());
        assert!(read("pool push ./result").is_err());
        let cli = read("pool push ./result --key k --json --store file:///cache").unwrap();
        assert!(cli.global.json);
        assert!(read("pool push p --key k --compression lzip").is_err());
        assert!(read("pool push p --key k --compression zstd:23").is_err());
        assert!(read("pool key generate a:b").is_err());
        let delegate = "pool signer delegate --root r box.pub --names linux-*";
        assert!(read(&format!("{delegate} --not-after 90d")).is_ok());
        assert!(read(delegate).is_err(), "no delegation is for ever");
        assert!(read(&format!("{delegate} --not-after soon")).is_err());
        assert!(read("pool signer delegate --root r b --names a** --not-after 1d").is_err());
        assert!(read("pool signer revoke --key k box --compromised-from 7").is_ok());
        assert!(read("pool signer revoke box").is_err());
    }
}
