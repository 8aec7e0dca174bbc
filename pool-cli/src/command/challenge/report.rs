//! What came of a challenge, for people and for programs.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use schema::api::ChallengedClaim;
use schema::hash::{ClaimId, NarHash};
use schema::key::KeyName;
use schema::store_path::{HashPart, StorePath};
use serde::Serialize;

use super::compare::Comparison;
use super::subjects::Subject;
use crate::exit::Exit;
use crate::output::plural;
use crate::store::PathInfo;

/// All that was found.
#[derive(Serialize)]
pub(super) struct Report {
    /// Sorted.
    pub(super) paths: Vec<Challenged>,
    signers: Vec<Totals>,
    #[serde(flatten)]
    counts: BTreeMap<Verdict, usize>,
}

/// What was found of one path.
#[derive(Serialize)]
pub(super) struct Challenged {
    hash_part: HashPart,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) store_path: Option<StorePath>,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) local: Option<NarHash>,
    claims: Vec<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) comparisons: Option<Vec<Comparison>>,
    /// What the lines are made of.
    #[serde(skip)]
    pub(super) said: Vec<ChallengedClaim>,
    #[serde(skip)]
    named: bool,
}

/// In short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Disagree,
    Agree,
    Alone,
    Unknown,
}

/// One claim.
#[derive(Serialize)]
struct Line {
    claim: ClaimId,
    nar_hash: NarHash,
    local: bool,
    signers: Vec<KeyName>,
}

/// How often a signer is of the others' opinion, in paths.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Totals {
    signer: KeyName,
    paths: usize,
    agreed: usize,
    disagreed: usize,
    alone: usize,
}

impl Challenged {
    /// Of each path with the hash part of a subject, sorted.
    pub(super) fn all(subjects: Vec<Subject>, known: &HashMap<StorePath, PathInfo>) -> Vec<Self> {
        let mut all: Vec<Self> =
            subjects.into_iter().flat_map(|subject| Self::of(subject, known)).collect();
        all.sort_by_cached_key(Challenged::name);
        all
    }

    fn of(subject: Subject, known: &HashMap<StorePath, PathInfo>) -> Vec<Self> {
        let Subject { hash_part, store_path, named, said } = subject;
        let challenged = |store_path: Option<StorePath>, said: Vec<ChallengedClaim>| {
            let local = store_path.as_ref().and_then(|path| known.get(path));
            let local = local.map(|info| info.claim.nar_hash());
            Self {
                hash_part,
                store_path,
                verdict: Verdict::of(&said, local),
                local,
                claims: said.iter().map(|claim| Line::of(claim, local)).collect(),
                comparisons: None,
                said,
                named,
            }
        };
        let unheard = said.iter().all(|path| store_path.as_ref() != Some(&path.store_path));
        let unheard = store_path.filter(|_| unheard);
        // A hash part of which nobody spoke.
        let nothing = (said.is_empty() && unheard.is_none()).then(|| challenged(None, Vec::new()));
        let unheard = unheard.map(|path| challenged(Some(path), Vec::new()));
        let heard = said.into_iter().map(|path| challenged(Some(path.store_path), path.claims));
        heard.chain(unheard).chain(nothing).collect()
    }

    /// Whether somebody contradicts somebody, or the local store.
    pub(super) fn disagrees(&self) -> bool {
        self.verdict == Verdict::Disagree
    }

    /// How it is called in text.
    pub(super) fn name(&self) -> String {
        let path = self.store_path.as_ref().map(ToString::to_string);
        path.unwrap_or_else(|| self.hash_part.to_string())
    }

    /// How a NAR is called in text: by the number of the first claim for it.
    pub(super) fn label(&self, nar: NarHash) -> String {
        let at = self.claims.iter().position(|line| line.nar_hash == nar);
        at.map_or_else(|| "local".to_owned(), |at| (at + 1).to_string())
    }

    fn text(&self, out: &mut String) {
        let _ = writeln!(out, "{:<9} {}", self.verdict.name(), self.name());
        for (at, line) in self.claims.iter().enumerate() {
            let names: Vec<&str> = line.signers.iter().map(KeyName::as_str).collect();
            let local = if line.local { "; in the local store" } else { "" };
            let _ = writeln!(out, "  {}  {}  {}{local}", at + 1, line.nar_hash, names.join(", "));
            let before = self.claims[..at].iter().position(|other| other.nar_hash == line.nar_hash);
            if let Some(same) = before {
                let _ =
                    writeln!(out, "     the NAR of {}, but not its references or size", same + 1);
            }
        }
        if let Some(local) = self.local.filter(|_| !self.claims.iter().any(|line| line.local)) {
            let _ = writeln!(out, "  -  {local}  in the local store alone");
        }
        for comparison in self.comparisons.iter().flatten() {
            comparison.text(out, self);
        }
    }
}

impl Verdict {
    fn of(said: &[ChallengedClaim], local: Option<NarHash>) -> Self {
        let [claim] = said else {
            return if said.is_empty() { Self::Unknown } else { Self::Disagree };
        };
        match local {
            Some(local) if local != claim.nar_hash => Self::Disagree,
            Some(_) => Self::Agree,
            None if claim.signers.len() > 1 => Self::Agree,
            None => Self::Alone,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Disagree => "DISAGREE",
            Self::Agree => "agree",
            Self::Alone => "alone",
            Self::Unknown => "unknown",
        }
    }
}

impl Line {
    fn of(claim: &ChallengedClaim, local: Option<NarHash>) -> Self {
        Self {
            claim: claim.claim,
            nar_hash: claim.nar_hash,
            local: local == Some(claim.nar_hash),
            signers: claim.signers.clone(),
        }
    }
}

impl Report {
    /// Of these paths.
    pub(super) fn new(paths: Vec<Challenged>) -> Self {
        let verdicts = [Verdict::Disagree, Verdict::Agree, Verdict::Alone, Verdict::Unknown];
        let count = |verdict| paths.iter().filter(|path| path.verdict == verdict).count();
        let counts = verdicts.into_iter().map(|verdict| (verdict, count(verdict))).collect();
        Self { signers: totals(&paths), counts, paths }
    }

    /// No with a disagreement; without one, nobody can tell if there is a path of which nobody spoke.
    pub(super) fn exit(&self) -> Exit {
        if self.counts[&Verdict::Disagree] > 0 {
            Exit::No
        } else if self.counts[&Verdict::Unknown] > 0 {
            Exit::CouldNotTell
        } else {
            Exit::Yes
        }
    }

    /// What is wrong, and what was asked for by name; the rest in numbers.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for path in &self.paths {
            if path.named || matches!(path.verdict, Verdict::Disagree | Verdict::Unknown) {
                path.text(&mut out);
            }
        }
        let counts =
            self.counts.iter().map(|(verdict, count)| format!("{count} {}", verdict.name()));
        let counts = counts.collect::<Vec<_>>().join(", ").to_lowercase();
        let _ = writeln!(out, "{}: {counts}", plural(self.paths.len(), "path"));
        let widest = self.signers.iter().map(|totals| totals.signer.as_str().len()).max();
        if let Some(width) = widest {
            let width = width.max("signer".len());
            let _ = writeln!(out, "{:<width$}   paths  agreed  disagreed  alone", "signer");
            for Totals { signer, paths, agreed, disagreed, alone } in &self.signers {
                let signer = signer.as_str();
                let _ = writeln!(
                    out,
                    "{signer:<width$}  {paths:>6}  {agreed:>6}  {disagreed:>9}  {alone:>5}"
                );
            }
        }
        out
    }
}

/// By name.
fn totals(paths: &[Challenged]) -> Vec<Totals> {
    let mut totals: BTreeMap<KeyName, Totals> = BTreeMap::new();
    for path in paths {
        let mut agreed: BTreeMap<&KeyName, bool> = BTreeMap::new();
        for line in &path.claims {
            for signer in &line.signers {
                *agreed.entry(signer).or_default() |= line.signers.len() > 1;
            }
        }
        let disagreed = path.claims.len() > 1;
        for (signer, agreed) in agreed {
            let totals = totals.entry(signer.clone()).or_insert_with(|| Totals::of(signer));
            totals.paths += 1;
            totals.agreed += usize::from(agreed);
            totals.disagreed += usize::from(disagreed);
            totals.alone += usize::from(!agreed && !disagreed);
        }
    }
    totals.into_values().collect()
}

impl Totals {
    fn of(signer: &KeyName) -> Self {
        Self { signer: signer.clone(), paths: 0, agreed: 0, disagreed: 0, alone: 0 }
    }
}

#[cfg(test)]
mod tests;
