//! Counts votes, claim by claim.

use std::cmp::Reverse;

use super::decision::Tally;
use super::poll::{Poll, Voice};
use crate::hash::ClaimId;
use crate::policy::{Party, Policy};

/// How one claim fares.
pub(super) struct Measured {
    pub(super) tally: Tally,
    /// Whether it would be enough if every principal that says so also voted. A text that is kept back
    /// must not make one claim the only one: so what is possible is what must be unique.
    pub(super) is_possible: bool,
}

/// How every claim fares that a principal of the requirement says is so, the best first.
pub(super) fn measure(
    policy: &Policy,
    poll: &Poll<'_>,
    party: Party,
    required: &[bool],
) -> Vec<Measured> {
    let said = poll.voices.iter().zip(required).filter_map(|(voice, required)| match voice {
        Voice::Says(claim) if *required => Some(*claim),
        _ => None,
    });
    let mut claims: Vec<ClaimId> = said.collect();
    claims.sort_unstable();
    claims.dedup();
    let mut measured: Vec<Measured> =
        claims.into_iter().map(|claim| of_claim(policy, poll, party, required, claim)).collect();
    measured.sort_by_key(|Measured { tally, is_possible }| {
        let said = tally.votes.len() + tally.unchecked.len();
        Reverse((*is_possible, tally.have, tally.votes.len(), said, Reverse(tally.claim)))
    });
    measured
}

fn of_claim(
    policy: &Policy,
    poll: &Poll<'_>,
    party: Party,
    required: &[bool],
    claim: ClaimId,
) -> Measured {
    let says = |at: usize| poll.voices[at] == Voice::Says(claim);
    let votes = |at: usize| says(at) && poll.voted[at];
    let (have, need) = policy.tally(party, &votes);
    let is_possible = policy.tally(party, &says).0 >= need;
    let tally = Tally {
        claim,
        have,
        need,
        votes: poll.named(|at| required[at] && votes(at)),
        unchecked: poll.named(|at| required[at] && says(at) && !votes(at)),
    };
    Measured { tally, is_possible }
}
