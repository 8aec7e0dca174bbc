//! What a mirror says of itself when an upload is not what it needs, or not all of it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{MAX_TICKET_LEN, MirrorError, ticket_within};
use crate::tlog::merkle::MAX_TREE_SIZE;
use crate::tlog::spelling::decimal;

/// The type of the body that says how far a mirror is.
pub const INFO_MEDIA_TYPE: &str = "text/x.tlog.mirror-info";

/// The longest body that is read, in bytes: two numbers of 19 digits, a ticket, three newlines.
pub const MAX_INFO_LEN: usize = 19 + 19 + MAX_TICKET_LEN.div_ceil(3) * 4 + 3;

/// The body of the answers 202 and 409 to `add-entries`: how to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorInfo {
    size: u64,
    next_entry: u64,
    ticket: Vec<u8>,
}

impl MirrorInfo {
    /// Says that uploads may end at `size`, the size of a checkpoint that the mirror was given, and
    /// that `next_entry` is the first that it lacks. An upload that ended earlier may leave it beyond
    /// `size`.
    ///
    /// # Errors
    /// [`MirrorError::Number`] and [`MirrorError::TicketTooLong`].
    pub fn new(size: u64, next_entry: u64, ticket: Vec<u8>) -> Result<Self, MirrorError> {
        if size.max(next_entry) > MAX_TREE_SIZE {
            return Err(MirrorError::Number);
        }
        Ok(Self { size, next_entry, ticket: ticket_within(ticket)? })
    }

    /// Reads a mirror's answer.
    ///
    /// # Errors
    /// Anything that [`Display`](fmt::Display) would not write.
    pub fn parse(body: &[u8]) -> Result<Self, MirrorError> {
        if body.len() > MAX_INFO_LEN {
            return Err(MirrorError::Lines);
        }
        let text = std::str::from_utf8(body).map_err(|_| MirrorError::Lines)?;
        let lines = text.strip_suffix('\n').ok_or(MirrorError::Lines)?;
        let mut lines = lines.split('\n');
        let (Some(size), Some(next_entry), Some(ticket), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(MirrorError::Lines);
        };
        let [size, next_entry] =
            [size, next_entry].map(|line| decimal(line).ok_or(MirrorError::Number));
        let ticket = STANDARD.decode(ticket).map_err(|_| MirrorError::Ticket)?;
        Self::new(size?, next_entry?, ticket)
    }

    /// Where an upload may end.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where it starts.
    #[must_use]
    pub fn next_entry(&self) -> u64 {
        self.next_entry
    }

    /// What to send along.
    #[must_use]
    pub fn ticket(&self) -> &[u8] {
        &self.ticket
    }
}

impl fmt::Display for MirrorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.size, self.next_entry, STANDARD.encode(&self.ticket))
    }
}
