//! The time that entries are given.

use schema::attestation::Entry;
use schema::key_event::KeyEntry;

use super::Logs;
use crate::clock;
use crate::index::{Index, LogId};
use crate::rejected::Error;

/// Time for entries: never earlier than the entry before.
pub(super) struct Clock {
    last: u64,
}

impl Clock {
    /// The time after the last entry of any log that is written here.
    ///
    /// # Errors
    /// An entry that does not read, or a failing database.
    pub(super) fn after(index: &Index, logs: &Logs) -> Result<Self, Error> {
        let last = last_time(index, logs)?;
        clock::heed(last);
        Ok(Self { last })
    }

    pub(super) fn now(&mut self) -> u64 {
        self.last = self.last.max(clock::now());
        self.last
    }
}

fn last_time(index: &Index, logs: &Logs) -> Result<u64, Error> {
    let last = |log, size: u64| -> Result<Option<Vec<u8>>, Error> {
        let Some(last) = size.checked_sub(1) else { return Ok(None) };
        Ok(index.log_entries(log, last, 1)?.pop())
    };
    let damaged = |why: String| Error::Damaged(format!("the last entry does not read: {why}"));
    let attested = last(LogId::Attestations, logs.attestations.size())?;
    let attested = attested.map(|bytes| Entry::parse(&bytes)).transpose();
    let attested = attested.map_err(|error| damaged(error.to_string()))?;
    let event = last(LogId::Keys, logs.keys.size())?;
    let event = event.map(|bytes| KeyEntry::parse(&bytes)).transpose();
    let event = event.map_err(|error| damaged(error.to_string()))?;
    let times = [attested.map(|entry| entry.logged_at), event.map(|entry| entry.logged_at)];
    Ok(times.into_iter().flatten().max().unwrap_or(0))
}
