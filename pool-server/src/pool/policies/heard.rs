//! Which ledgers a policy hears, and what of them.

use std::sync::Arc;

use schema::attestation::Entry;
use schema::policy::Policy;
use schema::signers::Signers;
use schema::statement::Statement;
use schema::store_path::StorePath;

use crate::index::{LedgerId, LogAt, LogId};
use crate::pool::Pool;
use crate::rejected::Error;

/// Entries about one path that nobody here can read.
const MAX_UNHEARD: usize = 100_000;

/// A ledger that policies hear.
pub(super) struct Heard {
    pub(super) ledger: LedgerId,
    pub(super) origin: Arc<str>,
    pub(super) signers: Arc<Signers>,
    /// Attestations that are published.
    pub(super) size: u64,
    /// It is known to be whole as of then, POSIX seconds.
    pub(super) as_of: u64,
}

impl Pool {
    /// The pool's own ledger, and those that it mirrors and the policy lists, by their keys.
    pub(super) fn heard(&self, policy: &Policy, now: u64) -> Vec<Heard> {
        let (signers, size) = (self.signers(), self.shown(LogId::Attestations).published().size());
        let origin = self.ledger.identity().origin().into();
        let own = Heard { ledger: LedgerId::OWN, origin, signers, size, as_of: now };
        let (roll, keys) = (self.roll(), self.ledger.mirror().keys());
        let listed = |ledger: LedgerId| {
            let mut key = keys.iter().filter(|(of, _)| *of == ledger).map(|(_, key)| key);
            key.any(|key| policy.ledger().logs().contains(key))
        };
        let others = roll.mirrored().filter(|(ledger, ..)| listed(*ledger));
        let others = others.filter_map(|(ledger, origin, signers)| {
            let (size, as_of) = self.ledger.mirror().heard(ledger)?;
            let (origin, signers) = (Arc::clone(origin), Arc::clone(signers));
            Some(Heard { ledger, origin, signers, size, as_of })
        });
        std::iter::once(own).chain(others).collect()
    }

    /// Entries of a mirrored ledger of which nobody here knows what they say.
    pub(super) fn unheard(&self, path: &StorePath, heard: &Heard) -> Result<Vec<Statement>, Error> {
        if heard.ledger.is_own() {
            return Ok(Vec::new());
        }
        let rows = self.index.unheard(&path.key(), MAX_UNHEARD)?;
        let log = LogAt { ledger: heard.ledger, log: LogId::Attestations };
        let of_ledger = rows.iter().filter(|(of, at)| *of == heard.ledger && *at < heard.size);
        let read = |&(_, at): &(LedgerId, u64)| {
            let bytes = self.index.log_entries(log, at, 1)?.pop();
            let entry = bytes.and_then(|bytes| Entry::parse(&bytes).ok());
            let entry = entry.ok_or_else(|| Error::Damaged(format!("entry {at} of {log}")))?;
            Ok(Statement::unchecked(at, &entry, None))
        };
        of_ledger.map(read).collect()
    }
}
