//! The keys log, replayed: who might attest at which place of the attestations log.

use std::collections::VecDeque;

use anyhow::Result;
use schema::attestation::Entry;
use schema::key::PublicKey;
use schema::key_event::KeyEntry;
use schema::signers::{Applied, SignerError, Signers};

use super::KEYS;
use super::copy::Copy;
use super::report::Findings;
use super::visit::{Progress, Sizes};
use crate::ledger_reader::{Code, Finding};

/// The signers, as the attestations are gone through.
pub(super) struct Keys {
    /// As they are now.
    table: Signers,
    /// As they were at the entry that was looked at last.
    then: Signers,
    /// What happened after it.
    later: VecDeque<KeyEntry>,
}

impl Keys {
    /// Goes through the copy of the keys log.
    pub(super) fn replay(
        copy: &Copy,
        progress: &Progress,
        findings: &mut Findings,
    ) -> Result<Self> {
        let origin = progress.pinned.keys.name().as_str();
        let then = Signers::new(origin, progress.pinned.pool.clone());
        let mut keys = Self { table: then.clone(), then, later: VecDeque::new() };
        for (index, bytes) in (0..).zip(copy.entries()?) {
            if let Err((code, why)) = keys.take(index, &bytes?, &progress.read) {
                findings.push(Finding::new(KEYS, code, why).at(index));
            }
        }
        Ok(keys)
    }

    /// The signers as they are now.
    pub(super) fn table(&self) -> Signers {
        self.table.clone()
    }

    /// Whether the key of the entry at `index` might attest a path of this name there. Entries are
    /// asked for in order. `None` stands for a name that nobody knows any more.
    pub(super) fn may_attest(
        &mut self,
        index: u64,
        entry: &Entry,
        name: Option<&str>,
    ) -> Result<(), SignerError> {
        while let Some(event) = self.later.pop_front_if(|event| event.attestations <= index) {
            // It was taken into the table before, so it is taken here.
            let _ = self.then.apply(&event);
        }
        let allowed =
            self.then.may_attest(&entry.key_id, name.unwrap_or_default(), entry.logged_at);
        match allowed {
            Err(SignerError::OutOfScope { .. }) if name.is_none() => Ok(()),
            allowed => allowed,
        }
    }

    /// The key of an entry, whether or not it might attest.
    pub(super) fn key_of(&self, entry: &Entry) -> Option<&PublicKey> {
        self.table.by_id(&entry.key_id).map(|signer| &signer.key)
    }

    fn take(&mut self, index: u64, bytes: &[u8], read: &Sizes) -> Result<(), (Code, String)> {
        let entry = KeyEntry::parse(bytes).map_err(|why| (Code::Malformed, why.to_string()))?;
        let applied = self.table.apply(&entry);
        if let Applied::Already { index, .. } =
            applied.map_err(|why| (Code::KeyEvent, why.to_string()))?
        {
            return Err((Code::Duplicate, format!("the event of entry {index} once more")));
        }
        let (said, known) = (entry.attestations, read.attestations);
        self.later.push_back(entry);
        // When the attestations were read last, this event was not there yet.
        if index >= read.keys && said < known {
            let why = format!(
                "it says that it came when there were {said} attestations, but it was not there \
                 when there were {known}"
            );
            return Err((Code::KeyEvent, why));
        }
        Ok(())
    }
}
