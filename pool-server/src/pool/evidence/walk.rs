//! Which paths an answer tells of, and in which order.

use std::collections::{HashSet, VecDeque};

use schema::api::{EvidenceRequest, MAX_EVIDENCE_ASKED, MAX_EVIDENCE_PATHS};
use schema::store_path::{BaseName, HashPart, StorePath};

/// What is asked for, or met.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    Part(HashPart),
    Path(StorePath),
}

impl Asked {
    pub(super) fn hash_part(&self) -> HashPart {
        match self {
            Self::Part(hash_part) => *hash_part,
            Self::Path(path) => path.base().hash_part(),
        }
    }
}

/// Paths to tell of, breadth first, each once.
pub(super) struct Walk {
    waiting: VecDeque<Asked>,
    seen: HashSet<Asked>,
    closure: bool,
}

impl Walk {
    pub(super) fn of(request: &EvidenceRequest) -> Self {
        let mut walk =
            Self { waiting: VecDeque::new(), seen: HashSet::new(), closure: request.closure };
        request.hash_parts.iter().for_each(|hash_part| walk.visit(Asked::Part(*hash_part)));
        request.paths.iter().for_each(|path| walk.visit(Asked::Path(path.clone())));
        walk
    }

    /// Goes on to what somebody says `path` refers to, which may be itself.
    pub(super) fn follow(&mut self, path: &StorePath, references: &[BaseName]) {
        self.seen.insert(Asked::Path(path.clone()));
        if !self.closure {
            return;
        }
        for reference in references {
            let reference = StorePath::new(path.dir().clone(), reference.clone());
            self.visit(Asked::Path(reference));
        }
    }

    pub(super) fn visit(&mut self, asked: Asked) {
        // Beyond that the answer ends before they come.
        let room = self.seen.len() < MAX_EVIDENCE_ASKED + MAX_EVIDENCE_PATHS;
        if room && self.seen.insert(asked.clone()) {
            self.waiting.push_back(asked);
        }
    }

    pub(super) fn next(&mut self) -> Option<Asked> {
        self.waiting.pop_front()
    }

    /// What comes next; at most `limit`.
    pub(super) fn ahead(&self, limit: usize) -> Vec<HashPart> {
        self.waiting.iter().take(limit).map(Asked::hash_part).collect()
    }
}
