//! Places between what a task has found out and what it does about it, where another may come in between.

/// What has just been done, and what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A narinfo is put together, and its NAR is not promised.
    Assembled,
    /// A promise was found to be too short, and a longer one is not ordered.
    TooShort,
    /// A NAR was found in the index, and its file is not opened.
    Found,
    /// An upload has looked for its NAR, and not staged it.
    LookedFor,
    /// An upload is checked, and has the turn of its NAR.
    Turn,
    /// An upload is durable under its name, and not in the index.
    Placed,
    /// An attestation is verified, and not ordered.
    Verified,
    /// A collection knows which pins there are.
    Rooted,
    /// It has marked what stays.
    Marked,
    /// It has looked when NARs are promised, and not what else is known of them.
    Leased,
    /// It knows what is needed and what is not, and has ordered nothing.
    Sorted,
    /// It has unlisted NARs, and not asked for their turns.
    Unlisted,
    /// It has the turns of NARs, and has not had them forgotten.
    Sweeping,
    /// NARs are forgotten, and their files are there.
    Forgotten,
    /// Files are removed, and still noted for removal.
    Removed,
}

/// Comes by a place. Tests hold tasks up there, and try every order.
#[cfg(not(test))]
pub(crate) async fn at(_: Place) {}

/// Waits until another has given something back.
#[cfg(not(test))]
pub(crate) async fn until(given_back: impl Future<Output = ()>) {
    given_back.await;
}

#[cfg(test)]
pub(crate) use crate::pool::interleaved::stage::{at, until};
