//! What one entry is to a policy.

use super::Hearing;
use super::decision::{Vote, VoteStanding};
use super::poll::is_listed;
use crate::hash::{KeyId, PathKey};
use crate::policy::{Policy, Speaker};
use crate::statement::Statement;
use crate::store_path::StorePath;

/// Reads entries about one path.
pub(super) struct Reader<'e> {
    policy: &'e Policy,
    hearings: &'e [Hearing<'e>],
    path_name: &'e str,
    path_key: PathKey,
}

impl<'e> Reader<'e> {
    pub(super) fn new(
        policy: &'e Policy,
        path: &'e StorePath,
        hearings: &'e [Hearing<'e>],
    ) -> Self {
        Self { policy, hearings, path_name: path.base().name(), path_key: path.key() }
    }

    /// For which principal an entry speaks, and how it stands before others are looked at.
    pub(super) fn vote(
        &self,
        hearing: &Hearing<'_>,
        statement: &Statement,
    ) -> (Option<usize>, Vote) {
        let (speaker, standing) = match self.policy.speaker(&statement.key_id(), hearing.signers) {
            _ if statement.path_key() != self.path_key => (None, VoteStanding::OtherPath),
            Speaker::Principal(at) => (Some(at), self.standing(at, hearing, statement)),
            Speaker::DelegateOf(at) => (Some(at), VoteStanding::DelegateNotAllowed),
            Speaker::SuccessorOf(at) => (Some(at), VoteStanding::SuccessorNotListed),
            Speaker::Stranger => (None, VoteStanding::NotInPolicy),
        };
        let vote = Vote {
            ledger: hearing.ledger.to_owned(),
            index: statement.index(),
            logged_at: statement.logged_at(),
            key_id: statement.key_id(),
            principal: speaker.map(|at| self.policy.principals()[at].name().clone()),
            claim: statement.meaning(),
            standing,
        };
        (speaker, vote)
    }

    /// How an entry by a key of this principal stands.
    fn standing(&self, at: usize, hearing: &Hearing<'_>, statement: &Statement) -> VoteStanding {
        let (key, logged_at) = (statement.key_id(), statement.logged_at());
        let (signers, index, name) = (hearing.signers, statement.index(), self.path_name);
        let voided = signers.voided_by_pool(&key, index, name, logged_at);
        if !voided && !signers.counts(&key, index, name, logged_at) {
            return VoteStanding::KeyNotValid;
        }
        if self.policy.principals()[at].not_after().is_some_and(|end| logged_at > end) {
            return VoteStanding::AfterNotAfter;
        }
        if voided {
            return VoteStanding::VoidedByPool;
        }
        if self.speaks_for_another(at, &key) {
            return VoteStanding::KeyOfTwo;
        }
        if statement.claim().is_none() {
            return VoteStanding::Unchecked;
        }
        VoteStanding::Counted
    }

    /// Whether the key speaks for another principal in some ledger. A root needs nobody's leave to
    /// delegate, so the same machine's key may stand below two roots, in two ledgers. It is one key
    /// none the less, and cannot be two votes.
    fn speaks_for_another(&self, at: usize, key: &KeyId) -> bool {
        let mut listed = self.hearings.iter().filter(|it| is_listed(self.policy, it.ledger));
        listed.any(|hearing| {
            matches!(self.policy.speaker(key, hearing.signers), Speaker::Principal(it) if it != at)
        })
    }
}

impl Vote {
    /// By what the account is sorted.
    pub(super) fn place(&self) -> impl Ord + '_ {
        (&*self.ledger, self.index, self.key_id, self.claim, self.standing, self.logged_at)
    }
}
