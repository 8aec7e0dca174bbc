//! What signers say of a path, and where they disagree.

use schema::api::{
    ChallengedClaim, ChallengedPath, ClaimSigners, Divergence, MAX_DIVERGENT_CLAIMS,
};
use schema::claim::Claim;
use schema::key::KeyName;
use schema::store_path::{HashPart, StorePath};

use super::choice::Word;
use super::report::file_report;
use crate::index::{ClaimRecord, PathRecord, by_meaning};
use crate::roll::Roll;

/// Something that somebody stands behind, in whatever words.
struct Backed<'r> {
    records: Vec<&'r ClaimRecord>,
    /// The index of the first entry of the pool's own ledger for it that counts.
    since: Option<u64>,
    signers: Vec<KeyName>,
}

/// The path that came to diverge by the entry at `index` of the pool's own ledger, if that one made
/// it, by what counts now.
#[must_use]
pub fn divergence(
    index: u64,
    hash_part: &HashPart,
    record: &PathRecord,
    roll: &Roll,
) -> Option<Divergence> {
    let mut words = record
        .claims
        .iter()
        .flat_map(|claim| claim.attestations.iter().map(move |word| (word, claim.claim.path())));
    let (_, path) = words.find(|(it, _)| it.ledger.is_own() && it.index == index)?;
    let mut backed = backed(path, record, roll);
    // What only others say comes last.
    backed.sort_by_key(|backed| backed.since.unwrap_or(u64::MAX));
    let made_it = match backed.get(1)?.since {
        Some(since) => since == index,
        // Somebody else's ledger says otherwise: it is the first of ours that is not alone.
        None => backed[0].since == Some(index),
    };
    if !made_it {
        return None;
    }
    let claim_count = backed.len() as u64;
    let claims = backed.into_iter().take(MAX_DIVERGENT_CLAIMS).map(|backed| ClaimSigners {
        claim: backed.claim().id(),
        nar_hash: backed.claim().nar_hash(),
        signers: backed.signers,
    });
    let (hash_part, store_path) = (*hash_part, path.clone());
    Some(Divergence { index, hash_part, store_path, claim_count, claims: claims.collect() })
}

/// What is said of each path with the hash part of this record.
#[must_use]
pub fn challenged(record: &PathRecord, roll: &Roll) -> Vec<ChallengedPath> {
    let mut paths: Vec<&StorePath> = Vec::new();
    for claim in &record.claims {
        if !paths.contains(&claim.claim.path()) {
            paths.push(claim.claim.path());
        }
    }
    let challenged = paths.into_iter().map(|path| ChallengedPath {
        store_path: path.clone(),
        claims: backed(path, record, roll).into_iter().map(challenged_claim).collect(),
    });
    challenged.filter(|path| !path.claims.is_empty()).collect()
}

fn challenged_claim(backed: Backed<'_>) -> ChallengedClaim {
    let claim = backed.claim();
    let file = backed.records.iter().find_map(|record| record.file);
    ChallengedClaim {
        claim: claim.id(),
        nar_hash: claim.nar_hash(),
        nar_size: claim.nar_size(),
        references: claim.references().to_vec(),
        file: file.map(|file| file_report(&claim.nar_hash(), &file)),
        signers: backed.signers,
    }
}

fn backed<'r>(path: &StorePath, record: &'r PathRecord, roll: &Roll) -> Vec<Backed<'r>> {
    let all = by_meaning(record.claims.iter().filter(|it| it.claim.path() == path));
    all.into_iter().filter_map(|records| Backed::new(records, roll)).collect()
}

impl<'r> Backed<'r> {
    fn new(records: Vec<&'r ClaimRecord>, roll: &Roll) -> Option<Self> {
        let counting = || {
            records.iter().flat_map(|record| {
                let words = record.attestations.iter();
                words.filter(|word| roll.counts(word, &record.claim))
            })
        };
        counting().next()?;
        let own = counting().filter(|word| word.ledger.is_own());
        let since = own.map(|word| word.index).min();
        let mut names: Vec<KeyName> = counting()
            .filter_map(|word| Word::of(word, roll))
            .map(|word| word.label(roll))
            .collect();
        names.sort_unstable();
        names.dedup();
        Some(Self { records, since, signers: names })
    }

    fn claim(&self) -> &'r Claim {
        &self.records[0].claim
    }
}
