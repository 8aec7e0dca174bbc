//! Where signers disagree.

use schema::api::{ChallengeAnswer, Divergence, Divergences};
use schema::store_path::HashPart;

use super::Pool;
use crate::assemble::divergence::{challenged, divergence};
use crate::rejected::Error;

/// An answer ends once it tells of so many claims, signers and references.
const ENOUGH: usize = 50_000;

impl Pool {
    /// A page of the feed of disagreements; at most `limit` entries are looked at.
    ///
    /// # Errors
    /// When the database fails.
    pub fn divergences(&self, from: u64, limit: usize) -> Result<Divergences, Error> {
        let roll = self.roll();
        let rows = self.index.divergent_entries(from, limit.saturating_add(1))?;
        let (mut next, mut weight, mut divergences) = (from, 0, Vec::new());
        for &(index, hash_part) in rows.iter().take(limit) {
            if weight >= ENOUGH {
                break;
            }
            let record = self.index.path(&hash_part)?.unwrap_or_default();
            let diverged = divergence(index, &hash_part, &record, &roll);
            weight += diverged.as_ref().map_or(0, feed_weight);
            divergences.extend(diverged);
            next = index.saturating_add(1);
        }
        let more = rows.last().is_some_and(|(last, _)| *last >= next);
        Ok(Divergences { divergences, next, more })
    }

    /// What signers say of paths with these hash parts, or with the first of them if that is much.
    ///
    /// # Errors
    /// When the database fails.
    pub fn challenge(&self, hash_parts: &[HashPart]) -> Result<Vec<ChallengeAnswer>, Error> {
        let roll = self.roll();
        let (mut weight, mut answers) = (0, Vec::new());
        for &hash_part in hash_parts {
            let record = self.index.path(&hash_part)?.unwrap_or_default();
            let answer = ChallengeAnswer { hash_part, paths: challenged(&record, &roll) };
            weight += answer_weight(&answer);
            answers.push(answer);
            if weight >= ENOUGH {
                break;
            }
        }
        Ok(answers)
    }
}

fn feed_weight(divergence: &Divergence) -> usize {
    divergence.claims.iter().map(|claim| 1 + claim.signers.len()).sum()
}

fn answer_weight(answer: &ChallengeAnswer) -> usize {
    let claims = answer.paths.iter().flat_map(|path| &path.claims);
    claims.map(|claim| 1 + claim.signers.len() + claim.references.len()).sum()
}
