//! Until when NARs are promised, and which are not shown any more.

use schema::hash::FileHash;
use serde::{Deserialize, Serialize};

/// Until when a NAR stays here, whatever happens: whoever has read a narinfo by then gets its NAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRecord {
    /// POSIX seconds.
    pub until: u64,
    /// Of the file that is promised. Another of the same NAR is another promise.
    pub file_hash: FileHash,
}

impl LeaseRecord {
    /// Whether it promises this file for so long.
    #[must_use]
    pub fn covers(&self, file_hash: &FileHash, until: u64) -> bool {
        self.until >= until && self.file_hash == *file_hash
    }
}

/// A NAR that no narinfo names any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnlistedRecord {
    /// What kind of reason there is.
    pub why: Why,
    /// The reason, for people.
    pub detail: String,
    /// Since when, POSIX seconds.
    pub at: u64,
}

/// Why a NAR is not shown any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// By the rules of retention. It comes back when somebody brings it, or attests it in time.
    Collected,
    /// By the operator, who took its paths down. It does not come back.
    Deleted,
    /// It did not read as it was written. It comes back when somebody brings it.
    Damaged,
}

/// Whether a NAR is here, and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// It is here, and narinfos name it.
    Listed,
    /// It is here, for as long as it is promised, and no narinfo names it.
    Unlisted(UnlistedRecord),
    /// It was here.
    Gone(UnlistedRecord),
    /// It was never here.
    Absent,
}
