//! Which paths are challenged, and what the pool says of them.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use schema::api::{ChallengeAnswer, ChallengedPath};
use schema::store_path::{HashPart, StorePath};

use crate::exit::Failure;
use crate::remote::Remote;
use crate::store::{Store, in_any_store};

/// More paths than any closure has; a pool may be trusted with nothing.
const MAX_PATHS: usize = 1_000_000;

/// What is challenged: the path, or the paths, with one hash part.
pub(super) struct Subject {
    /// The hash part.
    pub(super) hash_part: HashPart,
    /// The path, where that is known without the pool.
    pub(super) store_path: Option<StorePath>,
    /// Whether it was asked for, and not only met.
    pub(super) named: bool,
    /// What signers say of it.
    pub(super) said: Vec<ChallengedPath>,
}

impl Subject {
    /// The paths with that hash part.
    pub(super) fn store_paths(&self) -> impl Iterator<Item = StorePath> {
        let said = self.said.iter().map(|path| &path.store_path);
        said.chain(&self.store_path).cloned().collect::<HashSet<_>>().into_iter()
    }
}

/// Finds out what to challenge.
pub(super) struct Subjects<'a> {
    remote: &'a Remote<'a>,
    found: BTreeMap<HashPart, Subject>,
}

impl<'a> Subjects<'a> {
    /// Nothing yet.
    pub(super) fn new(remote: &'a Remote<'a>) -> Self {
        Self { remote, found: BTreeMap::new() }
    }

    /// Adds what the user named.
    pub(super) fn add_named(&mut self, paths: &[PathBuf], store: Option<&Store>) -> Result<()> {
        for path in paths {
            let (hash_part, store_path) = read(path, store)?;
            self.add(hash_part, store_path, true)?;
        }
        Ok(())
    }

    /// Adds what those need that are in the store, as it knows.
    pub(super) fn add_local_closure(&mut self, store: Option<&Store>) -> Result<()> {
        let Some(store) = store else { return Ok(()) };
        let named: Vec<_> = self.found.values().filter_map(|it| it.store_path.clone()).collect();
        let tops: Vec<_> = store.known(&named)?.into_keys().collect();
        for info in store.closure(&tops)? {
            let path = info.claim.path();
            self.add(path.base().hash_part(), Some(path.clone()), false)?;
        }
        Ok(())
    }

    /// Adds every path about which signers disagree.
    pub(super) async fn add_all_divergent(&mut self) -> Result<()> {
        let mut from = 0;
        loop {
            let page = self.remote.divergences(from).await?;
            for divergence in page.divergences {
                self.add(divergence.hash_part, None, true)?;
            }
            if !page.more {
                return Ok(());
            }
            from = page.next;
        }
    }

    /// Asks the pool about all of them; with `closure` also about what they refer to and the store
    /// does not have.
    pub(super) async fn ask(
        mut self,
        closure: bool,
        store: Option<&Store>,
    ) -> Result<Vec<Subject>> {
        let mut waiting: Vec<HashPart> = self.found.keys().copied().collect();
        while !waiting.is_empty() {
            let answers = self.remote.challenge(&waiting).await?;
            let local = local(&answers, store.filter(|_| closure))?;
            let mut references = Vec::new();
            for answer in answers {
                if closure && !local.contains(&answer.hash_part) {
                    let claims = answer.paths.iter().flat_map(|path| &path.claims);
                    let bases = claims.flat_map(|claim| &claim.references);
                    references.extend(bases.map(|base| base.hash_part()));
                }
                if let Some(subject) = self.found.get_mut(&answer.hash_part) {
                    subject.said = answer.paths;
                }
            }
            waiting.clear();
            for hash_part in references {
                if self.add(hash_part, None, false)? {
                    waiting.push(hash_part);
                }
            }
        }
        Ok(self.found.into_values().collect())
    }

    /// False when it was there before.
    fn add(&mut self, part: HashPart, path: Option<StorePath>, named: bool) -> Result<bool> {
        if let Some(subject) = self.found.get_mut(&part) {
            subject.named |= named;
            return Ok(false);
        }
        if self.found.len() == MAX_PATHS {
            let message = format!("there are more than {MAX_PATHS} paths to challenge");
            return Err(Failure::could_not_tell(message).into());
        }
        let subject = Subject { hash_part: part, store_path: path, named, said: Vec::new() };
        self.found.insert(part, subject);
        Ok(true)
    }
}

/// What the store has: it knows the closures of that.
fn local(answers: &[ChallengeAnswer], store: Option<&Store>) -> Result<HashSet<HashPart>> {
    let Some(store) = store else { return Ok(HashSet::new()) };
    let paths = answers.iter().flat_map(|answer| &answer.paths);
    let paths: Vec<_> = paths.map(|path| path.store_path.clone()).collect();
    Ok(store.known(&paths)?.keys().map(|path| path.base().hash_part()).collect())
}

fn read(path: &Path, store: Option<&Store>) -> Result<(HashPart, Option<StorePath>)> {
    if let Some(hash_part) = path.to_str().and_then(|text| text.parse().ok()) {
        return Ok((hash_part, None));
    }
    let in_store = store.and_then(|store| store.resolve(path).ok());
    let path = in_store.map_or_else(|| in_any_store(path), Ok)?;
    Ok((path.base().hash_part(), Some(path)))
}
