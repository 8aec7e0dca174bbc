//! What an entry is about, by what a pool says of its claim.

use schema::api::ClaimAnswer;
use schema::attestation::Entry;
use schema::claim::Claim;
use schema::hash::ClaimId;

use super::Code;

/// The claim that an entry is about, and its text; none, if the pool says that it was collected.
///
/// # Errors
/// A claim that the pool does not have, or that is not what the entry says.
pub(crate) fn claim_of<'t>(
    entry: &Entry,
    answer: Option<&'t ClaimAnswer>,
) -> Result<Option<(Claim, &'t str)>, (Code, String)> {
    let Some(text) = answer.and_then(|answer| answer.text.as_deref()) else {
        if answer.is_some_and(|answer| answer.collected) {
            return Ok(None);
        }
        let why = format!("the pool does not have the claim {}", entry.claim);
        return Err((Code::ClaimMissing, why));
    };
    let differs = |why: String| (Code::ClaimDiffers, why);
    if ClaimId::of(text.as_bytes()) != entry.claim {
        return Err(differs(format!("the pool has another text for the claim {}", entry.claim)));
    }
    let claim = Claim::parse(text.as_bytes())
        .map_err(|why| differs(format!("the claim does not read: {why}")))?;
    if claim.dialect() != entry.dialect {
        return Err(differs("the entry is of another kind".to_owned()));
    }
    if claim.path().key() != entry.path_key {
        return Err(differs(format!("it is under another path than {}", claim.path())));
    }
    if claim.nar_hash() != entry.subject {
        let (claimed, subject) = (claim.nar_hash(), entry.subject);
        return Err(differs(format!("it is under the NAR {subject}, and claims {claimed}")));
    }
    Ok(Some((claim, text)))
}
