//! Pins: paths that people say are to stay.

use super::Group;
use crate::index::PinRecord;
use crate::ledger::sequencer::retention::Roots;
use crate::rejected::{Error, Failure, Rejected};

/// Revisions that one name may have.
const MAX_REVISIONS: usize = 1000;
const DAY: u64 = 86_400;

impl Group<'_> {
    /// What a collection goes by that begins now.
    pub(in super::super) fn roots(&self) -> Roots {
        Roots { pins: self.retention.roots, since: self.now }
    }

    pub(in super::super) fn pin(&mut self, name: &str, pin: &PinRecord) -> Result<u64, Failure> {
        for path in &pin.paths {
            self.check_not_deleted(path)?;
            let hash_part = path.base().hash_part();
            let record = self.path(hash_part)?;
            let claims = record.claims.iter().filter(|it| it.claim.path() == path);
            let nars: Vec<_> = claims.map(|it| it.claim.nar_hash()).collect();
            // What was to be collected and is still here is wanted again.
            for nar_hash in &nars {
                self.relist(nar_hash)?;
            }
            let claims = &self.path(hash_part)?.claims;
            if !claims.iter().any(|it| it.claim.path() == path && it.file.is_some()) {
                let detail = format!("{path} is not here, so it cannot stay");
                return Err(Rejected::unprocessable("path_missing", detail)
                    .hint("push it first; `pool show` says what is known of it")
                    .into());
            }
        }
        let mut known = self.pins_of(name)?;
        let revision = known.last().map_or(1, |(revision, _)| revision + 1);
        known.push((revision, pin.clone()));
        let stay = known.iter().rev().enumerate().filter(|(newer, (_, it))| {
            let young = it.at.saturating_add(u64::from(pin.keep_days) * DAY) > pin.at;
            *newer < MAX_REVISIONS && (*newer < pin.keep_last.max(1) as usize || young)
        });
        let stay: Vec<u64> = stay.map(|(_, (number, _))| *number).collect();
        for (number, _) in known.extract_if(.., |(number, _)| !stay.contains(number)) {
            self.batch.delete_pin(name, number)?;
        }
        self.batch.put_pin(name, revision, pin)?;
        self.retention.pins.insert(name.to_owned(), known);
        self.retention.roots += 1;
        Ok(revision)
    }

    pub(in super::super) fn unpin(
        &mut self,
        name: &str,
        revision: Option<u64>,
    ) -> Result<usize, Failure> {
        let mut known = self.pins_of(name)?;
        let is_it = |number: &u64| revision.is_none_or(|it| it == *number);
        let gone: Vec<_> = known.extract_if(.., |(number, _)| is_it(number)).collect();
        for (number, _) in &gone {
            self.batch.delete_pin(name, *number)?;
        }
        self.retention.pins.insert(name.to_owned(), known);
        Ok(gone.len())
    }

    fn pins_of(&self, name: &str) -> Result<Vec<(u64, PinRecord)>, Error> {
        if let Some(known) = self.retention.pins.get(name) {
            return Ok(known.clone());
        }
        let known = self.index.pins(Some(name))?;
        Ok(known.into_iter().map(|(_, revision, pin)| (revision, pin)).collect())
    }
}
