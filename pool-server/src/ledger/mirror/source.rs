//! What was shown of a log by whom. A source that showed a log larger than it shows it now has lost
//! or hidden something, whether or not others still have it.

use std::collections::BTreeMap;

use schema::tlog::checkpoint::{SignedCheckpoint, UnverifiedCheckpoint};

use crate::index::SourceRecord;

/// The longest address of a source, in bytes.
pub const MAX_SOURCE_LEN: usize = 512;
/// The most sources of one log that are remembered.
const MAX_SOURCES: usize = 16;

/// Every source of a log, by its address.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources(BTreeMap<String, SourceRecord>);

impl Sources {
    pub(super) fn open(records: Vec<(String, SourceRecord)>) -> Self {
        Self(records.into_iter().collect())
    }

    /// What is to be remembered of a source that shows this, if that is something new.
    pub(super) fn learn(
        &mut self,
        address: &str,
        shown: &SignedCheckpoint,
    ) -> Option<&SourceRecord> {
        let known = self.0.get(address);
        let largest = known.map_or(0, |it| size_of(&it.largest));
        let note = shown.note().to_string();
        let next = match known {
            None if self.0.len() >= MAX_SOURCES => return None,
            None => SourceRecord { largest: note, rolled_back_to: None },
            Some(known) if shown.size() < largest => {
                SourceRecord { largest: known.largest.clone(), rolled_back_to: Some(note) }
            }
            Some(known) if shown.size() == largest && known.rolled_back_to.is_none() => {
                return None;
            }
            Some(_) => SourceRecord { largest: note, rolled_back_to: None },
        };
        self.0.insert(address.to_owned(), next);
        self.0.get(address)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &SourceRecord)> {
        self.0.iter().map(|(address, record)| (address.as_str(), record))
    }
}

/// The size in a checkpoint that was verified when it was kept.
pub(super) fn size_of(note: &str) -> u64 {
    let checkpoint = UnverifiedCheckpoint::parse(note.as_bytes());
    checkpoint.map_or(0, |checkpoint| checkpoint.checkpoint().size())
}
