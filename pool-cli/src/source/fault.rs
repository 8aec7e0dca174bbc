//! How a source may fail to give a NAR.

use std::fmt;

/// Why a source did not give a NAR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not have it, and says so.
    Absent,
    /// It does not have it yet: `guix publish` packs what was asked for before it shows it.
    Baking,
    /// What it says of a path cannot be used: in words.
    Malformed(String),
    /// It cannot be reached, or answers with something else: in its words.
    Unavailable(String),
    /// Nothing more came for too long, or too little.
    Stalled,
    /// It ended too early.
    Truncated,
    /// What came cannot be unpacked: in the decoder's words.
    Unreadable(String),
    /// It is another NAR, or longer than the right one.
    Swapped,
}

impl Fault {
    /// For programs: stable, in snake case.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Absent => "nar_absent",
            Self::Baking => "nar_baking",
            Self::Malformed(_) => "narinfo_malformed",
            Self::Unavailable(_) => "nar_unavailable",
            Self::Stalled => "nar_stalled",
            Self::Truncated => "nar_truncated",
            Self::Unreadable(_) => "nar_unreadable",
            Self::Swapped => "nar_swapped",
        }
    }

    /// Whether the source promised what it did not keep: no honest one does so often.
    pub(crate) fn is_lie(&self) -> bool {
        !matches!(self, Self::Absent | Self::Baking | Self::Unavailable(_))
    }

    /// Whether asking again soon may be worth it.
    pub(crate) fn passes(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Stalled | Self::Truncated)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("it does not have the NAR"),
            Self::Baking => f.write_str("it is still baking it"),
            Self::Malformed(why) => f.write_str(why),
            Self::Unavailable(why) => write!(f, "no answer: {why}"),
            Self::Stalled => f.write_str("it stalled in the midst of the NAR"),
            Self::Truncated => f.write_str("it broke off in the midst of the NAR"),
            Self::Unreadable(why) => write!(f, "it sent what cannot be unpacked: {why}"),
            Self::Swapped => f.write_str("it sent another NAR than it should"),
        }
    }
}

impl std::error::Error for Fault {}
