//! The steps of the sequencer between which a crash may come.

/// What has just been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A group of changes is put together, in memory.
    Staged,
    /// It is in the database, durably.
    Written,
    /// A log's checkpoint is signed, in memory.
    Signed,
    /// It is in the head's file, durably.
    HeadKept,
    /// It is shown to readers.
    Published,
    /// Whoever gave the orders is told.
    Answered,
}

/// Marks a step. Tests stop the process there.
#[cfg(not(test))]
pub(super) fn reached(_: Step) {}

#[cfg(test)]
pub(super) use super::sequencer::crash_tests::reached;
