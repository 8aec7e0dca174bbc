//! Reads policy files.

mod field;
mod parties;
mod rules;

use std::cmp::Reverse;

use toml::de::DeTable;

use self::field::{Fields, Source};
use super::ledger::origin;
use super::{Age, LedgerTerms, MAX_POLICY_LEN, Policy, PolicyError, Quorum, Terms};
use crate::tlog::note::{SignatureKind, VerifierKey};

const FORMAT: &str = "narpool-policy/1";
const TOP: [&str; 10] = [
    "format",
    "name",
    "version",
    "expires",
    "store_dir",
    "ledger",
    "principal",
    "group",
    "rule",
    "default",
];

pub(super) fn policy(text: &str) -> Result<Policy, PolicyError> {
    let source = Source(text);
    if text.len() > MAX_POLICY_LEN {
        let what = format!("{} bytes are no policy", text.len());
        return Err(source.error(0, what, "at most 262144 bytes are allowed"));
    }
    let read = DeTable::parse(text).map_err(|why| {
        let at = why.span().map_or(0, |span| span.start);
        let hint = "a policy is TOML: `key = value` under [tables], each once, texts in quotes";
        source.error(at, why.message().to_owned(), hint)
    })?;
    read_top(&Fields::new(source, "the policy".to_owned(), 0, read.get_ref(), &TOP)?)
}

fn read_top(top: &Fields<'_>) -> Result<Policy, PolicyError> {
    let format = top.required("format", "write format = \"narpool-policy/1\"")?;
    if format.text()? != FORMAT {
        return Err(format.refuse("an unknown format", "this program reads narpool-policy/1"));
    }
    let name = top.required("name", "write name = \"acme-prod\"")?;
    let version = top.required("version", "write version = 1, and a higher one later")?;
    let expires = top.optional("expires").map(|expires| expires.posix()).transpose()?;
    let store_dir = top.required("store_dir", "write store_dir = \"/nix/store\"")?;
    let parties = parties::read(top)?;
    let mut rules = rules::read(top, &parties)?;
    rules.sort_by_key(|rule| (Reverse(rule.pattern.literals()), rule.pattern.clone()));
    let default = match top.optional("default") {
        Some(default) => rules::terms(&default.fields(&rules::TERMS)?, &parties)?,
        None => Terms::Deny,
    };
    Ok(Policy {
        name: name.parsed("such as acme-prod")?,
        version: version.number()?,
        expires,
        store_dir: store_dir.parsed("such as /nix/store")?,
        ledger: ledger(top)?,
        principals: parties.principals,
        groups: parties.groups,
        inner_first: parties.inner_first,
        rules,
        default,
        owners: parties.owners,
    })
}

fn ledger(top: &Fields<'_>) -> Result<LedgerTerms, PolicyError> {
    let mut terms = LedgerTerms { logs: Vec::new(), max_checkpoint_age: Age::DAY, witnesses: None };
    let Some(table) = top.optional("ledger") else { return Ok(terms) };
    let fields = table.fields(&["log", "max_checkpoint_age", "witnesses"])?;
    if let Some(logs) = fields.optional("log") {
        let hint = "such as pool.example/attestations+<id>+<base64>; `pool ledger` shows it";
        for log in logs.one_or_more()? {
            let key: VerifierKey = log.parsed(hint)?;
            if key.kind() != SignatureKind::Ed25519 || origin(&key).is_none() {
                return Err(log.refuse("not the key of an attestations log", hint));
            }
            if terms.logs.iter().any(|it| it.name() == key.name() || it.point() == key.point()) {
                return Err(log.refuse("a log with this name or key is listed before", "once each"));
            }
            terms.logs.push(key);
        }
        terms.logs.sort_by_cached_key(ToString::to_string);
    }
    if let Some(age) = fields.optional("max_checkpoint_age") {
        terms.max_checkpoint_age = age.parsed("such as \"24h\"")?;
    }
    if let Some(witnesses) = fields.optional("witnesses") {
        terms.witnesses = Some(quorum(&witnesses.fields(&["k", "members"])?)?);
    }
    Ok(terms)
}

fn quorum(fields: &Fields<'_>) -> Result<Quorum, PolicyError> {
    let hint = "such as witness.example/w+<id>+<base64>, of type 4: cosignature/v1";
    let mut members: Vec<VerifierKey> = Vec::new();
    for member in fields.required("members", "list the keys of the witnesses")?.list()? {
        let key: VerifierKey = member.parsed(hint)?;
        if key.kind() != SignatureKind::Cosignature {
            return Err(member.refuse("not the key of a witness", hint));
        }
        if members.iter().any(|other| other.point() == key.point()) {
            return Err(member.refuse("this witness is listed before", "each key counts once"));
        }
        members.push(key);
    }
    members.sort_by_cached_key(ToString::to_string);
    let k = fields.required("k", "write k = 2, or how many must have cosigned")?;
    let k = k.count(members.len())?;
    Ok(Quorum { k, members })
}
