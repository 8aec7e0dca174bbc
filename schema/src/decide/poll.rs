//! Asks every ledger what every principal says.

use std::sync::Arc;

use super::decision::{Decision, LedgerAccount, Tally, Vote, VoteStanding};
use super::entry::Reader;
use super::outcome::{AllowCode, DenyCode, Outcome, UnknownCode};
use super::tally::tallies;
use super::unheard::{MAX_CLOCK_LEAD, Unheard};
use super::{Hearing, Said};
use crate::claim::Dialect;
use crate::hash::ClaimId;
use crate::policy::{Name, Policy, Terms, Veto};
use crate::store_path::StorePath;

/// What a principal says of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    Silent,
    /// That this claim is so. It is a vote if a signature for it was checked.
    Says(ClaimId),
    /// Two different things.
    Abstains,
}

impl Voice {
    fn and(self, claim: ClaimId) -> Self {
        match self {
            Self::Silent => Self::Says(claim),
            Self::Says(said) if said == claim => self,
            Self::Says(_) | Self::Abstains => Self::Abstains,
        }
    }
}

/// Every entry about a path, and what every principal says of it.
pub(super) struct Poll<'e> {
    policy: &'e Policy,
    hearings: &'e [Hearing<'e>],
    ledgers: Vec<LedgerAccount>,
    account: Vec<Vote>,
    /// By principal.
    pub(super) voices: Vec<Voice>,
    /// By principal: whether what it says is a vote.
    pub(super) voted: Vec<bool>,
}

impl<'e> Poll<'e> {
    pub(super) fn take(
        policy: &'e Policy,
        path: &StorePath,
        hearings: &'e [Hearing<'e>],
        now: u64,
    ) -> Self {
        let principals = policy.principals().len();
        let mut poll = Self {
            policy,
            hearings,
            ledgers: ledgers(policy, hearings, now),
            account: Vec::new(),
            voices: vec![Voice::Silent; principals],
            voted: vec![false; principals],
        };
        let reader = Reader::new(policy, path, hearings);
        let mut entries = Vec::new();
        for hearing in hearings.iter().filter(|hearing| is_listed(policy, hearing.ledger)) {
            let Ok(Said { statements, .. }) = hearing.said else { continue };
            for statement in statements {
                let (speaker, vote) = reader.vote(hearing, statement);
                if let Some(speaker) = speaker.filter(|_| vote.standing.says()) {
                    poll.voices[speaker] = poll.voices[speaker].and(vote.claim);
                }
                entries.push((speaker, vote));
            }
        }
        poll.count(entries);
        poll
    }

    /// Settles which entries are votes: the first of each principal that does not abstain.
    fn count(&mut self, mut entries: Vec<(Option<usize>, Vote)>) {
        entries.sort_unstable_by(|(_, left), (_, right)| left.place().cmp(&right.place()));
        for (speaker, vote) in &mut entries {
            let Some(speaker) = speaker.filter(|_| vote.standing.says()) else { continue };
            if self.voices[speaker] == Voice::Abstains {
                vote.standing = VoteStanding::Abstains;
            } else if vote.standing == VoteStanding::Counted
                && std::mem::replace(&mut self.voted[speaker], true)
            {
                vote.standing = VoteStanding::Repeat;
            }
        }
        self.account = entries.into_iter().map(|(_, vote)| vote).collect();
    }

    /// Puts everything into the decision, and answers with what the votes come to.
    pub(super) fn report(self, terms: &Terms, decision: &mut Decision) -> Outcome {
        decision.abstaining = self.named(|at| self.voices[at] == Voice::Abstains);
        let mut outcome = Outcome::Deny(DenyCode::RuleDenies);
        if let Terms::Require { party, veto } = terms {
            let required = self.policy.principals_in(*party);
            let tallies = tallies(self.policy, &self, *party, &required);
            decision.silent = self.named(|at| required[at] && self.voices[at] == Voice::Silent);
            let has_veto = |at: usize| match veto {
                Veto::Nobody => false,
                Veto::Required => required[at],
                Veto::Watched(watched) => watched.binary_search(&at).is_ok(),
            };
            let best = tallies.first().map(|tally| tally.claim);
            decision.dissenting = self.named(|at| {
                let elsewhere = |claim| best.is_some_and(|best| best != claim);
                has_veto(at)
                    && match self.voices[at] {
                        Voice::Silent => false,
                        Voice::Says(claim) => elsewhere(claim),
                        Voice::Abstains => true,
                    }
            });
            outcome = self.outcome(&tallies, has_veto);
            decision.tallies = tallies;
        }
        (decision.ledgers, decision.account) = (self.ledgers, self.account);
        outcome
    }

    fn outcome(&self, tallies: &[Tally], has_veto: impl Fn(usize) -> bool) -> Outcome {
        if let Some(outcome) = self.unheard() {
            return outcome;
        }
        if self.account.is_empty() {
            return Outcome::Unknown(UnknownCode::NeverSeen);
        }
        let mut possible = tallies.iter().filter(|tally| tally.would_suffice);
        let candidate = possible.next();
        if possible.next().is_some() {
            return Outcome::Deny(DenyCode::Ambiguous);
        }
        if self.is_vetoed(candidate.map(|tally| tally.claim), has_veto) {
            return Outcome::Deny(DenyCode::Disagreement);
        }
        match candidate {
            None => Outcome::Unknown(UnknownCode::NotEnoughVotes),
            Some(tally) if tally.have < tally.need => Outcome::Unknown(UnknownCode::NoText),
            Some(tally) => self.allow(tally.claim),
        }
    }

    /// What it comes to that not every ledger was heard, if so.
    fn unheard(&self) -> Option<Outcome> {
        let is_listed = |it: &&Option<Unheard>| **it != Some(Unheard::NotListed);
        let listed = self.ledgers.iter().map(|ledger| &ledger.unheard).filter(is_listed);
        if listed.clone().any(|unheard| matches!(unheard, Some(Unheard::WentBack(_)))) {
            return Some(Outcome::Deny(DenyCode::LedgerWentBack));
        }
        let none_listed = listed.clone().next().is_none();
        match listed.flatten().next() {
            Some(Unheard::Stale { .. } | Unheard::Ahead { .. }) => {
                Some(Outcome::Unknown(UnknownCode::Stale))
            }
            Some(_) => Some(Outcome::Unknown(UnknownCode::Unheard)),
            None => none_listed.then_some(Outcome::Unknown(UnknownCode::Unheard)),
        }
    }

    /// Whether somebody with a veto dissents from the claim that may be allowed; or, while there is
    /// none, from any that may ever be, because those with a veto say different things.
    fn is_vetoed(&self, mut may: Option<ClaimId>, has_veto: impl Fn(usize) -> bool) -> bool {
        for (_, voice) in self.voices.iter().enumerate().filter(|(at, _)| has_veto(*at)) {
            match *voice {
                Voice::Silent => {}
                Voice::Abstains => return true,
                Voice::Says(claim) if *may.get_or_insert(claim) != claim => return true,
                Voice::Says(_) => {}
            }
        }
        false
    }

    fn allow(&self, meaning: ClaimId) -> Outcome {
        let said = self.hearings.iter().filter_map(|hearing| hearing.said.as_ref().ok());
        let mut statements = said.flat_map(|said| said.statements);
        let claim = statements.find_map(|it| it.claim().filter(|_| it.meaning() == meaning));
        let claim = claim.unwrap_or_else(|| unreachable!("a vote has its claim beside it"));
        // Several may have said it, each in words of their own.
        let claim = match claim.dialect() {
            Dialect::Nix => Arc::clone(claim),
            Dialect::Guix => Arc::new(claim.in_nix()),
        };
        Outcome::Allow(claim, AllowCode::Attested)
    }

    /// The names of the principals chosen.
    pub(super) fn named(&self, chosen: impl Fn(usize) -> bool) -> Vec<Name> {
        let principals = self.policy.principals().iter().enumerate();
        let chosen = principals.filter(|(at, _)| chosen(*at));
        chosen.map(|(_, principal)| principal.name().clone()).collect()
    }
}

/// Every ledger that was asked or should have been, and whether it was heard.
fn ledgers(policy: &Policy, hearings: &[Hearing<'_>], now: u64) -> Vec<LedgerAccount> {
    let asked = hearings.iter().map(|hearing| LedgerAccount {
        ledger: hearing.ledger.to_owned(),
        as_of: hearing.said.as_ref().ok().map(|said| said.as_of),
        unheard: unheard(policy, hearing, now),
    });
    let missing = policy
        .ledger()
        .origins()
        .filter(|origin| hearings.iter().all(|hearing| hearing.ledger != *origin));
    let mut ledgers: Vec<_> = asked
        .chain(missing.map(|origin| LedgerAccount {
            ledger: origin.to_owned(),
            as_of: None,
            unheard: Some(Unheard::NotAsked),
        }))
        .collect();
    ledgers.sort_unstable_by(|left, right| {
        let key = |it: &LedgerAccount| (it.as_of, it.unheard.as_ref().map(ToString::to_string));
        left.ledger.cmp(&right.ledger).then_with(|| key(left).cmp(&key(right)))
    });
    ledgers
}

fn unheard(policy: &Policy, hearing: &Hearing<'_>, now: u64) -> Option<Unheard> {
    if !is_listed(policy, hearing.ledger) {
        return Some(Unheard::NotListed);
    }
    let as_of = match &hearing.said {
        Ok(said) => said.as_of,
        Err(unheard) => return Some(unheard.clone()),
    };
    let (age, by) = (now.saturating_sub(as_of), as_of.saturating_sub(now));
    let max = policy.ledger().max_checkpoint_age().seconds();
    if by > MAX_CLOCK_LEAD {
        return Some(Unheard::Ahead { by });
    }
    (age > max).then_some(Unheard::Stale { age, max })
}

/// Whether what a ledger says matters.
pub(super) fn is_listed(policy: &Policy, ledger: &str) -> bool {
    let terms = policy.ledger();
    terms.logs().is_empty() || terms.origins().any(|origin| origin == ledger)
}
