//! Decides by a policy which claim of a store path is allowed, if any.
//!
//! A decision rests on everything that the ledgers in question hold about the path. Whoever asks has
//! verified that it is everything: see [`Said`]. So no evidence that is kept back, no entry, list or
//! ledger, makes an allowed claim out of anything else; at most a claim is not allowed for want of it.
//!
//! Source of the rules: the design's `formats.md`, section Policy.

mod closure;
mod decision;
mod entry;
mod outcome;
mod poll;
mod tally;
mod text;
mod unheard;

use std::sync::Arc;

use crate::claim::Claim;
use crate::content_address::ContentAddress;
use crate::policy::{Policy, Terms};
use crate::signers::Signers;
use crate::statement::Statement;
use crate::store_path::StorePath;

use self::poll::Poll;

pub use self::closure::{Closure, MAX_CULPRITS, Reached, closure};
pub use self::decision::{Decision, LedgerAccount, Tally, Vote, VoteStanding};
pub use self::outcome::{AllowCode, DenyCode, Outcome, UnknownCode};
pub use self::unheard::{MAX_CLOCK_LEAD, Unheard};

/// What one ledger has to say of one path.
#[derive(Debug, Clone)]
pub struct Hearing<'e> {
    /// The ledger's origin. One that the policy does not list, if it lists any, is passed over.
    pub ledger: &'e str,
    /// The signers that the ledger's keys log makes, as far as it is known.
    pub signers: &'e Signers,
    /// All that it says, or why that cannot be had.
    pub said: Result<Said<'e>, Unheard>,
}

/// All that one ledger says of one path.
///
/// Whoever makes one has verified, against a checkpoint that the policy's witnesses have seen if it
/// asks for any, that the ledger's map lists these entries for the path and no others, that each is
/// in the ledger, and that the keys log was read to its end as of that checkpoint.
#[derive(Debug, Clone, Copy)]
pub struct Said<'e> {
    /// The ledger is known to be whole as of then, POSIX seconds.
    pub as_of: u64,
    /// The entries, in any order.
    pub statements: &'e [Statement],
}

/// Decides which claim of `path` is allowed, at `now` in POSIX seconds.
///
/// Every ledger that the policy lists must be among the `hearings`, and each of them must be heard.
/// `content_addressed` is a claim that somebody, no matter who, makes of the path, and the address
/// from which the path is said to follow. If it does, and the NAR follows from it too, the claim is
/// allowed without a word of anybody, unless the rule is to deny.
#[must_use]
pub fn decide(
    policy: &Policy,
    path: &StorePath,
    hearings: &[Hearing<'_>],
    content_addressed: Option<(&Claim, &ContentAddress)>,
    now: u64,
) -> Decision {
    let rule = policy.rule_for(path.base().name());
    let terms = rule.map_or(policy.default_terms(), |rule| rule.terms());
    let poll = Poll::take(policy, path, hearings, now);
    let mut decision = Decision::new(policy, path.clone(), rule, terms);
    let proven = content_addressed.filter(|(claim, address)| proves(path, claim, address));
    let outcome = poll.report(terms, &mut decision);
    decision.outcome = if policy.has_expired(now) {
        Outcome::Deny(DenyCode::PolicyExpired)
    } else if path.dir() != policy.store_dir() {
        Outcome::Deny(DenyCode::OtherStore)
    } else if *terms == Terms::Deny {
        Outcome::Deny(DenyCode::RuleDenies)
    } else if let Some((claim, _)) = proven {
        Outcome::Allow(Arc::new(claim.in_nix()), AllowCode::ContentAddressed)
    } else {
        outcome
    };
    decision
}

/// Whether `claim` is true of `path` whoever says so: the path follows from the address, and the
/// address is the hash of the NAR. An address of another kind, or of a path that refers to itself,
/// fixes the contents too, but not in a way that the claim alone shows.
fn proves(path: &StorePath, claim: &Claim, address: &ContentAddress) -> bool {
    claim.path() == path
        && address.nar_hash() == Some(claim.nar_hash())
        && !claim.references().contains(path.base())
        && address.gives_path_of(claim)
}

#[cfg(test)]
mod tests;
