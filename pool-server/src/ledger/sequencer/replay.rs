//! Logs are read from their beginnings, into an index that has none of what follows from them.

use schema::attestation::Entry;
use schema::claim::Claim;
use schema::content_address::ContentAddress;
use schema::store_path::BaseName;

use super::group::Group;
use super::{Logs, MAX_GROUP};
use crate::index::{Index, LedgerId, LogAt, LogId};
use crate::ledger::log::Stage;
use crate::rejected::{Error, Failure};
use crate::roll::Roll;

/// Entries that are copied together.
const TOGETHER: usize = 1024;

/// Copies the entries of a log, and makes its tiles anew. Answers with how many there are.
pub(in crate::ledger) fn copy_log(log: LogAt, from: &Index, to: &Index) -> Result<u64, Error> {
    let mut stage = Stage::after(log, Default::default());
    loop {
        let entries = from.log_entries(log, stage.size(), TOGETHER)?;
        if entries.is_empty() {
            break;
        }
        let mut batch = to.batch();
        for entry in entries {
            stage.append(&mut batch, &entry)?;
        }
        batch.commit()?;
    }
    let size = from.log_size(log)?;
    if size == stage.size() {
        return Ok(size);
    }
    Err(Error::Damaged(format!(
        "the log {log} has {size} entries, and breaks off at {}",
        stage.size()
    )))
}

/// An index whose logs, claims and NARs are whole, and that lacks what is known of paths.
pub(in crate::ledger) struct Replay<'r> {
    pub(in crate::ledger) index: &'r Index,
    pub(in crate::ledger) roll: &'r Roll,
    pub(in crate::ledger) logs: &'r Logs,
}

impl Replay<'_> {
    /// Takes up the pool's own entries from this one on, and answers with how many have lost their
    /// claims. `unsigned` is asked what was known of a claim beside, and `report` is told how far it is.
    pub(in crate::ledger) fn own(
        &self,
        from: u64,
        unsigned: impl Fn(&Claim) -> (Option<BaseName>, Option<ContentAddress>),
        mut report: impl FnMut(u64),
    ) -> Result<u64, Error> {
        let (mut at, mut lost) = (from, 0);
        loop {
            let entries = self.entries(LogId::Attestations.into(), at)?;
            if entries.is_empty() {
                return Ok(lost);
            }
            let mut group = self.group();
            for entry in &entries {
                lost += u64::from(!group.replay(at, entry, &unsigned)?);
                at += 1;
            }
            group.commit()?;
            report(at);
        }
    }

    /// Takes up the entries of a mirrored ledger.
    pub(in crate::ledger) fn mirrored(
        &self,
        ledger: LedgerId,
        mut report: impl FnMut(u64),
    ) -> Result<(), Failure> {
        let mut at = 0;
        loop {
            let entries = self.entries(LogAt { ledger, log: LogId::Attestations }, at)?;
            if entries.is_empty() {
                return Ok(());
            }
            let mut group = self.group();
            for entry in &entries {
                group.replay_mirrored(ledger, at, entry)?;
                at += 1;
            }
            group.commit()?;
            report(at);
        }
    }

    fn group(&self) -> Group<'_> {
        Group::new(self.index, self.roll, (self.logs, 0), 0)
    }

    fn entries(&self, log: LogAt, from: u64) -> Result<Vec<Entry>, Error> {
        let bytes = self.index.log_entries(log, from, MAX_GROUP)?;
        let parse = |bytes: &Vec<u8>| Entry::parse(bytes);
        bytes
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map_err(|why| Error::Damaged(format!("an entry of {log} after {from}: {why}")))
    }
}
