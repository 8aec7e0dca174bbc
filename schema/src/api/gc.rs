//! What stays and what goes: `/api/v1/gc`, `/api/v1/pins`, `/api/v1/deletions`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::hash::NarHash;
use crate::store_path::StorePath;

/// The most paths one revision of a pin may name.
pub const MAX_PINNED: usize = 10_000;
/// The most deletions on one page.
pub const MAX_DELETIONS: usize = 1000;
/// The longest reason for a deletion, in bytes.
pub const MAX_REASON_LEN: usize = 1000;

/// `POST /api/v1/gc`: collect now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GcRequest {
    /// Only say what would go.
    #[serde(default)]
    pub dry_run: bool,
}

/// One line of the answer; `end` is the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GcLine {
    /// It is at work, and there is nothing to tell.
    Working,
    /// What becomes of a NAR.
    Nar(GcNar),
    /// All in all.
    End(GcSummary),
}

/// A NAR that does not simply stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GcNar {
    /// The NAR.
    pub nar_hash: NarHash,
    /// Paths that are said to have it, at most 4 of them.
    pub paths: Vec<StorePath>,
    /// The size of its file, in bytes.
    pub file_size: u64,
    /// What becomes of it.
    pub fate: GcFate,
    /// Why, for people.
    pub why: String,
    /// Until when it is promised, POSIX seconds; 0 if it never was.
    pub leased_until: u64,
}

/// What becomes of a NAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GcFate {
    /// No narinfo names it any more. It goes once it is promised to nobody.
    Unlisted,
    /// It is needed again: narinfos name it.
    Relisted,
    /// It is gone.
    Swept,
}

/// What a collection came to. Sizes are of files, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GcSummary {
    /// Whether any rule lets NARs go that nobody took down: `max-stored` or `collect-after`.
    pub has_rule: bool,
    /// NARs that stay.
    pub kept: u64,
    /// Their size.
    pub kept_bytes: u64,
    /// NARs that no narinfo names since now.
    pub unlisted: u64,
    /// Their size.
    pub unlisted_bytes: u64,
    /// NARs that narinfos name again.
    pub relisted: u64,
    /// NARs that no narinfo names, and that are still promised.
    pub waiting: u64,
    /// Their size.
    pub waiting_bytes: u64,
    /// NARs that are gone.
    pub swept: u64,
    /// Their size.
    pub swept_bytes: u64,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// `POST /api/v1/pins/{name}`: these paths stay, with all that they refer to, as the pin's newest
/// revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PinRequest {
    /// At least one, at most [`MAX_PINNED`].
    pub paths: Vec<StorePath>,
    /// So many of the newest revisions stay; at least one does.
    #[serde(default)]
    pub keep_last: u32,
    /// Revisions stay that are younger than so many days.
    #[serde(default)]
    pub keep_days: u32,
}

/// One revision of a pin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pin {
    /// The pin's name.
    pub name: String,
    /// Counts from 1.
    pub revision: u64,
    /// What stays.
    pub paths: Vec<StorePath>,
    /// When it was made, POSIX seconds.
    pub pinned_at: u64,
}

/// `GET /api/v1/pins`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pins {
    /// By name, then the oldest revision first.
    pub pins: Vec<Pin>,
}

/// `DELETE /api/v1/pins/{name}`: how many revisions were forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unpinned {
    /// At least one.
    pub revisions: usize,
}

/// `POST /api/v1/deletions`: take a path down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeletionRequest {
    /// The path.
    pub path: StorePath,
    /// Why: everybody who asks for the path reads it. At most [`MAX_REASON_LEN`] bytes.
    pub reason: String,
    /// Its NARs go at once, even those that are promised to somebody.
    #[serde(default)]
    pub now: bool,
}

/// A path that was taken down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deletion {
    /// The path.
    pub path: StorePath,
    /// Why.
    pub reason: String,
    /// When, POSIX seconds.
    pub deleted_at: u64,
}

/// `GET /api/v1/deletions`: what is not to be had here, and why, in the order of the hash parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deletions {
    /// At most [`MAX_DELETIONS`].
    pub deletions: Vec<Deletion>,
    /// Whether there are more, after the last of these.
    pub more: bool,
}
