//! What a log and a mirror say to each other, beside what a [witness](super::witness) is asked: the
//! upload of entries in packages, each with a proof, and how far the mirror is.
//!
//! Source: c2sp.org/tlog-mirror, "add-entries". The document has no version yet.

use thiserror::Error;

use super::checkpoint::Origin;
use super::merkle::MAX_TREE_SIZE;
use super::proof::ProofError;
use crate::hash::OriginHash;

mod add_entries;
mod info;
mod package;

pub use add_entries::{ADD_ENTRIES_MEDIA_TYPE, AddEntries, MAX_HEAD_LEN};
pub use info::{INFO_MEDIA_TYPE, MAX_INFO_LEN, MirrorInfo};
pub use package::{
    MAX_PACKAGE_LEN, MAX_PACKAGES_PER_REQUEST, PACKAGE_ENTRIES, Package, PackageRange, packages,
};

/// The longest ticket that is read, in bytes: room for a signed checkpoint with large signatures.
pub const MAX_TICKET_LEN: usize = 8192;

/// Why bytes are not what a log or a mirror says: a request like this is answered with 400, and an
/// answer like this is a failure of the mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MirrorError {
    /// The name of the log is not UTF-8, or none that a checkpoint could begin with.
    #[error("not the origin of a log")]
    Origin,
    /// The upload ends before it starts, or beyond [`MAX_TREE_SIZE`].
    #[error("the entries [{start}, {end}) are not those of a log")]
    Range {
        /// The first entry's index.
        start: u64,
        /// The last entry's index and one.
        end: u64,
    },
    /// More than [`MAX_TICKET_LEN`] bytes.
    #[error("a ticket of {0} bytes; it has at most {MAX_TICKET_LEN}")]
    TicketTooLong(usize),
    /// No entries for a package, or more than [`PACKAGE_ENTRIES`].
    #[error("a package of {0} entries; it has 1 to {PACKAGE_ENTRIES}")]
    Count(usize),
    /// An entry whose length two bytes cannot say.
    #[error("an entry of {0} bytes; it has at most 65535")]
    EntryTooLong(usize),
    /// The proof has more than 63 hashes.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// What a mirror says of itself is not three lines, each with its newline, or is longer than
    /// [`MAX_INFO_LEN`].
    #[error("a mirror's state is three lines: a tree's size, the next entry, a ticket")]
    Lines,
    /// A number is not in its only spelling, or beyond [`MAX_TREE_SIZE`].
    #[error("not a number of entries")]
    Number,
    /// The ticket is not padded base 64.
    #[error("the ticket is not in base 64")]
    Ticket,
}

/// The name of a log in the addresses below a mirror's monitoring prefix.
#[must_use]
pub fn origin_hash(origin: &Origin) -> OriginHash {
    OriginHash::of(origin.as_str().as_bytes())
}

fn ticket_within(ticket: Vec<u8>) -> Result<Vec<u8>, MirrorError> {
    if ticket.len() > MAX_TICKET_LEN {
        return Err(MirrorError::TicketTooLong(ticket.len()));
    }
    Ok(ticket)
}

fn range_within(start: u64, end: u64) -> Result<(), MirrorError> {
    if start <= end && end <= MAX_TREE_SIZE {
        Ok(())
    } else {
        Err(MirrorError::Range { start, end })
    }
}

/// Takes a length of two bytes, big-endian. None when they are not there yet.
fn take_len(rest: &mut &[u8]) -> Option<usize> {
    let (len, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(usize::from(u16::from_be_bytes(*len)))
}

#[cfg(test)]
mod tests;
