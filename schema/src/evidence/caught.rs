//! What a pool is caught at.

use thiserror::Error;

use crate::hash::{ClaimId, KeyId};
use crate::store_path::StorePath;

/// Why an answer is not believed, all of it. Some of these a damaged connection can cause, and others
/// only the pool itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Caught {
    /// A line that does not read, stands in the wrong place, or is missing.
    #[error("the answer is broken: {0}")]
    Malformed(String),
    /// Not the pool that was asked.
    #[error("the pool shows the logs of {shown}, and not those of {known}")]
    OtherLog {
        /// What the known one is called, and its key.
        known: String,
        /// What this one is called, and its key.
        shown: String,
    },
    /// A checkpoint that the log has not signed.
    #[error("the checkpoint of {log} is not signed by the log: {why}")]
    NotSigned {
        /// The log.
        log: String,
        /// What is wrong with it.
        why: String,
    },
    /// Too few of the witnesses that the policy names.
    #[error("{have} of {k} witnesses have cosigned the checkpoint of {log}")]
    Quorum {
        /// The log.
        log: String,
        /// How many have.
        have: usize,
        /// How many must.
        k: usize,
    },
    /// The log is shorter than it was.
    #[error("{log} goes back: it has {shown} entries, and had {known}")]
    Rollback {
        /// The log.
        log: String,
        /// Entries that were seen.
        known: u64,
        /// Entries that it has now.
        shown: u64,
    },
    /// The log has another history than it had.
    #[error("{log} is forked: the {shown} entries shown do not begin with the {known} seen before")]
    Fork {
        /// The log.
        log: String,
        /// Entries that were seen.
        known: u64,
        /// Entries of the other history.
        shown: u64,
    },
    /// Entries of the keys log are kept back, or changed.
    #[error("the keys log shown is not the one that was signed: {0}")]
    KeysWithheld(String),
    /// An event that cannot have happened to a key.
    #[error("the keys log has an entry that it must not have: {0}")]
    KeyEvent(String),
    /// The index log does not speak of this attestations log.
    #[error("the index log is of another ledger: {0}")]
    IndexRoot(String),
    /// The ledger's map lists other entries about the path than are shown.
    #[error("{path}: entries are kept back, or are of another path: {why}")]
    Withheld {
        /// The path.
        path: StorePath,
        /// What the proof says.
        why: String,
    },
    /// An entry that is not in the ledger.
    #[error("an entry shown is not in the ledger that was signed")]
    NotInLog,
    /// Nothing, or only of other paths, is said of what was asked for.
    #[error("the pool says nothing of {0}, which was asked for")]
    Unanswered(String),
    /// A claim that is none, or not of the path it is shown with.
    #[error("a claim shown is none, or of another path: {0}")]
    Claim(String),
    /// A signature that is not the key's.
    #[error("{path}: the signature by the key {key} over the claim {claim} does not verify")]
    Forged {
        /// The path.
        path: StorePath,
        /// The key.
        key: KeyId,
        /// The claim.
        claim: ClaimId,
    },
}

impl Caught {
    /// Stable, in snake case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::OtherLog { .. } => "other_log",
            Self::NotSigned { .. } => "not_signed",
            Self::Quorum { .. } => "quorum",
            Self::Rollback { .. } => "rollback",
            Self::Fork { .. } => "fork",
            Self::KeysWithheld(_) => "keys_withheld",
            Self::KeyEvent(_) => "key_event",
            Self::IndexRoot(_) => "index_root",
            Self::Withheld { .. } => "withheld",
            Self::NotInLog => "not_in_log",
            Self::Unanswered(_) => "unanswered",
            Self::Claim(_) => "claim",
            Self::Forged { .. } => "forged",
        }
    }
}
