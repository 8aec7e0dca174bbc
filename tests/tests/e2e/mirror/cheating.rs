//! Sources that lie, and mirrors that are shown different histories.
