//! Records of what was found when the pool looked through what it keeps.

use schema::hash::NarHash;
use serde::{Deserialize, Serialize};

/// A pass over all NARs that has begun, and how far it has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassRecord {
    /// When it began, POSIX seconds.
    pub began_at: u64,
    /// The last NAR that was looked at, in the order of their hashes. None before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<NarHash>,
    /// When it came to its end, POSIX seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
    /// How many bytes there were to read when it began.
    #[serde(default)]
    pub total: u64,
    /// How many NARs it has read.
    pub nars: u64,
    /// How many bytes of files it has read.
    pub bytes: u64,
    /// How many of the NARs were damaged.
    pub damaged: u64,
}

/// The database was found without its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostRecord {
    /// How that was seen.
    pub why: String,
    /// When, POSIX seconds.
    pub found_at: u64,
}
