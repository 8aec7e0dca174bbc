//! `pool ledger`: for those who do not take a pool at its word.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schema::key::KeyName;
use schema::tlog::note::VerifierKey;

#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Check everything that is new in a pool's logs, and that nothing seen before has changed.
    ///
    /// The first visit reads the three logs whole, and keeps a copy; later ones read what is new.
    /// Checked are the signatures of the checkpoints, that each log has only grown, that its tiles
    /// are those of its entries, every signature by every signer over every claim, that the signer's
    /// key could attest at that place, and that the index log lists what the entries say.
    ///
    /// Exits with 0 when all is in order, and with 1 when the pool is caught: each finding is named.
    Audit(Audit),
    /// Take the proof that a signer attested a path, for those who are offline.
    ///
    /// The receipt holds the entry, its place in the log, and the log's checkpoint with the
    /// cosignatures of its witnesses. It is verified before it is written.
    Proof(Proof),
    /// Verify such a proof, without asking anybody.
    ///
    /// Exits with 1 when it does not prove what it should.
    Verify(Verify),
}

#[derive(Debug, Args)]
#[command(after_long_help = AUDIT_AFTER_HELP)]
pub(crate) struct Audit {
    /// The pool's address; the same as --server.
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,

    /// The key of one of its logs, if you know it from elsewhere; may be repeated.
    ///
    /// Without it the keys are those that the pool shows at the first visit. At later visits they
    /// must be the same.
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: Vec<VerifierKey>,

    /// A tlog-policy file: so many witnesses must have cosigned each checkpoint.
    ///
    /// If it has log lines, it is about those logs alone.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

    /// Where to keep what was seen. Default: $XDG_STATE_HOME/narpool/ledger
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

const AUDIT_AFTER_HELP: &str = "\
When a log has forked or shrunk:
  Both checkpoints, the one seen before and the one shown now, are kept under evidence/ in the state
  directory. The log signed both, so anybody can see that it lied. What was copied before stays.

What it takes:
  The copy has 212 bytes for each attestation, and memory grows by about 600 bytes for each.

Result with --json:
  {\"server\": URL, \"origin\": NAME, \"first_visit\": BOOL,
   \"logs\": {\"keys\": {\"before\": N, \"size\": N}, \"attestations\": {…}, \"index\": {…}},
   \"signatures\": N, \"not_checkable\": N, \"void\": N, \"covered\": N,
   \"findings\": [{\"log\": NAME, \"entry\": N, \"code\": CODE, \"detail\": TEXT}],
   \"findings_total\": N, \"evidence\": [FILE], \"seconds\": N}
  not_checkable: entries whose claims the pool has collected, so that no signature can be verified
  void: entries in the whole log that do not count, as their keys were compromised
  covered: attestations that the newest leaf of the index log is about
  findings: at most 100 of them";

#[derive(Debug, Args)]
pub(crate) struct Proof {
    /// A store path, or a symlink to one.
    pub(crate) path: PathBuf,

    /// Who signed; the newest of its attestations of the path is taken.
    #[arg(long, value_name = "NAME")]
    pub(crate) signer: KeyName,

    /// Where to write the receipt. Default: standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A receipt, as `pool ledger proof` writes it.
    pub(crate) receipt: PathBuf,

    /// The key of the log of attestations; `pool ledger audit` tells it at the first visit.
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: VerifierKey,

    /// A tlog-policy file: so many witnesses must have cosigned the checkpoint.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

    /// The store path that it must be about.
    #[arg(long, value_name = "STOREPATH")]
    pub(crate) path: Option<PathBuf>,
}
