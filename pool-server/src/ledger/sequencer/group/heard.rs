//! Words of mirrored ledgers that are verified and taken up into what is known of paths.

use std::sync::Arc;

use schema::attestation::Entry;
use schema::claim::Claim;
use schema::statement::Statement;

use super::mirrored::{bad, damaged};
use super::{Group, MAX_CLAIMS_PER_SIGNER, MAX_WORDINGS};
use crate::index::{AttestationRecord, ClaimRecord, LedgerId, LogAt, LogId, by_meaning};
use crate::rejected::Failure;

/// The most words of one mirrored ledger that are kept of one path.
const MAX_WORDS: usize = 1024;
/// The most entries about one claim that are heard once its text comes.
const MAX_EARLIER: usize = 4096;
impl Group<'_> {
    /// Hears the words of mirrored ledgers about a claim whose text came just now. One that is not its
    /// signer's is passed over: whoever logged it is to blame, and not who brings the text.
    pub(super) fn hear_earlier(&mut self, claim: &Claim) -> Result<(), Failure> {
        let id = claim.id();
        for (ledger, index) in self.index.mirrored_words(&id, MAX_EARLIER)? {
            let log = LogAt { ledger, log: LogId::Attestations };
            let bytes = self.index.log_entries(log, index, 1)?.pop();
            let entry = bytes.and_then(|bytes| Entry::parse(&bytes).ok());
            let entry = entry.ok_or_else(|| damaged(log, index))?;
            match self.check_word(ledger, index, &entry, claim) {
                Ok(()) => self.hear(ledger, index, &entry, claim)?,
                Err(Failure::Rejected(_)) => {}
                Err(Failure::Error(error)) => return Err(error.into()),
            }
        }
        self.mirrored.texts.insert(id, claim.clone());
        Ok(())
    }

    pub(super) fn check_word(
        &self,
        ledger: LedgerId,
        index: u64,
        entry: &Entry,
        claim: &Claim,
    ) -> Result<(), Failure> {
        let log = LogAt { ledger, log: LogId::Attestations };
        self.check_known(log, index, entry)?;
        let signer = self.table(ledger)?.by_id(&entry.key_id);
        let key = signer.map(|signer| &signer.key).ok_or_else(|| damaged(log, index))?;
        Statement::verified(index, entry, Arc::new(claim.clone()), key)
            .map_err(|why| bad(log, index, why))?;
        Ok(())
    }

    /// Takes a signer's word, which was verified, up into what is known of the path. One who says very
    /// many things of it is not listened to for ever, nor is a ledger that has very many say something.
    pub(super) fn hear(
        &mut self,
        ledger: LedgerId,
        index: u64,
        entry: &Entry,
        claim: &Claim,
    ) -> Result<(), Failure> {
        let file = self.shown_file(claim.path(), &claim.nar_hash())?;
        let hash_part = claim.path().base().hash_part();
        let path = self.path(hash_part)?;
        let is_its =
            |word: &AttestationRecord| word.ledger == ledger && word.key_id == entry.key_id;
        let said = path.claims.iter().filter(|record| record.attestations.iter().any(is_its));
        let things = by_meaning(said);
        let wordings = things.iter().find(|it| it[0].claim.agrees_with(claim)).map(Vec::len);
        let often = wordings.map_or(things.len() >= MAX_CLAIMS_PER_SIGNER, |it| it >= MAX_WORDINGS);
        let words = path.claims.iter().flat_map(|record| &record.attestations);
        let many = words.filter(|word| word.ledger == ledger).count() >= MAX_WORDS;
        let too_many = often || many;
        self.batch.put_unheard(&entry.path_key, (ledger, index), too_many)?;
        if too_many {
            return Ok(());
        }
        let path = self.path(hash_part)?;
        let place = path.claims.iter().position(|record| record.claim == *claim);
        let place = place.unwrap_or_else(|| {
            path.claims.push(ClaimRecord { file, ..ClaimRecord::new(claim.clone()) });
            path.claims.len() - 1
        });
        let words = &mut path.claims[place].attestations;
        if !words.iter().any(|word| word.ledger == ledger && word.index == index) {
            words.push(AttestationRecord::of_entry(ledger, index, entry));
        }
        self.claimed.entry(claim.nar_hash()).or_default().push(hash_part);
        self.batch.put_claim(&claim.id(), claim)?;
        Ok(())
    }
}
