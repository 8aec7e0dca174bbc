//! What people and programs are told of a path or a NAR, beyond the narinfo.

use schema::api::{AttestationReport, ClaimReport, FileReport, PathReport, Refused, ScanReport};
use schema::claim::Claim;
use schema::hash::NarHash;
use schema::signature::NamedSignature;
use schema::store_path::HashPart;

use crate::blobs::nar_name;
use crate::index::{
    AttestationRecord, Candidates, ClaimRecord, FileRecord, PathRecord, by_meaning,
};
use crate::roll::Roll;

/// All that is known of a path. `scan` tells what the scan of a claim's NAR found.
///
/// # Errors
/// Those of `scan`.
pub fn path_report<E>(
    hash_part: HashPart,
    record: &PathRecord,
    roll: &Roll,
    refused: Option<Refused>,
    mut scan: impl FnMut(&Claim) -> Result<Option<ScanReport>, E>,
) -> Result<PathReport, E> {
    let mut claims = Vec::with_capacity(record.claims.len());
    for claim in &record.claims {
        claims.push(ClaimReport { scan: scan(&claim.claim)?, ..claim_report(claim, roll) });
    }
    let disagreement = by_meaning(&record.claims).len() > 1;
    Ok(PathReport { hash_part, disagreement, refused, claims })
}

fn claim_report(record: &ClaimRecord, roll: &Roll) -> ClaimReport {
    let claim = &record.claim;
    let attestations = record.attestations.iter();
    let attestations = attestations.filter_map(|word| attestation_report(word, roll));
    ClaimReport {
        claim: claim.id(),
        dialect: claim.dialect(),
        store_path: claim.path().clone(),
        nar_hash: claim.nar_hash(),
        nar_size: claim.nar_size(),
        references: claim.references().to_vec(),
        deriver: record.deriver.clone(),
        ca: record.content_address.as_ref().map(ToString::to_string),
        file: record.file.map(|file| file_report(&claim.nar_hash(), &file)),
        scan: None,
        attestations: attestations.collect(),
    }
}

/// One signer's word. Nothing, for a key that nobody made a signer.
#[must_use]
pub fn attestation_report(word: &AttestationRecord, roll: &Roll) -> Option<AttestationReport> {
    let name = roll.signer(word)?.key.name().clone();
    Some(AttestationReport {
        origin: roll.origin(word.ledger).map(str::to_owned),
        signer: name.clone(),
        key_id: word.key_id,
        index: word.index,
        logged_at: word.logged_at,
        signature: NamedSignature::new(name, word.signature),
    })
}

/// The file of a NAR.
#[must_use]
pub fn file_report(nar_hash: &NarHash, file: &FileRecord) -> FileReport {
    FileReport {
        url: nar_name(nar_hash, file.compression),
        compression: file.compression,
        file_hash: file.file_hash,
        file_size: file.file_size,
    }
}

/// References claimed against hash parts found; `known` are those found that belong to paths the
/// pool knows.
#[must_use]
pub fn scan_report(claim: &Claim, found: &Candidates, known: &[HashPart]) -> ScanReport {
    let claimed: Vec<HashPart> =
        claim.references().iter().map(|reference| reference.hash_part()).collect();
    let own = claim.path().base().hash_part();
    ScanReport {
        not_found: claim
            .references()
            .iter()
            .filter(|reference| !found.truncated && !found.contains(&reference.hash_part()))
            .cloned()
            .collect(),
        not_claimed: known
            .iter()
            .filter(|part| !claimed.contains(part) && **part != own)
            .copied()
            .collect(),
        incomplete: found.truncated,
    }
}
