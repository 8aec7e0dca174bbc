//! Reads rules, and sees to it that for every path one decides.

use std::collections::{BTreeSet, HashMap};

use super::super::{Party, PolicyError, Rule, Terms, Veto};
use super::field::{Field, Fields};
use super::parties::Parties;
use crate::name_pattern::NamePattern;

/// What says what a claim takes.
pub(super) const TERMS: [&str; 3] = ["require", "disagree", "watch"];

pub(super) fn read(top: &Fields<'_>, parties: &Parties) -> Result<Vec<Rule>, PolicyError> {
    let Some(tables) = top.optional("rule") else { return Ok(Vec::new()) };
    let mut rules: Vec<Rule> = Vec::new();
    let mut as_close: HashMap<usize, Vec<usize>> = HashMap::new();
    for table in tables.list()? {
        let fields = table.fields(&["match", "require", "disagree", "watch"])?;
        let names = fields.required("match", "write match = { name = \"linux-*\" }")?;
        let name = names.fields(&["name"])?.required("name", "write { name = \"linux-*\" }")?;
        let pattern: NamePattern = name.parsed("such as linux-*, or * for every name")?;
        let close = as_close.entry(pattern.literals()).or_default();
        if let Some(tie) =
            close.iter().map(|&rule| &rules[rule]).find(|it| it.pattern.overlaps(&pattern))
        {
            let what = format!("a tie: some names match this and {} too, as closely", tie.pattern);
            let hint = "the pattern with more literal characters decides: make one of them longer";
            return Err(name.refuse(&what, hint));
        }
        close.push(rules.len());
        rules.push(Rule { pattern, terms: terms(&fields, parties)? });
    }
    Ok(rules)
}

/// Reads [`TERMS`].
pub(super) fn terms(fields: &Fields<'_>, parties: &Parties) -> Result<Terms, PolicyError> {
    let hint = "write a principal, \"group:NAME\", or \"deny\"";
    let require = fields.required("require", hint)?;
    let (disagree, watch) = (fields.optional("disagree"), fields.optional("watch"));
    if require.text()? == "deny" {
        return match disagree.or(watch) {
            Some(field) => Err(field.refuse("nothing is allowed here anyway", "leave it out")),
            None => Ok(Terms::Deny),
        };
    }
    let party = parties.find(&require)?;
    let ignore = match &disagree {
        None => false,
        Some(field) => match field.text()? {
            "deny" => false,
            "ignore" => true,
            _ => return Err(field.refuse("unknown", "write \"deny\" or \"ignore\"")),
        },
    };
    let veto = match watch {
        Some(watch) if ignore => {
            return Err(watch.refuse("dissent is ignored here", "leave watch or disagree out"));
        }
        Some(watch) => Veto::Watched(watched(&watch, parties)?),
        None if ignore => Veto::Nobody,
        None => Veto::Required,
    };
    Ok(Terms::Require { party, veto })
}

fn watched(list: &Field<'_>, parties: &Parties) -> Result<Vec<usize>, PolicyError> {
    let mut watched = BTreeSet::new();
    for field in list.list()? {
        let Party::Principal(index) = parties.find(&field)? else {
            return Err(field.refuse("only principals are watched", "list its members"));
        };
        if !watched.insert(index) {
            return Err(field.refuse("listed before", "list each principal once"));
        }
    }
    Ok(watched.into_iter().collect())
}
