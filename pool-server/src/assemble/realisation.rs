//! Realisations are put together as narinfos are: from what was said of an output, who said it,
//! and what the view asks for.

use schema::api::{Refused, RefusedCode};
use schema::hash::KeyId;
use schema::realisation::{DrvOutput, SignedRealisation};
use schema::signature::NamedSignature;
use schema::signers::{Signers, Standing};

use super::choice::{Saying, Word, choose};
use super::view::Panel;
use crate::index::{RealisationRecord, VariantRecord};

/// The realisation that a view shows for an output, or why it shows none.
///
/// # Errors
/// The reason, for the body of a 404.
pub fn realisation(
    id: &DrvOutput,
    record: Option<&RealisationRecord>,
    panel: &Panel,
    signers: &Signers,
) -> Result<SignedRealisation, Refused> {
    let record = record.filter(|record| !record.variants.is_empty());
    let record = record.ok_or_else(|| never_seen(id))?;
    let sayings: Vec<_> =
        record.variants.iter().map(|variant| Realised { variant, signers }).collect();
    let chosen = choose(id, &sayings, panel)?.variant;
    let line = |(key_id, signature): (&KeyId, _)| {
        let signer = signers.by_id(key_id)?;
        Some(NamedSignature::new(signer.key.name().clone(), signature))
    };
    let words = chosen.signatures.iter().filter(|it| counts(&it.key_id, signers));
    let signatures = words.map(|it| (&it.key_id, it.signature)).filter_map(line);
    Ok(SignedRealisation {
        realisation: chosen.realisation.clone(),
        signatures: signatures.collect(),
    })
}

/// What is said of an output, and who signed.
struct Realised<'r> {
    variant: &'r VariantRecord,
    signers: &'r Signers,
}

impl Saying for Realised<'_> {
    fn words(&self) -> impl Iterator<Item = Word<'_>> {
        let words = self.variant.signatures.iter();
        let counting = words.filter(|word| counts(&word.key_id, self.signers));
        counting.filter_map(|word| Word::outside(&word.key_id, word.number, self.signers))
    }

    /// The path has a narinfo of its own, which says whether its NAR is here.
    fn is_here(&self) -> bool {
        true
    }
}

/// Realisations have no place in the ledger that a cut could be compared with: of a key that was
/// compromised, none counts.
fn counts(key_id: &KeyId, signers: &Signers) -> bool {
    let standing = signers.by_id(key_id).map(|signer| signer.standing);
    standing.is_some_and(|standing| !matches!(standing, Standing::Compromised { .. }))
}

fn never_seen(id: &DrvOutput) -> Refused {
    let detail = format!("nobody has attested a realisation of {id} here");
    Refused { code: RefusedCode::NeverSeen, detail }
}
