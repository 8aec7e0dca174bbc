//! Decisions in words.

use std::fmt;

use super::decision::{Decision, Tally};
use super::outcome::{AllowCode, DenyCode, Outcome, UnknownCode};
use super::unheard::Unheard;
use crate::policy::Name;

/// The most names that one line lists.
const LISTED: usize = 5;

/// One line for people: the path's name, and what is so or what is lacking.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path().base().name(), self.reason())
    }
}

impl Decision {
    /// One line for people that says why, without the path.
    #[must_use]
    pub fn reason(&self) -> String {
        match self.outcome() {
            Outcome::Allow(_, AllowCode::Attested) => {
                let votes = self.tallies().first().map_or(&[][..], |tally| &tally.votes);
                format!("allowed: {} attested it", listed(votes))
            }
            Outcome::Allow(_, AllowCode::ContentAddressed) => {
                "allowed: its path follows from its contents".to_owned()
            }
            Outcome::Deny(code) => self.denied(*code),
            Outcome::Unknown(code) => self.unknown(*code),
        }
    }

    fn denied(&self, code: DenyCode) -> String {
        match code {
            DenyCode::PolicyExpired => "the policy has expired".to_owned(),
            DenyCode::OtherStore => {
                format!("the policy is not about {}", self.path().dir())
            }
            DenyCode::RuleDenies => match self.rule() {
                Some(rule) => format!("the rule for {rule} denies it"),
                None => "no rule is about it, and the default denies it".to_owned(),
            },
            DenyCode::LedgerWentBack => {
                self.ledger_trouble(|it| matches!(it, Unheard::WentBack(_)))
            }
            DenyCode::Ambiguous => {
                let sides = self.tallies().iter().filter(|tally| tally.would_suffice);
                let names = |it: &Tally| listed(&[&*it.votes, &*it.unchecked].concat());
                let sides: Vec<String> = sides.take(LISTED).map(names).collect();
                format!("enough attested more than one claim: {}", sides.join("; "))
            }
            DenyCode::Disagreement => {
                let dissenting: Vec<&Name> = self.dissenting().iter().collect();
                let (abstain, differ): (Vec<&Name>, Vec<&Name>) =
                    dissenting.into_iter().partition(|name| self.abstaining().contains(name));
                let said = [(differ, "attested another claim"), (abstain, "attested two claims")];
                let said = said.iter().filter(|(names, _)| !names.is_empty());
                let said: Vec<String> =
                    said.map(|(names, what)| format!("{} {what}", listed(names))).collect();
                format!("disagreement: {}", said.join("; "))
            }
            DenyCode::Dependency => "something it refers to is denied".to_owned(),
            DenyCode::Cycle => "it refers to a path that refers back to it".to_owned(),
        }
    }

    fn unknown(&self, code: UnknownCode) -> String {
        match code {
            UnknownCode::Unheard if self.ledgers().is_empty() => "no ledger was asked".to_owned(),
            UnknownCode::Unheard => self.ledger_trouble(|_| true),
            UnknownCode::Stale => self
                .ledger_trouble(|it| matches!(it, Unheard::Stale { .. } | Unheard::Ahead { .. })),
            UnknownCode::NeverSeen => "no ledger has an entry about it".to_owned(),
            UnknownCode::NotEnoughVotes | UnknownCode::NoText => self.lacking(),
            UnknownCode::Dependency => "something it refers to is unknown".to_owned(),
        }
    }

    fn ledger_trouble(&self, is_meant: impl Fn(&Unheard) -> bool) -> String {
        let mut troubles =
            self.ledgers().iter().filter_map(|it| Some((&it.ledger, it.unheard.as_ref()?)));
        let meant = |(_, why): &(&String, &Unheard)| is_meant(why) && **why != Unheard::NotListed;
        let first = troubles.clone().find(meant).or_else(|| troubles.next());
        first.map_or_else(String::new, |(ledger, why)| format!("ledger {ledger}: {why}"))
    }

    /// `lacks 1 of 2: farm attested it; bob, uni have not`.
    fn lacking(&self) -> String {
        let mut parts = Vec::new();
        let mut part = |names: &[Name], one: &str, more: &str| {
            if !names.is_empty() {
                let what = if names.len() == 1 { one } else { more };
                parts.push(format!("{} {what}", listed(names)));
            }
        };
        let best = self.tallies().first();
        if let Some(best) = best {
            part(&best.votes, "attested it", "attested it");
            part(&best.unchecked, "may have, without its text", "may have, without its text");
        }
        let others: Vec<Name> =
            self.tallies().iter().skip(1).flat_map(|it| it.votes.iter().cloned()).collect();
        part(&others, "attested another claim", "attested other claims");
        part(self.abstaining(), "attested two claims", "attested two claims each");
        part(self.silent(), "has not", "have not");
        let lacks = best.map_or_else(
            || "lacks every vote".to_owned(),
            |best| format!("lacks {} of {}", best.need - best.have.min(best.need), best.need),
        );
        format!("{lacks}: {}", parts.join("; "))
    }
}

/// Names in a row, the first few of many.
fn listed<N: fmt::Display>(names: &[N]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED).map(ToString::to_string).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
