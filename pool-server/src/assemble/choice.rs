//! Which of the things that signers say of one subject a view shows.

use std::cmp::Reverse;
use std::fmt::Display;

use schema::api::{Refused, RefusedCode};
use schema::hash::KeyId;

use super::view::{Choice, Panel};

/// One thing that is said of a subject, where others may say otherwise.
pub(super) trait Saying {
    /// Who says it, each with a number that is higher for what was said later.
    fn words(&self) -> impl Iterator<Item = (KeyId, u64)>;

    /// Whether what is spoken of is here, as far as that is known.
    fn is_here(&self) -> bool;
}

/// What a view shows. There is at least one saying, the oldest first.
///
/// # Errors
/// Not enough of the view's signers say the same.
pub(super) fn choose<'s, S: Saying>(
    subject: &dyn Display,
    sayings: &'s [S],
    panel: &Panel,
) -> Result<&'s S, Refused> {
    match panel.choice() {
        Choice::LatestOf(signer) => latest_of(subject, sayings, &signer),
        Choice::AtLeast(k) => most_votes(subject, sayings, panel, k),
    }
}

/// What a builder says last, so that it sees what it pushed.
fn latest_of<'s, S: Saying>(
    subject: &dyn Display,
    sayings: &'s [S],
    signer: &KeyId,
) -> Result<&'s S, Refused> {
    let said = |saying: &S| {
        saying.words().filter(|(key_id, _)| key_id == signer).map(|(_, number)| number).max()
    };
    let latest =
        sayings.iter().filter(|saying| said(saying).is_some()).max_by_key(|saying| said(saying));
    latest.ok_or_else(|| not_enough(subject, 0, 1))
}

/// The saying with most votes, then the oldest, if it has `k`. One of something that is here
/// comes before one of something that is not.
fn most_votes<'s, S: Saying>(
    subject: &dyn Display,
    sayings: &'s [S],
    panel: &Panel,
    k: usize,
) -> Result<&'s S, Refused> {
    let votes: Vec<usize> = sayings.iter().map(|saying| votes(sayings, saying, panel)).collect();
    let enough = sayings.iter().zip(&votes).enumerate().filter(|(_, (_, votes))| **votes >= k);
    let best = enough.max_by_key(|(at, (saying, votes))| (saying.is_here(), **votes, Reverse(*at)));
    if let Some((_, (saying, _))) = best {
        return Ok(saying);
    }
    let voters: usize = votes.iter().sum();
    if voters >= k {
        Err(disagree(subject, &votes, k))
    } else {
        Err(not_enough(subject, voters, k))
    }
}

/// A signer has one vote. One who says two things of a subject has none for either, unless the
/// view names nobody: then each saying's signers are counted as they come.
fn votes<S: Saying>(sayings: &[S], saying: &S, panel: &Panel) -> usize {
    let counts =
        |signer: &KeyId| panel.counts(signer) && (panel.is_open() || says_once(sayings, signer));
    saying.words().filter(|(signer, _)| counts(signer)).count()
}

fn says_once<S: Saying>(sayings: &[S], signer: &KeyId) -> bool {
    let said = |saying: &&S| saying.words().any(|(key_id, _)| key_id == *signer);
    sayings.iter().filter(said).count() == 1
}

fn not_enough(subject: &dyn Display, have: usize, k: usize) -> Refused {
    let detail = format!("{subject}: have {have} of {k} signatures by the signers of this view");
    Refused { code: RefusedCode::NotEnoughSigners, detail }
}

fn disagree(subject: &dyn Display, votes: &[usize], k: usize) -> Refused {
    let most = votes.iter().max().copied().unwrap_or_default();
    let claims = votes.iter().filter(|votes| **votes > 0).count();
    let detail = format!(
        "{subject}: the signers of this view disagree: {claims} different claims, \
         the best of them has {most} of {k} signatures"
    );
    Refused { code: RefusedCode::SignersDisagree, detail }
}
