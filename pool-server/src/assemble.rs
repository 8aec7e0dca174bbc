//! Narinfos are never stored: each is put together on request from what was claimed of a path,
//! who stands behind it, and what the view asks for. Pure functions, no clock, no I/O.

mod choice;
pub mod divergence;
mod realisation;
pub mod report;
pub mod view;

use schema::api::{Refused, RefusedCode};
use schema::claim::Claim;
use schema::hash::ClaimId;
use schema::narinfo::Delivery;
use schema::narinfo::nix;
use schema::signers::Signers;
use schema::store_path::HashPart;

use crate::blobs::nar_name;
use crate::index::{AttestationRecord, ClaimRecord, FileRecord, PathRecord};
use choice::{Saying, Word, choose};
pub use realisation::realisation;
use view::Panel;

/// The claim that a view shows for a path, and the file of its NAR.
///
/// # Errors
/// The reason, for the body of a 404.
pub fn shown<'r>(
    hash_part: &HashPart,
    record: Option<&'r PathRecord>,
    panel: &Panel,
    signers: &Signers,
) -> Result<(&'r ClaimRecord, FileRecord), Refused> {
    let record = record.filter(|record| !record.claims.is_empty());
    let record = record.ok_or_else(|| never_seen(hash_part))?;
    let path = record.claims[0].claim.path();
    let sayings: Vec<_> = record.claims.iter().map(|claim| Claimed { claim, signers }).collect();
    let claim: &'r ClaimRecord = choose(path, &sayings, panel)?.claim;
    let file = claim.file.ok_or_else(|| no_nar(claim))?;
    Ok((claim, file))
}

/// One claim of a path, and the file of its NAR.
///
/// # Errors
/// As [`shown`].
pub fn claimed<'r>(
    hash_part: &HashPart,
    record: Option<&'r PathRecord>,
    claim: &ClaimId,
) -> Result<(&'r ClaimRecord, FileRecord), Refused> {
    let mut claims = record.into_iter().flat_map(|record| &record.claims);
    let claim = claims.find(|it| it.claim.id() == *claim).ok_or_else(|| never_seen(hash_part))?;
    let file = claim.file.ok_or_else(|| no_nar(claim))?;
    Ok((claim, file))
}

/// The narinfo of a claim, with the signatures of everybody whose word for it counts.
#[must_use]
pub fn narinfo(record: &ClaimRecord, file: FileRecord, signers: &Signers) -> String {
    let claim = &record.claim;
    let delivery = Delivery {
        url: nar_name(&claim.nar_hash(), file.compression),
        compression: file.compression,
        file_hash: Some(file.file_hash),
        file_size: Some(file.file_size),
    };
    let words = record.attestations.iter().filter(|word| counts(word, claim, signers));
    let signatures = words.filter_map(|word| {
        signers.by_id(&word.key_id).map(|signer| (signer.key.name(), &word.signature))
    });
    nix::print(
        claim,
        &delivery,
        (record.deriver.as_ref(), record.content_address.as_ref()),
        signatures,
    )
}

/// What is claimed of a path, and who signed.
struct Claimed<'r, 's> {
    claim: &'r ClaimRecord,
    signers: &'s Signers,
}

impl Saying for Claimed<'_, '_> {
    fn words(&self) -> impl Iterator<Item = Word<'_>> {
        let words = self.claim.attestations.iter();
        let counting = words.filter(|word| counts(word, &self.claim.claim, self.signers));
        counting.filter_map(|word| Word::of(&word.key_id, word.index, self.signers))
    }

    fn is_here(&self) -> bool {
        self.claim.file.is_some()
    }
}

/// Whether the key could say so then, and nothing has made that void since.
fn counts(word: &AttestationRecord, claim: &Claim, signers: &Signers) -> bool {
    let name = claim.path().base().name();
    signers.counts(&word.key_id, word.index, name, word.logged_at)
}

fn never_seen(hash_part: &HashPart) -> Refused {
    let detail = format!("nobody has attested a path with the hash part {hash_part} here");
    Refused { code: RefusedCode::NeverSeen, detail }
}

fn no_nar(claim: &ClaimRecord) -> Refused {
    let detail = format!(
        "{} is attested with the NAR {}, but that NAR was never uploaded",
        claim.claim.path(),
        claim.claim.nar_hash()
    );
    Refused { code: RefusedCode::NoNar, detail }
}

#[cfg(test)]
mod tests;
