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
mod push;
mod retention;
mod signer;
mod trust;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use schema::key::KeyName;

pub(crate) use self::archive::Archive;
pub(crate) use self::challenge::{Challenge, DiffTool};
pub(crate) use self::import::Import;
pub(crate) use self::judging::Judging;
pub(crate) use self::ledger::{Audit, Ledger, Proof, Verify};
pub(crate) use self::mirror::{Carry, Filter, Mirror, MirrorAction};
pub(crate) use self::pages::{Shell, completions, man_page, write_man_pages};
pub(crate) use self::policy::{Explain, Init, Policy};
pub(crate) use self::proxy::Proxy;
pub(crate) use self::push::{Attest, Push};
pub(crate) use self::retention::{Delete, Gc, Pin, Undelete, Unpin};
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
    /// Have paths stay in the pool, with all that they refer to, under a name of yours.
    ///
    /// Pinning the name again makes a new revision of it; older revisions go, but for those that
    /// --keep-last and --keep-days keep. A pin keeps what is in the pool: push it first.
    Pin(Pin),
    /// List the pool's pins.
    Pins,
    /// Forget a pin: what only it kept goes by the pool's rules.
    Unpin(Unpin),
    /// Have the pool take space back now, by its operator's rules; it does so by itself, too.
    ///
    /// What goes is unlisted first: narinfos do not name it any more, and say why. Its NAR stays until
    /// all promises that were made with narinfos have ended, and is then swept.
    Gc(Gc),
    /// Take a path down, for good: nobody gets it here, and nobody can bring it.
    ///
    /// Its entries stay in the ledger, which nobody can change, and mirrors see the reason.
    Delete(Delete),
    /// Let a path that was taken down be there again, once somebody brings it.
    Undelete(Undelete),
    /// List what was taken down, and why.
    Deletions,
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
