//! `pool policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schema::store_path::StoreDir;

use super::judging::Judging;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Read a policy file, and say what is wrong with it, or doubtful.
    ///
    /// Exits with 1 when the file is no policy. What is merely doubtful is told on standard error.
    Check {
        /// The policy.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Write a first policy, with comments.
    ///
    /// What the options leave open is asked for when this is run on a terminal; signers are then chosen
    /// from those that the pool of --server knows.
    Init(Init),
    /// Show what a policy makes of paths and everything that they refer to, and why.
    ///
    /// Asks the pools, verifies all that they show, and tells of each path who attested it, whose
    /// word counted, and what is lacking. Exits with 1 unless all of it is allowed.
    Explain(Explain),
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The name of the policy. Default: my-policy
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Whom to believe: a public key, or the file of one; once for each.
    #[arg(long = "signer", value_name = "KEYFILE|PUBLICKEY")]
    pub(crate) signers: Vec<String>,

    /// How many of them must agree. Default: more than half.
    #[arg(long, value_name = "K")]
    pub(crate) k: Option<usize>,

    /// The store whose paths it is about.
    #[arg(long, value_name = "DIR", default_value = "/nix/store")]
    pub(crate) store_dir: StoreDir,

    /// The file to write, which must not be there yet. Default: standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The policy.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Store paths, symlinks to them (such as ./result), or the 32 characters they start with.
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) judging: Judging,
}
