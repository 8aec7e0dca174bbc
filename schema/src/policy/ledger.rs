//! What a policy asks of the ledgers themselves.

use super::Age;
use crate::tlog::note::VerifierKey;

/// What the ledgers themselves must show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerTerms {
    pub(super) logs: Vec<VerifierKey>,
    pub(super) max_checkpoint_age: Age,
    pub(super) witnesses: Option<Quorum>,
}

impl LedgerTerms {
    /// The attestations logs that count, each `<origin>/attestations`. None when the policy leaves
    /// it to its user which they are.
    #[must_use]
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// The origins of those logs: their names without `/attestations`.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.logs.iter().map(|log| origin(log).unwrap_or_else(|| unreachable!("checked when read")))
    }

    /// How long after it was made a checkpoint is still taken.
    #[must_use]
    pub fn max_checkpoint_age(&self) -> Age {
        self.max_checkpoint_age
    }

    /// Who must have seen the checkpoints; none when nobody need have.
    #[must_use]
    pub fn witnesses(&self) -> Option<&Quorum> {
        self.witnesses.as_ref()
    }
}

/// The origin of a pool whose attestations log has this key.
pub(super) fn origin(log: &VerifierKey) -> Option<&str> {
    log.name().as_str().strip_suffix("/attestations").filter(|origin| !origin.is_empty())
}

/// So many of these witnesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    pub(super) k: usize,
    pub(super) members: Vec<VerifierKey>,
}

impl Quorum {
    /// How many must have cosigned: at least 1, at most all.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// The witnesses, no key twice.
    #[must_use]
    pub fn members(&self) -> &[VerifierKey] {
        &self.members
    }
}
