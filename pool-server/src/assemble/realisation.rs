//! Realisations are put together as narinfos are: from what was said of an output, who said it,
//! and what the view asks for.

use schema::api::{Refused, RefusedCode};
use schema::hash::KeyId;
use schema::realisation::{DrvOutput, SignedRealisation};
use schema::signature::NamedSignature;

use super::choice::{Saying, choose};
use super::view::Panel;
use crate::index::{RealisationRecord, VariantRecord};
use crate::ledger::signers::Signers;

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
    let chosen = choose(id, &record.variants, panel)?;
    let line = |(key_id, signature): (&KeyId, _)| {
        let signer = signers.by_id(key_id)?;
        Some(NamedSignature::new(signer.key.name().clone(), signature))
    };
    let signatures = chosen.signatures.iter().map(|it| (&it.key_id, it.signature)).filter_map(line);
    Ok(SignedRealisation {
        realisation: chosen.realisation.clone(),
        signatures: signatures.collect(),
    })
}

impl Saying for VariantRecord {
    fn words(&self) -> impl Iterator<Item = (KeyId, u64)> {
        self.signatures.iter().map(|signature| (signature.key_id, signature.number))
    }

    /// The path has a narinfo of its own, which says whether its NAR is here.
    fn is_here(&self) -> bool {
        true
    }
}

fn never_seen(id: &DrvOutput) -> Refused {
    let detail = format!("nobody has attested a realisation of {id} here");
    Refused { code: RefusedCode::NeverSeen, detail }
}
