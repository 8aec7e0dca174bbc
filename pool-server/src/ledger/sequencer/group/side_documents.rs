//! Changes to what is kept beside narinfos. Each reads before it writes, so they come here, too.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};

use schema::debug_info::BuildId;
use schema::hash::{FileHash, KeyId};
use schema::realisation::{DrvOutput, Realisation, VerifiedRealisation};

use super::{Group, MAX_CLAIMS_PER_SIGNER};
use crate::index::{Batch, DebugInfoRecord, RealisationRecord, SignatureRecord, VariantRecord};
use crate::rejected::{Error, Failure, Rejected};

/// What one group changes of them.
#[derive(Default)]
pub(super) struct SideDocuments {
    debug_info: HashMap<BuildId, DebugInfoRecord>,
    realisations: HashMap<DrvOutput, RealisationRecord>,
    /// Files whose NAR comes in this group.
    arrived: HashSet<FileHash>,
}

impl SideDocuments {
    pub(super) fn arrived(&mut self, file_hash: FileHash) {
        self.arrived.insert(file_hash);
    }

    pub(super) fn put(&self, batch: &mut Batch<'_>) -> Result<(), Error> {
        for (build_id, record) in &self.debug_info {
            batch.put_debug_info(build_id, record)?;
        }
        for (id, record) in &self.realisations {
            batch.put_realisation(id, record)?;
        }
        Ok(())
    }
}

impl Group<'_> {
    /// Answers with whether it is kept: not, when there is one whose NAR is here.
    pub(in crate::ledger::sequencer) fn keep_debug_info(
        &mut self,
        build_id: BuildId,
        record: DebugInfoRecord,
    ) -> Result<bool, Failure> {
        let known = match self.side.debug_info.get(&build_id) {
            Some(known) => Some(known.clone()),
            None => self.index.debug_info(&build_id)?,
        };
        if let Some(known) = known
            && self.has_nar_of(&known.archive)?
        {
            return Ok(false);
        }
        self.side.debug_info.insert(build_id, record);
        Ok(true)
    }

    fn has_nar_of(&self, archive: &FileHash) -> Result<bool, Error> {
        if self.side.arrived.contains(archive) {
            return Ok(true);
        }
        let nar_hash = self.index.alias(archive)?;
        Ok(nar_hash.map(|nar_hash| self.blob(&nar_hash)).transpose()?.flatten().is_some())
    }

    /// Adds signatures to what is known of an output, all or none. Answers with how many are new.
    pub(in crate::ledger::sequencer) fn realise(
        &mut self,
        verified: &VerifiedRealisation,
    ) -> Result<usize, Failure> {
        let said = verified.realisation();
        let record = self.realisation(&said.id)?;
        for (signer, _) in verified.signatures() {
            refuse_flood(record, said, signer)?;
        }
        let before = record.signature_count();
        let mut number = before as u64;
        let variant = variant(record, said);
        for (key_id, signature) in verified.signatures() {
            if !variant.signed_by(key_id) {
                variant.signatures.push(SignatureRecord {
                    key_id: *key_id,
                    number,
                    signature: *signature,
                });
                number += 1;
            }
        }
        Ok(record.signature_count() - before)
    }

    fn realisation(&mut self, id: &DrvOutput) -> Result<&mut RealisationRecord, Error> {
        Ok(match self.side.realisations.entry(id.clone()) {
            Slot::Occupied(slot) => slot.into_mut(),
            Slot::Vacant(slot) => slot.insert(self.index.realisation(id)?.unwrap_or_default()),
        })
    }
}

fn variant<'r>(record: &'r mut RealisationRecord, said: &Realisation) -> &'r mut VariantRecord {
    let known = record.variants.iter().position(|variant| variant.realisation == *said);
    let at = known.unwrap_or_else(|| {
        record.variants.push(VariantRecord { realisation: said.clone(), signatures: Vec::new() });
        record.variants.len() - 1
    });
    &mut record.variants[at]
}

fn refuse_flood(
    record: &RealisationRecord,
    said: &Realisation,
    signer: &KeyId,
) -> Result<(), Rejected> {
    let others = record.variants.iter().filter(|variant| variant.realisation != *said);
    let said_already = others.filter(|variant| variant.signed_by(signer)).count();
    if said_already < MAX_CLAIMS_PER_SIGNER {
        return Ok(());
    }
    let detail = format!("this signer already says {said_already} different things of {}", said.id);
    Err(Rejected::conflict("too_many_claims", detail))
}
