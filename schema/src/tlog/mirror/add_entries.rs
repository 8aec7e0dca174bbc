//! How an upload begins: of which log, which entries, and with which ticket.

use super::{MAX_TICKET_LEN, MirrorError, range_within, take_len, ticket_within};
use crate::tlog::checkpoint::Origin;
use crate::tlog::note::MAX_NOTE_NAME_LEN;

/// The type of the body of `add-entries`.
pub const ADD_ENTRIES_MEDIA_TYPE: &str = "application/octet-stream";

/// The longest head of an upload, in bytes: whoever has read so many can parse it.
pub const MAX_HEAD_LEN: usize = 2 + MAX_NOTE_NAME_LEN + 8 + 8 + 2 + MAX_TICKET_LEN;

/// The head of the body of `add-entries`: these entries of this log follow in
/// [packages](super::packages), or the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddEntries {
    origin: Origin,
    upload_start: u64,
    upload_end: u64,
    ticket: Vec<u8>,
}

impl AddEntries {
    /// Begins the upload of the entries `[upload_start, upload_end)`, which may be none. The ticket
    /// is the mirror's own of before, or empty.
    ///
    /// # Errors
    /// [`MirrorError::Range`] and [`MirrorError::TicketTooLong`].
    pub fn new(
        origin: Origin,
        upload_start: u64,
        upload_end: u64,
        ticket: Vec<u8>,
    ) -> Result<Self, MirrorError> {
        range_within(upload_start, upload_end)?;
        Ok(Self { origin, upload_start, upload_end, ticket: ticket_within(ticket)? })
    }

    /// Reads the head from the beginning of a body, and says how many bytes it has; the packages
    /// follow. None when more bytes are needed, but never for [`MAX_HEAD_LEN`] of them: what is
    /// wrong is refused as soon as it is there.
    ///
    /// # Errors
    /// [`MirrorError::Origin`], [`MirrorError::Range`] and [`MirrorError::TicketTooLong`].
    pub fn parse(body: &[u8]) -> Result<Option<(Self, usize)>, MirrorError> {
        let mut rest = body;
        let Some(len) = take_len(&mut rest) else { return Ok(None) };
        if !(1..=MAX_NOTE_NAME_LEN).contains(&len) {
            return Err(MirrorError::Origin);
        }
        let Some(origin) = rest.split_off(..len) else { return Ok(None) };
        let origin = std::str::from_utf8(origin).ok().and_then(|origin| origin.parse().ok());
        let origin = origin.ok_or(MirrorError::Origin)?;
        let Some((start, end)) = take_range(&mut rest) else { return Ok(None) };
        range_within(start, end)?;
        let Some(len) = take_len(&mut rest) else { return Ok(None) };
        if len > MAX_TICKET_LEN {
            return Err(MirrorError::TicketTooLong(len));
        }
        let Some(ticket) = rest.split_off(..len) else { return Ok(None) };
        let head = Self::new(origin, start, end, ticket.to_vec())?;
        Ok(Some((head, body.len() - rest.len())))
    }

    /// The bytes of the head.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [
            &len(self.origin.as_str().as_bytes())[..],
            self.origin.as_str().as_bytes(),
            &self.upload_start.to_be_bytes(),
            &self.upload_end.to_be_bytes(),
            &len(&self.ticket),
            &self.ticket,
        ]
        .concat()
    }

    /// Whose entries they are.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The first entry's index: at most the next that the mirror needs, else the answer is 409.
    #[must_use]
    pub fn upload_start(&self) -> u64 {
        self.upload_start
    }

    /// The last entry's index and one: the size of the tree in which the packages are proved. The
    /// mirror has been given a checkpoint of it, else the answer is 409.
    #[must_use]
    pub fn upload_end(&self) -> u64 {
        self.upload_end
    }

    /// What the mirror said to send along; only it knows what that means.
    #[must_use]
    pub fn ticket(&self) -> &[u8] {
        &self.ticket
    }
}

fn take_range(rest: &mut &[u8]) -> Option<(u64, u64)> {
    let (start, after) = rest.split_first_chunk()?;
    let (end, after) = after.split_first_chunk()?;
    *rest = after;
    Some((u64::from_be_bytes(*start), u64::from_be_bytes(*end)))
}

fn len(bytes: &[u8]) -> [u8; 2] {
    let len = u16::try_from(bytes.len());
    len.unwrap_or_else(|_| unreachable!("origins and tickets are shorter")).to_be_bytes()
}
