//! How pools stand with the judge, for people and monitors.

use schema::decide::Unheard;
use serde::Serialize;

use super::ledger::Ledger;

/// How a pool stands with the judge.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PoolStatus {
    /// Its address.
    pub(crate) url: String,
    /// What the names of its logs begin with, once it was heard.
    pub(crate) origin: Option<String>,
    /// Attestations in the ledger, as far as it was seen.
    pub(crate) attestations: u64,
    /// Events in its keys log, as far as it was seen.
    pub(crate) key_events: u64,
    /// POSIX seconds: it was known whole as of then.
    pub(crate) as_of: Option<u64>,
    /// Why it was not heard when it was asked last.
    pub(crate) trouble: Option<Unheard>,
}

impl PoolStatus {
    pub(super) fn of(ledger: &Ledger) -> Self {
        let seen = ledger.seen();
        let sizes = seen.known.as_ref().map(|known| known.sizes()).unwrap_or_default();
        Self {
            url: ledger.url().to_owned(),
            origin: seen.known.as_ref().map(|known| known.logs().origin().to_owned()),
            attestations: sizes.attestations,
            key_events: sizes.keys,
            as_of: (seen.newest.as_of > 0).then_some(seen.newest.as_of),
            trouble: seen.trouble.clone(),
        }
    }
}
