//! What signers say of a path, and where they disagree.

use schema::api::{
    ChallengedClaim, ChallengedPath, ClaimSigners, Divergence, MAX_DIVERGENT_CLAIMS,
};
use schema::key::KeyName;
use schema::signers::Signers;
use schema::store_path::{HashPart, StorePath};

use super::choice::Word;
use super::counts;
use super::report::file_report;
use crate::index::{ClaimRecord, PathRecord};

/// A claim that somebody stands behind.
struct Backed<'r> {
    record: &'r ClaimRecord,
    /// The index of the first entry for it that counts.
    since: u64,
    signers: Vec<KeyName>,
}

/// The path that came to diverge by the entry at `index`, if that one made it, by what counts now.
#[must_use]
pub fn divergence(
    index: u64,
    hash_part: &HashPart,
    record: &PathRecord,
    signers: &Signers,
) -> Option<Divergence> {
    let mut words = record.claims.iter().flat_map(|claim| {
        claim.attestations.iter().map(move |word| (word.index, claim.claim.path()))
    });
    let (_, path) = words.find(|(at, _)| *at == index)?;
    let mut backed = backed(path, record, signers);
    backed.sort_by_key(|backed| backed.since);
    if backed.get(1)?.since != index {
        return None;
    }
    let claim_count = backed.len() as u64;
    let claims = backed.into_iter().take(MAX_DIVERGENT_CLAIMS).map(|backed| ClaimSigners {
        claim: backed.record.claim.id(),
        nar_hash: backed.record.claim.nar_hash(),
        signers: backed.signers,
    });
    let (hash_part, store_path) = (*hash_part, path.clone());
    Some(Divergence { index, hash_part, store_path, claim_count, claims: claims.collect() })
}

/// What is said of each path with the hash part of this record.
#[must_use]
pub fn challenged(record: &PathRecord, signers: &Signers) -> Vec<ChallengedPath> {
    let mut paths: Vec<&StorePath> = Vec::new();
    for claim in &record.claims {
        if !paths.contains(&claim.claim.path()) {
            paths.push(claim.claim.path());
        }
    }
    let challenged = paths.into_iter().map(|path| ChallengedPath {
        store_path: path.clone(),
        claims: backed(path, record, signers).into_iter().map(challenged_claim).collect(),
    });
    challenged.filter(|path| !path.claims.is_empty()).collect()
}

fn challenged_claim(backed: Backed<'_>) -> ChallengedClaim {
    let claim = &backed.record.claim;
    ChallengedClaim {
        claim: claim.id(),
        nar_hash: claim.nar_hash(),
        nar_size: claim.nar_size(),
        references: claim.references().to_vec(),
        file: backed.record.file.map(|file| file_report(&claim.nar_hash(), &file)),
        signers: backed.signers,
    }
}

fn backed<'r>(path: &StorePath, record: &'r PathRecord, signers: &Signers) -> Vec<Backed<'r>> {
    let claims = record.claims.iter().filter(|claim| claim.claim.path() == path);
    claims.filter_map(|record| Backed::new(record, signers)).collect()
}

impl<'r> Backed<'r> {
    fn new(record: &'r ClaimRecord, signers: &Signers) -> Option<Self> {
        let words = record.attestations.iter();
        let counting = || words.clone().filter(|word| counts(word, &record.claim, signers));
        let since = counting().map(|word| word.index).min()?;
        let mut names: Vec<KeyName> = counting()
            .filter_map(|word| Word::of(&word.key_id, word.index, signers))
            .map(|word| word.principal().clone())
            .collect();
        names.sort_unstable();
        names.dedup();
        Some(Self { record, since, signers: names })
    }
}
