//! What a path was built from, which nobody needs to know and some tools show.

use schema::claim::Claim;
use schema::store_path::BaseName;

use super::Judge;

impl Judge {
    /// The derivation that a path was built from, by the word of a signer whom the policy knows, who
    /// claims the same of the path. Only Guix's words name it.
    pub(crate) fn deriver(&self, claim: &Claim) -> Option<BaseName> {
        self.ledgers.iter().find_map(|ledger| {
            let seen = ledger.seen();
            let (known, heard) = (seen.known.as_ref()?, seen.memory.of(claim.path())?);
            let name = claim.path().base().name();
            heard.statements.iter().find_map(|it| {
                let (key, index, at) = (it.key_id(), it.index(), it.logged_at());
                let said = it.claim().filter(|said| said.agrees_with(claim))?;
                let counts = known.signers().counts(&key, index, name, at);
                if !counts {
                    return None;
                }
                said.guix_text()?.deriver().cloned()
            })
        })
    }
}
