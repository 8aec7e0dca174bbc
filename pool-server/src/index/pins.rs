//! What people say is to stay, and what is not to be here.

use schema::store_path::StorePath;
use serde::{Deserialize, Serialize};

/// One revision of a pin: paths that stay, with all that they refer to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinRecord {
    /// The paths.
    pub paths: Vec<StorePath>,
    /// When it was made, POSIX seconds.
    pub at: u64,
    /// So many of the newest revisions of its name stay; older ones go once `keep_days` are over.
    pub keep_last: u32,
    /// Older revisions stay for so many days.
    pub keep_days: u32,
}

/// A path that the operator took down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeletionRecord {
    /// The path.
    pub path: StorePath,
    /// Why, for people.
    pub reason: String,
    /// When, POSIX seconds.
    pub at: u64,
}
