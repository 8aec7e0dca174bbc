//! Whom to ask, for commands that decide by a policy.

use std::path::PathBuf;

use clap::Args;

/// Whom to ask.
#[derive(Debug, Args)]
pub(crate) struct Judging {
    /// A pool whose ledger counts; may be given several times. Default: the one of --server.
    ///
    /// Every ledger that is asked must be heard: one that keeps something back can then make nobody
    /// believe anything. A pool that cannot be reached is heard by what was verified of it before,
    /// for as long as the policy's max_checkpoint_age allows.
    #[arg(long = "pool", value_name = "URL")]
    pub(crate) pools: Vec<String>,

    /// Where to keep what was seen of the pools and of policies, so that none of them goes back.
    ///
    /// Default: $XDG_STATE_HOME/narpool/judge
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}
