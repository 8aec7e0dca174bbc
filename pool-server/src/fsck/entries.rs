//! The entries of ledgers: that each is where it should be, and is taken up into what is known.

use schema::attestation::Entry;
use schema::claim::Claim;
use schema::hash::{ClaimId, KeyId};

use super::{Done, Kind, Search};
use crate::index::{LedgerId, LogAt, LogId, LoggedKey};
use crate::ledger::inspection;
use crate::ledger::sequencer::Mending;
use crate::rejected::Error;

/// Wrong tiles of one log that are made anew in one search.
const MAX_TILES: usize = 1000;

impl Search<'_> {
    pub(super) fn entry(&mut self, ledger: LedgerId, index: u64, bytes: &[u8]) {
        self.summary.entries += 1;
        let log = LogAt { ledger, log: LogId::Attestations };
        let subject = format!("{log} {index}");
        if ledger.is_own() {
            if self.next_entry < index {
                let detail = format!("the entries {}..{index} are gone", self.next_entry);
                self.found(Kind::EntryMissing, log.to_string(), detail, Done::Left);
            }
            self.next_entry = index + 1;
        }
        let entry = match Entry::parse(bytes) {
            Ok(entry) => entry,
            Err(error) => {
                return self.found(Kind::EntryDamaged, subject, error.to_string(), Done::Left);
            }
        };
        match self.untold(&entry, ledger, index) {
            Ok(None) => {}
            Ok(Some((kind, detail, path))) => {
                let done = path.map_or(Done::Left, |path| self.mend(path));
                self.found(kind, subject, detail, done);
            }
            Err(error) => drop(self.asked::<()>(&subject, Err(error))),
        }
    }

    /// What is not known of an entry that should be, and how that is made known.
    fn untold(
        &self,
        entry: &Entry,
        ledger: LedgerId,
        index: u64,
    ) -> Result<Option<(Kind, String, Option<Mending>)>, Error> {
        let at = self.parts.index;
        let unheard = !ledger.is_own() && at.is_unheard(&entry.path_key, ledger, index)?;
        let Some(text) = at.claim(&entry.claim)? else {
            let detail = format!("nobody knows what the claim {} says", entry.claim);
            return Ok((!unheard).then_some((Kind::ClaimMissing, detail, None)));
        };
        let claim = Claim::parse(&text).ok().filter(|claim| claim.id() == entry.claim);
        // The claim itself is told of where claims are looked at.
        let Some(claim) = claim else { return Ok(None) };
        let hash_part = claim.path().base().hash_part();
        let path = Mending { hash_part, entries: vec![(ledger, index)], nar_hashes: Vec::new() };
        let listed = match ledger.is_own() {
            true => at.logged(&LoggedKey::of_entry(entry))?,
            false => at.mirrored_word(ledger, &entry.claim, &entry.key_id)?,
        };
        if listed != Some(index) {
            let detail = "it is not known that it stands there".to_owned();
            return Ok(Some((Kind::EntryUnlisted, detail, Some(path))));
        }
        let record = match at.path(&hash_part) {
            // It can be made again from what is here.
            Err(Error::Damaged(_)) => None,
            record => record?,
        };
        let record = record.unwrap_or_default();
        let words = record.claims.iter().flat_map(|record| &record.attestations);
        let is_known = words.into_iter().any(|it| it.ledger == ledger && it.index == index);
        let detail = format!("{} lacks this word", claim.path());
        Ok((!unheard && !is_known).then_some((Kind::WordMissing, detail, Some(path))))
    }

    /// Where an attestation is said to stand, it stands.
    pub(super) fn logged(&mut self, claim: ClaimId, key_id: KeyId, index: u64) {
        let entry = self.parts.index.entry(index);
        let subject = format!("{} {index}", LogAt::from(LogId::Attestations));
        let Some(entry) = self.asked(&subject, entry) else { return };
        if !entry.is_some_and(|entry| entry.claim == claim && entry.key_id == key_id) {
            let detail = format!("{claim} is said to stand there, signed by {key_id}");
            self.found(Kind::EntryUnlisted, subject, detail, Done::Left);
        }
    }

    /// The logs against their heads.
    pub(super) fn logs(&mut self) {
        for (log, error) in inspection::logs(self.parts.index, self.parts.config) {
            self.found(Kind::LogContradicted, log.to_string(), error.to_string(), Done::Left);
        }
    }

    /// The tiles of all logs against their entries, and the entries against what was signed.
    pub(super) fn hash_logs(&mut self) -> Result<(), Error> {
        let Some(logs) = self.asked("mirrored_ledgers", inspection::all_logs(self.parts.index))
        else {
            return Ok(());
        };
        for log in logs {
            let (index, config) = (self.parts.index, self.parts.config);
            let spend = |bytes| self.spend(bytes);
            let hashed = match inspection::hash_log(index, log, config, MAX_TILES, spend) {
                Ok(Some(hashed)) => hashed,
                Ok(None) => return Ok(()),
                Err(error) => {
                    let detail = error.to_string();
                    self.found(Kind::LogContradicted, log.to_string(), detail, Done::Left);
                    continue;
                }
            };
            if hashed.as_signed == Some(false) {
                let detail = "its entries are not those that were signed".to_owned();
                self.found(Kind::LogContradicted, log.to_string(), detail, Done::Left);
            }
            self.tiles(log, &hashed)?;
        }
        Ok(())
    }

    fn tiles(&mut self, log: LogAt, hashed: &inspection::Hashed) -> Result<(), Error> {
        let mut done = Done::Left;
        // The sequencer only adds tiles, and may not even start before these are right.
        if self.options.repair && hashed.as_signed == Some(true) && !hashed.wrong.is_empty() {
            inspection::put_tiles(self.parts.index, log, &hashed.wrong)?;
            done = Done::Mended;
        }
        for (tile, _) in &hashed.wrong {
            let detail = format!("{} is not what the entries say", tile.path());
            self.found(Kind::TileWrong, log.to_string(), detail, done);
        }
        Ok(())
    }
}
