//! Who a policy's parts are made of, and when they are satisfied.

use super::{Group, Party, Policy, Speaker};
use crate::hash::KeyId;
use crate::signers::Signers;

impl Policy {
    /// For whom a key speaks in a ledger with these signers.
    pub(crate) fn speaker(&self, key: &KeyId, signers: &Signers) -> Speaker {
        if let Some(&owner) = self.owners.get(key) {
            return Speaker::Principal(owner);
        }
        let Some(signer) = signers.by_id(key) else { return Speaker::Stranger };
        if let Some(delegation) = &signer.delegation {
            return match self.owners.get(&delegation.root) {
                Some(&owner) if self.principals[owner].delegates => Speaker::Principal(owner),
                Some(&owner) => Speaker::DelegateOf(owner),
                None => Speaker::Stranger,
            };
        }
        let earlier = signers.keys_named(signer.key.name()).take_while(|it| it.key_id != *key);
        let owner = earlier.filter_map(|earlier| self.owners.get(&earlier.key_id)).last();
        owner.map_or(Speaker::Stranger, |&owner| Speaker::SuccessorOf(owner))
    }

    /// For each principal, whether it is the party or in it.
    pub(crate) fn principals_in(&self, party: Party) -> Vec<bool> {
        let mut used = Used::none(self);
        used.mark(party);
        used.spread(self);
        used.principals
    }

    /// How many of a party's direct members are satisfied when `votes` tells which principals agree,
    /// and how many must be. A principal is a party of one.
    pub(crate) fn tally(&self, party: Party, votes: &dyn Fn(usize) -> bool) -> (usize, usize) {
        let Party::Group(group) = party else { return (usize::from(votes_of(party, votes)), 1) };
        let mut met = vec![false; self.groups.len()];
        for &index in &self.inner_first {
            let inner = &self.groups[index];
            met[index] = have(inner, &met, votes) >= inner.k();
            if index == group {
                break;
            }
        }
        (have(&self.groups[group], &met, votes), self.groups[group].k())
    }
}

/// Which principals and groups something asks for.
pub(super) struct Used {
    pub(super) principals: Vec<bool>,
    pub(super) groups: Vec<bool>,
}

impl Used {
    pub(super) fn none(policy: &Policy) -> Self {
        Self {
            principals: vec![false; policy.principals.len()],
            groups: vec![false; policy.groups.len()],
        }
    }

    pub(super) fn mark(&mut self, party: Party) {
        match party {
            Party::Principal(index) => self.principals[index] = true,
            Party::Group(index) => self.groups[index] = true,
        }
    }

    /// To whatever is in what is marked.
    pub(super) fn spread(&mut self, policy: &Policy) {
        for &index in policy.inner_first.iter().rev() {
            if self.groups[index] {
                policy.groups[index].members.iter().for_each(|member| self.mark(*member));
            }
        }
    }
}

/// How many members of a group are satisfied, when `met` tells which groups are.
fn have(group: &Group, met: &[bool], votes: &dyn Fn(usize) -> bool) -> usize {
    let satisfied = |member: &&Party| match **member {
        Party::Group(index) => met[index],
        principal @ Party::Principal(_) => votes_of(principal, votes),
    };
    group.members.iter().filter(satisfied).count()
}

fn votes_of(party: Party, votes: &dyn Fn(usize) -> bool) -> bool {
    matches!(party, Party::Principal(index) if votes(index))
}
