//! What a group takes back because it was found damaged, and what it makes again from the ledger.

use schema::attestation::Entry;
use schema::claim::Claim;
use schema::hash::{ClaimId, NarHash};
use schema::store_path::HashPart;

use super::super::Mending;
use super::Group;
use crate::index::{
    AttestationRecord, ClaimRecord, ElsewhereRecord, LedgerId, LogAt, LogId, LoggedKey, PathRecord,
};
use crate::rejected::{Error, Failure};

impl Group<'_> {
    /// Has a NAR brought again, from wherever it may be.
    pub(super) fn want_again(&mut self, nar_hash: &NarHash) -> Result<(), Error> {
        let known = self.index.elsewhere(nar_hash)?;
        let known = known.map_or_else(|| self.perhaps_elsewhere(), Ok)?;
        self.batch.put_elsewhere(nar_hash, &ElsewhereRecord { wanted: true, ..known })?;
        self.batch.put_damaged(nar_hash)
    }

    /// Makes a path's record anew: the words that the ledgers have, and the files that are here.
    pub(in super::super) fn mend(&mut self, path: &Mending) -> Result<bool, Failure> {
        let hash_part = path.hash_part;
        let before = match self.paths.get(&hash_part) {
            Some(known) => Some(known.clone()),
            // One that does not read is made from nothing.
            None => self.index.path(&hash_part).unwrap_or_default(),
        };
        let mut record = before.clone().unwrap_or_default();
        let mut changed = false;
        self.strike_out(&hash_part, &mut record)?;
        for (_, index) in path.entries.iter().filter(|(ledger, _)| ledger.is_own()) {
            changed |= self.enter_again(*index, &hash_part, &mut record)?;
        }
        for claim in &mut record.claims {
            let (id, nar_hash) = (claim.claim.id(), claim.claim.nar_hash());
            claim.file = self.shown_file(claim.claim.path(), &nar_hash)?;
            changed |= !self.index.is_path_of_nar(&nar_hash, &hash_part)?;
            changed |= self.index.claim(&id)?.is_none_or(|text| ClaimId::of(&text) != id);
            self.batch.put_claim(&id, &claim.claim)?;
        }
        for index in record.divergent_entries() {
            self.batch.put_divergence(index, &hash_part)?;
        }
        for nar_hash in &path.nar_hashes {
            if !record.claims.iter().any(|claim| claim.claim.nar_hash() == *nar_hash) {
                self.batch.delete_path_of_nar(nar_hash, &hash_part)?;
                changed = true;
            }
        }
        self.paths.insert(hash_part, record);
        for (ledger, index) in path.entries.iter().filter(|(ledger, _)| !ledger.is_own()) {
            self.hear_again(*ledger, *index, &hash_part)?;
        }
        Ok(changed || self.paths.get(&hash_part) != before.as_ref())
    }

    /// Hears an entry of a mirrored ledger, if it is its signer's word.
    fn hear_again(
        &mut self,
        ledger: LedgerId,
        index: u64,
        hash_part: &HashPart,
    ) -> Result<(), Failure> {
        let Some((entry, claim)) = self.entry_about(ledger, index, hash_part)? else {
            return Ok(());
        };
        self.batch.put_mirrored_word(ledger, (&entry.claim, &entry.key_id), index)?;
        match self.check_word(ledger, index, &entry, &claim) {
            Ok(()) => self.hear(ledger, index, &entry, &claim),
            Err(Failure::Rejected(_)) => {
                Ok(self.batch.put_unheard(&entry.path_key, (ledger, index), true)?)
            }
            Err(Failure::Error(error)) => Err(error.into()),
        }
    }

    /// Strikes out the words that no ledger has, and what nobody stands behind then.
    fn strike_out(&self, hash_part: &HashPart, record: &mut PathRecord) -> Result<(), Error> {
        for claim in &mut record.claims {
            let mut held = Vec::new();
            for word in &claim.attestations {
                let entry = self.entry_of(word.ledger, word.index)?;
                held.push(entry.is_some_and(|entry| entry == word.entry(&claim.claim)));
            }
            let mut held = held.into_iter();
            claim.attestations.retain(|_| held.next().unwrap_or_default());
        }
        let is_its = |claim: &Claim| claim.path().base().hash_part() == *hash_part;
        record.claims.retain(|it| is_its(&it.claim) && !it.attestations.is_empty());
        Ok(())
    }

    /// Enters what an entry of the own ledger says, where it is missing. Answers with whether it was.
    fn enter_again(
        &mut self,
        index: u64,
        hash_part: &HashPart,
        record: &mut PathRecord,
    ) -> Result<bool, Error> {
        let Some((entry, claim)) = self.entry_about(LedgerId::OWN, index, hash_part)? else {
            return Ok(false);
        };
        let key = LoggedKey::of_entry(&entry);
        let listed = self.standing(&key)? == Some(index);
        self.batch.put_logged(&key, index)?;
        let words = record.claims.iter().flat_map(|it| &it.attestations);
        if words.filter(|word| word.ledger.is_own()).any(|word| word.index == index) {
            return Ok(!listed);
        }
        let word = AttestationRecord::of_entry(LedgerId::OWN, index, &entry);
        match record.claims.iter_mut().find(|it| it.claim == claim) {
            Some(known) => known.attestations.push(word),
            None => record
                .claims
                .push(ClaimRecord { attestations: vec![word], ..ClaimRecord::new(claim) }),
        }
        for claim in &mut record.claims {
            claim.attestations.sort_by_key(AttestationRecord::order);
        }
        let first = |claim: &ClaimRecord| claim.attestations.first().map(AttestationRecord::order);
        record.claims.sort_by_key(first);
        Ok(true)
    }

    /// An entry and the claim that it attests, if that is known and about this path.
    fn entry_about(
        &self,
        ledger: LedgerId,
        index: u64,
        hash_part: &HashPart,
    ) -> Result<Option<(Entry, Claim)>, Error> {
        let Some(entry) = self.entry_of(ledger, index)? else { return Ok(None) };
        let text = self.index.claim(&entry.claim)?;
        let claim = text.and_then(|text| Claim::parse(&text).ok());
        let is_its = |claim: &Claim| {
            claim.id() == entry.claim && claim.path().base().hash_part() == *hash_part
        };
        Ok(claim.filter(is_its).map(|claim| (entry, claim)))
    }

    fn entry_of(&self, ledger: LedgerId, index: u64) -> Result<Option<Entry>, Error> {
        let log = LogAt { ledger, log: LogId::Attestations };
        let bytes = match self.index.log_entries(log, index, 1) {
            Ok(mut entries) => entries.pop(),
            // A gap in the log: it has no such entry.
            Err(Error::Damaged(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(bytes.and_then(|bytes| Entry::parse(&bytes).ok()))
    }

    /// Where a NAR may be of which nothing is known: a source of a ledger that is mirrored here.
    fn perhaps_elsewhere(&self) -> Result<ElsewhereRecord, Error> {
        for (ledger, _) in self.index.mirrored_ledgers()? {
            let log = LogAt { ledger, log: LogId::Attestations };
            if let Some((source, _)) = self.index.mirror_sources(log)?.into_iter().next() {
                return Ok(ElsewhereRecord { source, file: None, wanted: true });
            }
        }
        Ok(ElsewhereRecord { source: String::new(), file: None, wanted: true })
    }
}
