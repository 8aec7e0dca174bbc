//! What is done with some paths at a time: asked for, verified, fetched and sent, and attested.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use futures_util::stream::{self, StreamExt};
use schema::api::{AttestItem, AttestRequest};
use schema::hash::NarHash;
use schema::store_path::{BaseName, HashPart, StorePath};

use super::agenda::Errand;
use super::signed::Vouched;
use super::transfer::Transfer;
use super::{Importer, Outcome};
use crate::exit;
use crate::judge::now;
use crate::output::bytes;
use crate::remote::Attested;
use crate::source::{Fault, Told};

/// Narinfos that are asked for at a time.
const AT_ONCE: usize = 32;

/// What became of one path.
pub(super) struct Handled {
    pub(super) outcome: Outcome,
    /// The path, if it is known by now.
    pub(super) path: Option<StorePath>,
    /// What it refers to, by the source's word.
    pub(super) references: Vec<BaseName>,
}

/// A path on its way.
struct Candidate {
    told: Told,
    items: Vec<AttestItem>,
    /// Once it is known.
    outcome: Option<Outcome>,
}

impl Importer {
    /// Imports these. An error leaves nothing half done that another try would not complete.
    pub(super) async fn round(&mut self, errands: &[Errand]) -> Result<Vec<Handled>> {
        let signers = self.remote.signers().await?;
        let asking = stream::iter(errands.iter().map(|errand| self.upstream.told(errand.part)));
        let told: Vec<Result<Told, Fault>> = asking.buffered(AT_ONCE).collect().await;
        let mut candidates: Vec<Result<Candidate, Outcome>> = Vec::with_capacity(told.len());
        for (told, errand) in told.into_iter().zip(errands) {
            let told = told.map_err(Outcome::from).and_then(|told| named_so(told, errand));
            candidates.push(told.map(|told| {
                let vouched = Vouched::find(&told, &signers, now());
                self.candidate(told, vouched)
            }));
        }
        self.bring_nars(&mut candidates).await?;
        self.attest(&mut candidates).await?;
        self.compare(&candidates).await;
        Ok(candidates.into_iter().map(Handled::from).collect())
    }

    fn candidate(&mut self, told: Told, vouched: Vouched) -> Candidate {
        let (items, mut outcome) = match vouched {
            Vouched::By(items) => (items, None),
            Vouched::Rsa => (Vec::new(), None),
            Vouched::ByOthers(others) => {
                self.report.signed_by_others(&others);
                (Vec::new(), Some(Outcome::Unattested(others)))
            }
            Vouched::Not(why) => (Vec::new(), Some(Outcome::Refused(why))),
        };
        let (size, most) = (told.claim.nar_size(), self.max_nar_size);
        if outcome.is_none() && size > most {
            let why = format!("its NAR has {}, the pool takes up to {}", bytes(size), bytes(most));
            outcome = Some(Outcome::Refused(why));
        }
        Candidate { told, items, outcome }
    }

    /// Sees to it that the pool has the NARs, each once.
    async fn bring_nars(&mut self, candidates: &mut [Result<Candidate, Outcome>]) -> Result<()> {
        let mut nars: HashMap<NarHash, &Told> = HashMap::new();
        let mut hashes = Vec::new();
        for candidate in open(candidates) {
            let hash = candidate.told.claim.nar_hash();
            if nars.insert(hash, &candidate.told).is_none() {
                hashes.push(hash);
            }
        }
        let missing = self.remote.missing(&hashes).await?;
        let wanted: Vec<&Told> =
            missing.iter().filter_map(|hash| nars.get(hash).copied()).collect();
        let (upstream, remote, jobs) = (&self.upstream, &self.remote, self.jobs);
        let transfer = Transfer { upstream, remote, jobs, output: self.output };
        let failed = transfer.send(&wanted).await?;
        let missing: HashSet<NarHash> = missing.into_iter().collect();
        for (hash, told) in nars {
            if failed.contains_key(&hash) || !self.report.nars.insert(hash) {
                continue;
            }
            let summary = &mut self.report.summary;
            summary.nar_bytes += told.claim.nar_size();
            if missing.contains(&hash) {
                summary.nars_fetched += 1;
            } else {
                summary.nars_known += 1;
            }
        }
        for candidate in candidates.iter_mut().flatten().filter(|it| it.outcome.is_none()) {
            candidate.outcome = failed.get(&candidate.told.claim.nar_hash()).cloned();
        }
        Ok(())
    }

    /// Hands in what is signed, of the paths whose NARs are there. The pool takes all of a request or
    /// nothing, so one that it refuses is divided until what it refuses is alone.
    async fn attest(&mut self, candidates: &mut [Result<Candidate, Outcome>]) -> Result<()> {
        let mut parts: Vec<Vec<&mut Candidate>> =
            vec![candidates.iter_mut().flatten().filter(|it| it.outcome.is_none()).collect()];
        while let Some(mut part) = parts.pop() {
            let items = part.iter().flat_map(|it| it.items.iter().cloned()).collect();
            match self.remote.attest(AttestRequest { attestations: items }).await {
                Ok(Attested { new, known }) => {
                    self.report.summary.attestations_new += new;
                    self.report.summary.attestations_known += known;
                    for candidate in part {
                        let rsa = candidate.items.is_empty();
                        candidate.outcome = Some(Outcome::Imported { rsa });
                    }
                }
                Err(error) if !exit::lasts(&error) => return Err(error),
                Err(error) if part.len() == 1 => {
                    part[0].outcome = Some(Outcome::Refused(format!("{error:#}")));
                }
                Err(_) => {
                    let second = part.split_off(part.len() / 2);
                    parts.extend([second, part]);
                }
            }
        }
        Ok(())
    }

    /// Looks whether others have said otherwise of what was imported.
    async fn compare(&mut self, candidates: &[Result<Candidate, Outcome>]) {
        let imported = candidates.iter().flatten().filter(|candidate| {
            matches!(candidate.outcome, Some(Outcome::Imported { rsa: false }))
        });
        let parts: Vec<HashPart> =
            imported.map(|it| it.told.claim.path().base().hash_part()).collect();
        match self.remote.challenge(&parts).await {
            Ok(answers) => {
                for path in answers.iter().flat_map(|answer| &answer.paths) {
                    if path.claims.len() > 1 {
                        self.report.diverges(&path.store_path);
                    }
                }
            }
            // All is imported, whether this is known or not.
            Err(error) => {
                self.output.warn(&format!("cannot tell whether signers disagree: {error:#}"));
            }
        }
    }
}

/// A hash part is all that a source is asked by.
fn named_so(told: Told, errand: &Errand) -> Result<Told, Outcome> {
    let path = told.claim.path();
    match &errand.path {
        Some(named) if named != path => {
            Err(Outcome::Refused(format!("what the source has by this hash is {path}")))
        }
        _ => Ok(told),
    }
}

fn open(candidates: &[Result<Candidate, Outcome>]) -> impl Iterator<Item = &Candidate> {
    candidates.iter().flatten().filter(|candidate| candidate.outcome.is_none())
}

impl From<Result<Candidate, Outcome>> for Handled {
    fn from(candidate: Result<Candidate, Outcome>) -> Self {
        let candidate = match candidate {
            Ok(candidate) => candidate,
            Err(outcome) => return Self { outcome, path: None, references: Vec::new() },
        };
        let claim = candidate.told.claim;
        // Each candidate that was still open has been attested or refused.
        let outcome = candidate.outcome.unwrap_or(Outcome::Imported { rsa: false });
        let path = Some(claim.path().clone());
        // Of what does not verify nothing is taken.
        let refused = matches!(outcome, Outcome::Refused(_));
        let references = if refused { Vec::new() } else { claim.references().to_vec() };
        Self { outcome, path, references }
    }
}
