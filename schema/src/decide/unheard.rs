//! Why a ledger cannot be heard about a path.

use serde::Serialize;
use serde::ser::SerializeStruct;
use thiserror::Error;

/// How far ahead of the clock here a ledger's checkpoint may be, in seconds. One from further ahead
/// would never grow old.
pub const MAX_CLOCK_LEAD: u64 = 5 * 60;

/// Why a ledger is not heard about a path: then nothing is allowed that needs anybody's word.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unheard {
    /// The policy lists the ledger, and nobody asked it.
    #[error("it was not asked")]
    NotAsked,
    /// The policy lists ledgers, and this one not. It does not matter what it says.
    #[error("the policy does not list it")]
    NotListed,
    /// No answer.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// Whoever asks could not do what asking takes.
    #[error("nobody heard it, as this host failed: {0}")]
    Failed(String),
    /// What it shows does not verify.
    #[error("what it shows does not verify: {0}")]
    Invalid(String),
    /// Its map does not reach this path, or not yet.
    #[error("what it shows does not cover this path")]
    NotCovered,
    /// Too few witnesses have seen its checkpoint.
    #[error("{have} of its witnesses have seen its checkpoint, and {need} must have")]
    Unwitnessed {
        /// How many have.
        have: usize,
        /// How many must.
        need: usize,
    },
    /// Its checkpoint is too old.
    #[error("its checkpoint is {age} s old, and at most {max} s are allowed")]
    Stale {
        /// Seconds.
        age: u64,
        /// Seconds.
        max: u64,
    },
    /// Its checkpoint is from the future.
    #[error("its checkpoint is {by} s ahead of the clock here")]
    Ahead {
        /// Seconds.
        by: u64,
    },
    /// It shows less than it did before, or something else. That is denied, not unknown.
    #[error("it contradicts what it showed before: {0}")]
    WentBack(String),
}

impl Unheard {
    /// For programs: stable, in snake case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAsked => "not_asked",
            Self::NotListed => "not_listed",
            Self::Unreachable(_) => "unreachable",
            Self::Failed(_) => "failed",
            Self::Invalid(_) => "invalid",
            Self::NotCovered => "not_covered",
            Self::Unwitnessed { .. } => "unwitnessed",
            Self::Stale { .. } => "stale",
            Self::Ahead { .. } => "ahead",
            Self::WentBack(_) => "went_back",
        }
    }
}

/// As its code, and the detail for people.
impl Serialize for Unheard {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Unheard", 2)?;
        out.serialize_field("code", self.code())?;
        out.serialize_field("detail", &self.to_string())?;
        out.end()
    }
}
