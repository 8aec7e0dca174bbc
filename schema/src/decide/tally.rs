//! Counts votes, claim by claim.

use std::cmp::Reverse;

use super::decision::Tally;
use super::poll::{Poll, Voice};
use crate::hash::ClaimId;
use crate::policy::{Party, Policy};

/// How every claim fares that a principal of the requirement says is so, the best first.
pub(super) fn tallies(
    policy: &Policy,
    poll: &Poll<'_>,
    party: Party,
    required: &[bool],
) -> Vec<Tally> {
    let said = poll.voices.iter().zip(required).filter_map(|(voice, required)| match voice {
        Voice::Says(claim) if *required => Some(*claim),
        _ => None,
    });
    let mut claims: Vec<ClaimId> = said.collect();
    claims.sort_unstable();
    claims.dedup();
    let mut tallies: Vec<Tally> =
        claims.into_iter().map(|claim| of_claim(policy, poll, party, required, claim)).collect();
    tallies.sort_by_key(|tally| {
        let said = tally.votes.len() + tally.unchecked.len();
        Reverse((tally.would_suffice, tally.have, tally.votes.len(), said, Reverse(tally.claim)))
    });
    tallies
}

fn of_claim(
    policy: &Policy,
    poll: &Poll<'_>,
    party: Party,
    required: &[bool],
    claim: ClaimId,
) -> Tally {
    let says = |at: usize| poll.voices[at] == Voice::Says(claim);
    let votes = |at: usize| says(at) && poll.voted[at];
    let (have, need) = policy.tally(party, &votes);
    Tally {
        claim,
        have,
        need,
        would_suffice: policy.tally(party, &says).0 >= need,
        votes: poll.named(|at| required[at] && votes(at)),
        unchecked: poll.named(|at| required[at] && says(at) && !votes(at)),
    }
}
