//! What a policy may say, but seldom means.

use std::collections::HashMap;

use serde::Serialize;

use super::evaluate::Used;
use super::{Party, Policy, Terms, Veto, time};
use crate::key::PublicKey;

/// How long before its end a policy is spoken of, in seconds: 30 days.
pub(super) const SOON: u64 = 30 * 24 * 60 * 60;
/// A pattern with fewer literal characters is a wide one.
const WIDE: usize = 3;

/// Something that a policy may say, but seldom means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lint {
    /// For programs.
    pub code: LintCode,
    /// What it is, for people.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// The kinds of such things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LintCode {
    /// One principal alone is enough.
    OneVote,
    /// Members of a group that should be independent seem to be run by the same people.
    OneOperator,
    /// A principal is in two members of a group, and counts in both.
    SharedMember,
    /// Dissent is ignored for many paths, or all.
    WideIgnore,
    /// The policy has expired.
    Expired,
    /// The policy expires within 30 days.
    ExpiresSoon,
    /// The policy never expires.
    NeverExpires,
    /// Dissent prevents a claim, but no witness sees that it is not kept back.
    NoWitnesses,
    /// No rule asks for a principal or group.
    Unused,
}

pub(super) fn lints(policy: &Policy, now: u64) -> Vec<Lint> {
    let mut lints = Vec::from_iter(expiry(policy, now));
    let mut vetoes = false;
    let rules = policy.rules.iter().map(|rule| (Some(&rule.pattern), &rule.terms));
    for (pattern, terms) in rules.chain([(None, &policy.default)]) {
        let Terms::Require { party, veto } = terms else { continue };
        let place = pattern.map_or("the default".to_owned(), |it| format!("the rule for {it}"));
        if let Party::Principal(_) = party {
            let message = format!("{place}: {} alone is enough", policy.party_text(*party));
            lints.push(lint(LintCode::OneVote, message, ONE_VOTE));
        }
        vetoes |= *veto != Veto::Nobody;
        if *veto == Veto::Nobody && pattern.is_none_or(|it| it.literals() < WIDE) {
            let message = format!("{place} ignores dissent, for many paths");
            lints.push(lint(LintCode::WideIgnore, message, "ignore it for closer patterns only"));
        }
    }
    for group in 0..policy.groups.len() {
        group_lints(policy, group, &mut lints);
    }
    if vetoes && policy.ledger.witnesses.is_none() {
        let message = "dissent is a veto, but nobody witnesses the ledger".to_owned();
        let hint = "a pool can show an old ledger, without the dissent, for as long as \
            max_checkpoint_age allows: name witnesses in [ledger]";
        lints.push(lint(LintCode::NoWitnesses, message, hint));
    }
    lints.extend(unused(policy));
    lints
}

const ONE_VOTE: &str = "whoever has one of its keys decides: ask for two principals or more";

fn lint(code: LintCode, message: String, hint: &str) -> Lint {
    Lint { code, message, hint: hint.to_owned() }
}

fn expiry(policy: &Policy, now: u64) -> Option<Lint> {
    let Some(expires) = policy.expires else {
        let message = "the policy never expires".to_owned();
        let hint = "write expires = …: a machine that gets no new version should notice";
        return Some(lint(LintCode::NeverExpires, message, hint));
    };
    let (code, message) = if now > expires {
        (LintCode::Expired, format!("the policy expired at {}", time::text(expires)))
    } else if expires - now <= SOON {
        (LintCode::ExpiresSoon, format!("the policy expires at {}", time::text(expires)))
    } else {
        return None;
    };
    Some(lint(code, message, "release a version that expires later"))
}

fn group_lints(policy: &Policy, index: usize, lints: &mut Vec<Lint>) {
    let group = &policy.groups[index];
    if group.k() == 1 {
        let message = format!("group {}: one member alone is enough", group.name);
        lints.push(lint(LintCode::OneVote, message, ONE_VOTE));
        return;
    }
    // Which member somebody was met in; members are meant to be independent of one another.
    let mut met = vec![None; policy.principals.len()];
    let mut operators: HashMap<String, (usize, usize)> = HashMap::new();
    for (number, member) in group.members.iter().enumerate() {
        let inside = policy.principals_in(*member);
        for principal in (0..inside.len()).filter(|&principal| inside[principal]) {
            let name = &policy.principals[principal].name;
            if met[principal].replace(number).is_some() {
                let message = format!("group {}: {name} is in two of its members", group.name);
                lints.push(lint(LintCode::SharedMember, message, "let it count once"));
                continue;
            }
            for key in &policy.principals[principal].keys {
                let (other, from) = *operators.entry(operator(key)).or_insert((principal, number));
                if other != principal && from != number {
                    let (of, other) = (operator(key), &policy.principals[other].name);
                    let message =
                        format!("group {}: {other} and {name} both seem to be {of}", group.name);
                    let hint = "whoever runs both has two votes: make them one principal";
                    lints.push(lint(LintCode::OneOperator, message, hint));
                    break;
                }
            }
        }
    }
}

/// Who seems to run a key, by its name: the last two labels of a domain, or all of it but the number
/// that it ends in.
pub(super) fn operator(key: &PublicKey) -> String {
    let name = key.name().as_str().to_ascii_lowercase();
    let host = name.rsplit_once('@').map_or(&*name, |(_, host)| host);
    let unnumbered = host.trim_end_matches(|char: char| char.is_ascii_digit());
    let base = match unnumbered.strip_suffix('-') {
        Some(base) if !base.is_empty() && unnumbered.len() < host.len() => base,
        _ => host,
    };
    let labels: Vec<&str> = base.rsplitn(3, '.').collect();
    match &*labels {
        [last, before, _] => format!("{before}.{last}"),
        _ => base.to_owned(),
    }
}

/// Principals and groups that no rule asks for or watches.
fn unused(policy: &Policy) -> Vec<Lint> {
    let mut used = Used::none(policy);
    let rules = policy.rules.iter().map(|rule| &rule.terms);
    for terms in rules.chain([&policy.default]) {
        let Terms::Require { party, veto } = terms else { continue };
        used.mark(*party);
        if let Veto::Watched(watched) = veto {
            watched.iter().for_each(|&index| used.mark(Party::Principal(index)));
        }
    }
    used.spread(policy);
    let names = (0..policy.principals.len()).filter(|&at| !used.principals[at]);
    let names = names.map(|at| format!("principal {}", policy.principals[at].name));
    let groups = (0..policy.groups.len()).filter(|&at| !used.groups[at]);
    let names = names.chain(groups.map(|at| format!("group {}", policy.groups[at].name)));
    let unused = |name| lint(LintCode::Unused, format!("no rule asks for {name}"), "take it out");
    names.map(unused).collect()
}
