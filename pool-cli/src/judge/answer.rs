//! What a pool answers to the judge, and why that may be of no use.

use std::collections::HashSet;

use schema::api::{EvidenceLine, EvidencePath, EvidenceRequest};
use schema::decide::Unheard;
use schema::evidence::{Caught, Known, Proved};
use schema::statement::Statement;
use schema::store_path::{HashPart, StorePath};

use crate::remote::Lines;

/// Why an answer is of no use.
pub(super) enum Trouble {
    /// With the checkpoints that were shown, if it came that far.
    Caught(Box<Caught>, Option<String>),
    /// These logs were seen before at another address, and this answer does not go on from there.
    SeenElsewhere(Box<Known>),
    /// It does not answer.
    Failed(anyhow::Error),
    /// Anything else.
    Other(Unheard),
}

impl From<Caught> for Trouble {
    fn from(caught: Caught) -> Self {
        Self::Caught(Box::new(caught), None)
    }
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// A whole answer, all of whose signatures hold, and what the network brought it as.
pub(super) struct Answer {
    pub(super) proved: Proved,
    /// What each of the proved paths says, in the same order.
    pub(super) statements: Vec<Vec<Statement>>,
    /// As many as the proved paths, in the same order.
    pub(super) lines: Vec<EvidencePath>,
    pub(super) unknown: Vec<HashPart>,
}

impl Answer {
    /// That it answers everything that was asked.
    pub(super) fn check_whole(&self, request: &EvidenceRequest) -> Result<(), Caught> {
        let shown = self.proved.shown.iter().map(|shown| shown.path());
        let paths: HashSet<&StorePath> = shown.chain(&self.proved.absent).collect();
        let parts: HashSet<HashPart> = paths.iter().map(|path| path.base().hash_part()).collect();
        let unknown: HashSet<HashPart> = self.unknown.iter().copied().collect();
        if let Some(path) = request.paths.iter().find(|path| !paths.contains(path)) {
            return Err(Caught::Unanswered(path.to_string()));
        }
        let entries = self.proved.shown.iter().flat_map(|shown| shown.entries());
        let entries: HashSet<u64> = entries.map(|(index, ..)| index).collect();
        if let Some(entry) = request.entries.iter().find(|entry| !entries.contains(entry)) {
            return Err(Caught::Unanswered(format!("entry {entry}")));
        }
        let silent = |part: &&HashPart| !parts.contains(*part) && !unknown.contains(*part);
        match request.hash_parts.iter().find(silent) {
            Some(part) => Err(Caught::Unanswered(part.to_string())),
            None => Ok(()),
        }
    }
}

/// A failure of this host's.
pub(super) fn own(error: anyhow::Error) -> Trouble {
    Trouble::Other(Unheard::Failed(format!("{error:#}")))
}

/// The next line; none at the end.
pub(super) async fn next(lines: &mut Lines) -> Result<Option<EvidenceLine>, Trouble> {
    let line = lines.next().await?.map(|line| serde_json::from_slice(&line)).transpose();
    Ok(line.map_err(|error| Caught::Malformed(error.to_string()))?)
}
