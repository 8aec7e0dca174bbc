//! Of which paths the NARs are carried.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use schema::api::ChallengedPath;
use schema::attestation::Entry;
use schema::claim::Claim;
use schema::hash::{KeyId, NarHash};
use schema::key::KeyName;
use schema::name_pattern::NamePattern;
use schema::signers::Signers;
use schema::store_path::{HashPart, StorePath};

use super::Source;
use crate::cli;
use crate::exit::Failure;
use crate::judge::{Judge, Root, read_policy};
use crate::output::Output;
use crate::remote::{Patience, Remote};
use crate::store::in_any_store;
use crate::user_dirs;

/// More paths than any closure has.
const MAX_CLOSURE: usize = 1_000_000;
/// Paths that the mirror is asked about at a time.
const ASKED: usize = 1000;

/// What must be so of a path.
pub(super) struct Filter {
    judge: Option<Arc<Judge>>,
    signers: Vec<KeyName>,
    names: Vec<NamePattern>,
    roots: Option<PathBuf>,
    max_size: Option<u64>,
    /// Nothing is wanted before somebody asks for it.
    none: bool,
}

/// A path that somebody says has a NAR.
pub(super) struct Offered {
    pub(super) path: StorePath,
    pub(super) nar_hash: NarHash,
    pub(super) nar_size: u64,
    /// Who says so; a machine's root, too.
    pub(super) signers: Vec<KeyName>,
}

impl Offered {
    /// What an entry attests; `table` tells by whose name.
    pub(super) fn of(entry: &Entry, claim: &Claim, table: Option<&Signers>) -> Self {
        Self {
            path: claim.path().clone(),
            nar_hash: claim.nar_hash(),
            nar_size: claim.nar_size(),
            signers: table.map(|table| names_of(table, &entry.key_id)).unwrap_or_default(),
        }
    }
}

impl Filter {
    pub(super) fn new(
        asked: &cli::Filter,
        pull: bool,
        sources: &[Source],
        output: &'static Output,
    ) -> Result<Self> {
        let judge = asked.policy.as_deref().map(|file| {
            let remotes = sources.iter().map(|it| Remote::new(&it.access, Patience::Some, output));
            let state = user_dirs::state().join("mirror");
            Judge::open(read_policy(file)?, remotes.collect::<Result<_>>()?, &state)
        });
        Ok(Self {
            judge: judge.transpose()?,
            signers: asked.signer.clone(),
            names: asked.name.clone(),
            roots: asked.roots.clone(),
            max_size: asked.max_size.map(std::num::NonZeroU64::get),
            none: pull && asked.is_empty(),
        })
    }

    /// Whether it asks who has signed.
    pub(super) fn asks_for_signers(&self) -> bool {
        !self.signers.is_empty()
    }

    /// Whether it asks for what some paths refer to.
    pub(super) fn has_roots(&self) -> bool {
        self.roots.is_some()
    }

    /// The NARs of those paths that are as they should be, wherever they were met.
    pub(super) async fn choose(&self, offered: &[Offered]) -> Result<HashSet<NarHash>> {
        let passing: Vec<&Offered> = offered.iter().filter(|it| self.passes(it)).collect();
        let Some(judge) = &self.judge else {
            return Ok(passing.into_iter().map(|it| it.nar_hash).collect());
        };
        if passing.is_empty() {
            return Ok(HashSet::new());
        }
        let roots = passing.iter().map(|it| Root::Path(it.path.clone())).collect();
        let judged = judge.judge(roots).await;
        if let Some(trouble) = judge.status().into_iter().find_map(|status| status.trouble) {
            let message = format!("the policy cannot be asked: {trouble}");
            return Err(Failure::could_not_tell(message).into());
        }
        let allowed = |it: &&&Offered| {
            let decision = judged.decisions.get(&it.path);
            let claim = decision.and_then(|decision| decision.outcome().claim());
            claim.is_some_and(|claim| claim.nar_hash() == it.nar_hash)
        };
        Ok(passing.iter().filter(allowed).map(|it| it.nar_hash).collect())
    }

    /// The paths that are named, and all that they refer to, as the mirror knows them.
    pub(super) async fn closure(&self, target: &Remote<'_>) -> Result<Vec<Offered>> {
        let Some(list) = &self.roots else { return Ok(Vec::new()) };
        let mut waiting = read_roots(list)?;
        let mut seen: HashSet<HashPart> = waiting.iter().copied().collect();
        let (mut met, mut offered) = (Vec::new(), Vec::new());
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(ASKED));
            for answer in target.challenge(&waiting).await? {
                for path in answer.paths {
                    for reference in path.claims.iter().flat_map(|claim| &claim.references) {
                        let part = reference.hash_part();
                        if seen.len() < MAX_CLOSURE && seen.insert(part) {
                            met.push(part);
                        }
                    }
                    offered.extend(of_path(&path));
                }
            }
            waiting = rest;
            waiting.append(&mut met);
        }
        Ok(offered)
    }

    fn passes(&self, offered: &Offered) -> bool {
        let name = offered.path.base().name();
        let by = |signer: &KeyName| offered.signers.contains(signer);
        !self.none
            && (self.names.is_empty() || self.names.iter().any(|pattern| pattern.matches(name)))
            && (self.signers.is_empty() || self.signers.iter().any(by))
            && self.max_size.is_none_or(|most| offered.nar_size <= most)
    }
}

fn of_path(path: &ChallengedPath) -> impl Iterator<Item = Offered> {
    path.claims.iter().map(|claim| Offered {
        path: path.store_path.clone(),
        nar_hash: claim.nar_hash,
        nar_size: claim.nar_size,
        signers: claim.signers.clone(),
    })
}

/// By whose names a key speaks: its own, and its root's.
fn names_of(table: &Signers, key_id: &KeyId) -> Vec<KeyName> {
    let signer = table.by_id(key_id);
    let root = signer.and_then(|signer| signer.delegation.as_ref());
    let root = root.and_then(|delegation| table.by_id(&delegation.root));
    signer.into_iter().chain(root).map(|signer| signer.key.name().clone()).collect()
}

fn read_roots(list: &Path) -> Result<Vec<HashPart>> {
    let about = || format!("reading {}", list.display());
    let text = std::fs::read_to_string(list).with_context(about)?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let lines = lines.filter(|line| !line.is_empty());
    let part = |line: &str| match line.parse::<HashPart>() {
        Ok(part) => Ok(part),
        Err(_) => Ok(in_any_store(Path::new(line))?.base().hash_part()),
    };
    lines.map(part).collect::<Result<_>>().with_context(about)
}
