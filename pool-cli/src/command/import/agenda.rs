//! Which paths are to be looked at, and when.

use std::collections::{HashSet, VecDeque};
use std::path::Path;

use anyhow::Result;
use schema::store_path::{BaseName, HashPart, StoreDir, StorePath};
use tokio::time::Instant;

use crate::exit::Failure;
use crate::store::in_store;

/// More than any distribution has. A source that lies about references could go on for ever.
const MAX_PATHS: usize = 4 << 20;

/// A path to be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Errand {
    /// By which it is asked for.
    pub(super) part: HashPart,
    /// All of it, where that was named.
    pub(super) path: Option<StorePath>,
    /// It is never given up.
    pub(super) followed: bool,
    /// How often it was given up, to be tried again later.
    pub(super) failures: u32,
    /// Since then: how often it was looked at, how often in a row without an answer, and since when the
    /// source is baking it.
    pub(super) looks: u32,
    pub(super) silences: u32,
    pub(super) baking_since: Option<Instant>,
    /// What was told of it last.
    pub(super) told: Option<String>,
}

impl Errand {
    fn new(part: HashPart, path: Option<StorePath>, followed: bool) -> Self {
        let (failures, looks, silences, baking_since, told) = (0, 0, 0, None, None);
        Self { part, path, followed, failures, looks, silences, baking_since, told }
    }

    /// What a user means, of a store with this directory.
    pub(super) fn of_argument(path: &Path, dir: &StoreDir) -> Result<Self> {
        if let Some(part) = path.to_str().and_then(|text| text.parse().ok()) {
            return Ok(Self::new(part, None, false));
        }
        let path = in_store(path, dir, None)?;
        Ok(Self::new(path.base().hash_part(), Some(path), false))
    }

    /// What a line of a list says.
    pub(super) fn of_line(text: &str, dir: &StoreDir, followed: bool) -> Result<Self, String> {
        if let Ok(part) = text.parse() {
            return Ok(Self::new(part, None, followed));
        }
        let path = StorePath::parse_in(dir, text).map_err(|why| why.to_string())?;
        Ok(Self::new(path.base().hash_part(), Some(path), followed))
    }

    /// Something that a path refers to.
    pub(super) fn of_reference(&self, base: &BaseName, dir: &StoreDir) -> Self {
        let path = StorePath::new(dir.clone(), base.clone());
        Self::new(base.hash_part(), Some(path), self.followed)
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| self.part.to_string(), ToString::to_string)
    }
}

/// All that is to be done. What was named first comes first.
#[derive(Default)]
pub(super) struct Agenda {
    now: VecDeque<Errand>,
    later: Vec<(Instant, Errand)>,
    /// Each path is looked at once, whoever names it.
    seen: HashSet<HashPart>,
}

impl Agenda {
    /// Adds a path, if it is a new one.
    pub(super) fn add(&mut self, errand: Errand) -> Result<()> {
        if self.seen.len() >= MAX_PATHS {
            let message = format!("more than {MAX_PATHS} paths to import");
            let hint = "import them in several runs; a closure is never so large";
            return Err(Failure::could_not_tell(message).hint(hint).into());
        }
        if self.seen.insert(errand.part) {
            self.now.push_back(errand);
        }
        Ok(())
    }

    /// Puts a path off.
    pub(super) fn put_off(&mut self, errand: Errand, until: Instant) {
        self.later.push((until, errand));
    }

    /// Paths that could be looked at now, new ones only.
    pub(super) fn waiting(&self) -> usize {
        self.now.len()
    }

    /// At most `count` paths to look at now. At the `end` of all lists what has failed before is looked
    /// at a last time.
    pub(super) fn take(&mut self, count: usize, end: bool) -> Vec<Errand> {
        let now = Instant::now();
        let is_due =
            |(until, errand): &(Instant, Errand)| *until <= now || end && errand.told.is_some();
        let mut due = Vec::new();
        while due.len() < count {
            let Some(at) = self.later.iter().position(is_due) else { break };
            due.push(self.later.swap_remove(at).1);
        }
        let new = (count - due.len()).min(self.now.len());
        due.extend(self.now.drain(..new));
        due
    }

    /// When the next of those that were put off is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.later.iter().map(|(until, _)| *until).min()
    }
}
