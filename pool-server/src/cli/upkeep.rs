//! Commands that look after a data directory.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schema::base_url::BaseUrl;

#[derive(Debug, Subcommand)]
pub(crate) enum UpkeepCommand {
    /// Make a backup of the pool in the data directory, beside its running server or without one.
    ///
    /// The backup is of one moment, and lies in DIR only once it is whole and durable. On the file system
    /// of the pool it takes little room: NARs and tables of the index get second names.
    Backup(BackupArguments),
    /// Make a data directory out of a backup.
    ///
    /// The pool in it serves what it has, but signs nothing until `pool-server continue` has said how its
    /// ledger goes on: others may have seen entries that the backup lacks.
    Restore(RestoreArguments),
    /// Let a restored pool sign again. Its server must not run.
    Continue(ContinueArguments),
    /// Make the index anew from ledger, claims and NARs. No server may run meanwhile.
    ///
    /// Reads every NAR. The old index stays until the new one is whole, so there must be room for both.
    Reindex(ReindexArguments),
}

#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// The directory to make. Its parent must be there.
    pub(crate) dir: PathBuf,
    /// Leave out NARs and build logs: mirrors have them.
    #[arg(long)]
    pub(crate) no_nars: bool,
    /// Print what is in the backup as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// The directory that `pool-server backup` made.
    pub(crate) dir: PathBuf,
    /// Note of NARs that the backup lacks that they can be had from this pool or mirror: `pool mirror
    /// --pull` brings them.
    #[arg(long, value_name = "URL")]
    pub(crate) nars_from: Option<BaseUrl>,
    /// Print what was restored as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ContinueArguments {
    #[command(flatten)]
    pub(crate) way: Way,
    /// Go on although not every witness in `witness-policy` tells what it has seen.
    #[arg(long)]
    pub(crate) without_witnesses: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Way {
    /// Nobody has seen entries that the backup lacks, or they are to be lost. Should somebody keep a
    /// checkpoint of them, he can prove that this pool has forked its log.
    #[arg(long)]
    pub(crate) accept_loss: bool,
    /// Take the entries that the backup lacks from a mirror of this pool, whose data directory this is. Its
    /// server must not run. Of a mirror elsewhere, `pool mirror` makes one here.
    #[arg(long, value_name = "DIR")]
    pub(crate) mirror: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReindexArguments {
    /// Believe what the index says of NARs, and read none: much faster.
    #[arg(long)]
    pub(crate) trust_nars: bool,
    /// Print what was found as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
