//! Entries that were logged long ago, taken up once more: what is known of paths is made anew.

use schema::attestation::Entry;
use schema::claim::Claim;
use schema::content_address::ContentAddress;
use schema::store_path::BaseName;

use super::Group;
use crate::index::{AttestationRecord, LedgerId, LoggedKey};
use crate::rejected::{Error, Failure};

impl Group<'_> {
    /// Takes up an entry of the pool's own ledger, unless that was done, and answers with whether its claim is here: if not,
    /// nothing is known of it but that it was logged. `unsigned` is what was known of the claim beside.
    pub(in super::super) fn replay(
        &mut self,
        index: u64,
        entry: &Entry,
        unsigned: impl FnOnce(&Claim) -> (Option<BaseName>, Option<ContentAddress>),
    ) -> Result<bool, Error> {
        self.batch.put_logged(&LoggedKey::of_entry(entry), index)?;
        let Some(claim) = self.text(&entry.claim)?.filter(|claim| is_of(entry, claim)) else {
            return Ok(false);
        };
        let known = &self.path(claim.path().base().hash_part())?.claims;
        let mut words = known.iter().flat_map(|record| &record.attestations);
        if words.any(|word| word.ledger.is_own() && word.index == index) {
            return Ok(true);
        }
        let word = AttestationRecord::of_entry(LedgerId::OWN, index, entry);
        if self.say(&claim, word, unsigned(&claim))? {
            self.batch.put_claim(&entry.claim, &claim)?;
        }
        Ok(true)
    }

    /// Takes up an entry of a mirrored ledger. What was not its signer's then is not now.
    pub(in super::super) fn replay_mirrored(
        &mut self,
        ledger: LedgerId,
        index: u64,
        entry: &Entry,
    ) -> Result<(), Failure> {
        self.batch.put_mirrored_word(ledger, (&entry.claim, &entry.key_id), index)?;
        if let Some(claim) = self.text(&entry.claim)? {
            match self.check_word(ledger, index, entry, &claim) {
                Ok(()) => return self.hear(ledger, index, entry, &claim),
                Err(Failure::Rejected(_)) => {}
                Err(Failure::Error(error)) => return Err(error.into()),
            }
        }
        Ok(self.batch.put_unheard(&entry.path_key, (ledger, index), true)?)
    }
}

/// The database may have it wrong.
fn is_of(entry: &Entry, claim: &Claim) -> bool {
    claim.id() == entry.claim
        && claim.nar_hash() == entry.subject
        && claim.path().key() == entry.path_key
}
