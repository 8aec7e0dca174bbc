//! One group of changes: each sees the ones before it, and all are written together.

mod heard;
mod mirrored;
mod pins;
mod replayed;
mod retention;
mod side_documents;
mod withdrawn;

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use schema::api::KeyEventLogged;
use schema::claim::Claim;
use schema::content_address::ContentAddress;
use schema::hash::{ClaimId, NarHash};
use schema::key_event::{KeyEntry, SignedKeyEvent};
use schema::signers::Applied;
use schema::store_path::{BaseName, HashPart};
use schema::tlog::edge::Edge;

use super::{Logs, Standing};
use crate::index::{
    AttestationRecord, Batch, BlobRecord, ClaimRecord, FileRecord, Index, LeaseRecord, LedgerId,
    LogAt, LoggedKey, PathRecord, by_meaning,
};
use crate::ledger::log::Stage;
use crate::ledger::{Kept, Vouched};
use crate::rejected::{Error, Failure, Rejected};
use crate::roll::Roll;
use mirrored::Mirrored;
pub(in crate::ledger) use mirrored::origin_taken;
use retention::Retention;
use side_documents::SideDocuments;

/// The most different things one signer may claim of one path: a builder that is not
/// deterministic differs a few times, a flood does not end.
pub(super) const MAX_CLAIMS_PER_SIGNER: usize = 16;

/// The most wordings that are kept of one thing a signer claims.
pub(super) const MAX_WORDINGS: usize = 8;

/// How many paths are told of a NAR that arrives after their claims.
const MAX_WAITING_PATHS: usize = 100_000;

pub(super) struct Group<'i> {
    index: &'i Index,
    batch: Batch<'i>,
    roll: &'i Roll,
    /// Of the logs of others, before this group.
    edges: &'i HashMap<LogAt, Edge>,
    changed: Option<Roll>,
    stages: Stages,
    now: u64,
    paths: HashMap<HashPart, PathRecord>,
    /// None of one that is forgotten.
    blobs: HashMap<NarHash, Option<BlobRecord>>,
    logged: HashMap<LoggedKey, u64>,
    claimed: HashMap<NarHash, Vec<HashPart>>,
    side: SideDocuments,
    mirrored: Mirrored,
    retention: Retention,
}

/// What a group appends to each log.
pub(super) struct Stages {
    pub(super) keys: Stage,
    pub(super) attestations: Stage,
    pub(super) mirrored: HashMap<LogAt, Stage>,
    /// How many pins there ever were.
    pub(super) roots: u64,
}

impl<'i> Group<'i> {
    pub(super) fn new(
        index: &'i Index,
        roll: &'i Roll,
        (logs, roots): (&'i Logs, u64),
        now: u64,
    ) -> Self {
        let (keys, attestations) = (logs.keys.stage(), logs.attestations.stage());
        let stages = Stages { keys, attestations, mirrored: HashMap::new(), roots };
        Self {
            index,
            batch: index.batch(),
            roll,
            edges: &logs.mirrored,
            changed: None,
            stages,
            now,
            paths: HashMap::new(),
            blobs: HashMap::new(),
            logged: HashMap::new(),
            claimed: HashMap::new(),
            side: SideDocuments::default(),
            mirrored: Mirrored::default(),
            retention: Retention::after(roots),
        }
    }

    /// Who may attest after this group, if it changes that.
    pub(super) fn roll(&mut self) -> Option<Roll> {
        self.changed.take()
    }

    pub(super) fn attest(&mut self, vouched: Vec<Vouched>) -> Result<Vec<Standing>, Failure> {
        vouched.into_iter().map(|vouched| self.attest_one(vouched)).collect()
    }

    fn attest_one(&mut self, vouched: Vouched) -> Result<Standing, Failure> {
        let key = LoggedKey::of(&vouched.attestation);
        let claim = vouched.attestation.claim();
        self.check_not_deleted(claim.path())?;
        // Whoever attests what was collected, and is still here, wants it shown.
        self.relist(&claim.nar_hash())?;
        if let Some(index) = self.standing(&key)? {
            return Ok(Standing { index, new: false });
        }
        self.check_key(&vouched)?;
        if let Some(index) = self.said_often(&vouched)? {
            return Ok(Standing { index, new: false });
        }
        let entry = vouched.attestation.entry(self.now).to_bytes();
        self.record(&vouched, self.stages.attestations.size())?;
        let index = self.stages.attestations.append(&mut self.batch, &entry)?;
        self.batch.put_logged(&key, index)?;
        self.logged.insert(key, index);
        Ok(Standing { index, new: true })
    }

    /// Here, where its place in the order is known, and not only where the signature is verified:
    /// a revoked key adds nothing from the next entry on.
    fn check_key(&self, vouched: &Vouched) -> Result<(), Rejected> {
        let attestation = &vouched.attestation;
        let name = attestation.claim().path().base().name();
        Ok(self.now_on_roll().own().may_attest(&attestation.key_id(), name, self.now)?)
    }

    fn now_on_roll(&self) -> &Roll {
        self.changed.as_ref().unwrap_or(self.roll)
    }

    fn standing(&self, key: &LoggedKey) -> Result<Option<u64>, Error> {
        match self.logged.get(key) {
            Some(index) => Ok(Some(*index)),
            None => self.index.logged(key),
        }
    }

    /// The latest entry in which the signer says the same, once that has been said in enough words:
    /// rebuilt from other derivations, one source is worded anew each time.
    fn said_often(&mut self, vouched: &Vouched) -> Result<Option<u64>, Error> {
        let claim = vouched.attestation.claim();
        let signer = vouched.attestation.key_id();
        let path = self.path(claim.path().base().hash_part())?;
        let agreeing = path.claims.iter().filter(|record| record.claim.agrees_with(claim));
        let words = agreeing.flat_map(|record| &record.attestations);
        let own = words.filter(|word| word.ledger.is_own());
        let entries = own.filter(|word| word.key_id == signer).map(|word| word.index);
        let entries: Vec<u64> = entries.collect();
        Ok(entries.iter().max().filter(|_| entries.len() >= MAX_WORDINGS).copied())
    }

    fn record(&mut self, vouched: &Vouched, index: u64) -> Result<(), Failure> {
        let attestation = &vouched.attestation;
        let claim = attestation.claim();
        let hash_part = claim.path().base().hash_part();
        refuse_flood(self.path(hash_part)?, vouched)?;
        let word = AttestationRecord {
            ledger: LedgerId::OWN,
            key_id: attestation.key_id(),
            index,
            logged_at: self.now,
            signature: *attestation.signature(),
        };
        let unsigned = (vouched.deriver.clone(), vouched.content_address.clone());
        if self.say(claim, word, unsigned)? {
            self.add_claim(attestation.claim_id(), vouched, hash_part)?;
        }
        Ok(())
    }

    /// Takes a word of the pool's own ledger up into what is known of the path. Answers with whether
    /// nobody has said so before.
    fn say(
        &mut self,
        claim: &Claim,
        word: AttestationRecord,
        (deriver, address): (Option<BaseName>, Option<ContentAddress>),
    ) -> Result<bool, Error> {
        let file = self.shown_file(claim.path(), &claim.nar_hash())?;
        let hash_part = claim.path().base().hash_part();
        let path = self.path(hash_part)?;
        let known = path.claims.iter().position(|record| record.claim == *claim);
        let place = known.unwrap_or_else(|| {
            path.claims.push(ClaimRecord { file, ..ClaimRecord::new(claim.clone()) });
            path.claims.len() - 1
        });
        let record = &mut path.claims[place];
        record.deriver = record.deriver.take().or(deriver);
        record.content_address = record.content_address.take().or(address);
        record.attestations.push(word);
        let diverges = path.meanings_of(claim.path()) > 1;
        if diverges {
            self.batch.put_divergence(word.index, &hash_part)?;
        }
        Ok(known.is_none())
    }

    fn add_claim(
        &mut self,
        id: ClaimId,
        vouched: &Vouched,
        hash_part: HashPart,
    ) -> Result<(), Failure> {
        let claim = vouched.attestation.claim();
        self.claimed.entry(claim.nar_hash()).or_default().push(hash_part);
        let is_known = self.index.claim(&id)?.is_some();
        self.batch.put_claim(&id, claim)?;
        // Entries of mirrored ledgers may have waited for what it says.
        if is_known { Ok(()) } else { self.hear_earlier(claim) }
    }

    pub(super) fn keep(&mut self, kept: Vec<Kept>) -> Result<Vec<FileRecord>, Failure> {
        kept.into_iter().map(|kept| self.keep_one(kept)).collect()
    }

    fn keep_one(&mut self, kept: Kept) -> Result<FileRecord, Failure> {
        let nar_hash = kept.nar_hash;
        self.batch.put_alias(&kept.record.file.file_hash, &nar_hash)?;
        self.side.arrived(kept.record.file.file_hash);
        let lease = LeaseRecord { until: kept.leased_until, file_hash: kept.record.file.file_hash };
        if let Some(known) = self.blob(&nar_hash)? {
            self.relist(&nar_hash)?;
            self.promise(&nar_hash, LeaseRecord { file_hash: known.file.file_hash, ..lease })?;
            return Ok(known.file);
        }
        let file = kept.record.file;
        self.batch.put_blob(&nar_hash, &kept.record)?;
        self.batch.delete_elsewhere(&nar_hash)?;
        self.batch.delete_damaged(&nar_hash)?;
        if let Some(listing) = &kept.listing {
            self.batch.put_listing(&nar_hash, listing)?;
        }
        self.batch.clear_pending(&kept.name())?;
        self.blobs.insert(nar_hash, Some(kept.record));
        self.promise(&nar_hash, lease)?;
        if self.returned(&nar_hash)? {
            self.tell_waiting_paths(&nar_hash, file)?;
        }
        Ok(file)
    }

    /// Claims may come before their NAR: now they have one. Not those about paths that were taken down.
    fn tell_waiting_paths(&mut self, nar_hash: &NarHash, file: FileRecord) -> Result<(), Error> {
        let mut waiting = self.paths_of(nar_hash, MAX_WAITING_PATHS)?;
        let mut shown = Vec::with_capacity(waiting.len());
        for hash_part in waiting.drain(..) {
            if self.deletion(&hash_part)?.is_none() {
                shown.push(hash_part);
            }
        }
        self.put_file(nar_hash, &shown, Some(file))
    }

    /// Paths that are said to have the NAR, those that are said so just now among them.
    fn paths_of(&self, nar_hash: &NarHash, limit: usize) -> Result<Vec<HashPart>, Error> {
        let mut paths = self.index.paths_of_nar(nar_hash, limit)?;
        paths.extend(self.claimed.get(nar_hash).into_iter().flatten());
        Ok(paths)
    }

    /// What narinfos of these paths name for the NAR.
    fn put_file(
        &mut self,
        nar_hash: &NarHash,
        paths: &[HashPart],
        file: Option<FileRecord>,
    ) -> Result<(), Error> {
        for hash_part in paths {
            let claims = &mut self.path(*hash_part)?.claims;
            let of_nar = claims.iter_mut().filter(|record| record.claim.nar_hash() == *nar_hash);
            of_nar.for_each(|record| record.file = file);
        }
        Ok(())
    }

    pub(super) fn key_event(&mut self, signed: SignedKeyEvent) -> Result<KeyEventLogged, Failure> {
        let attestations = self.stages.attestations.size();
        let entry = KeyEntry { logged_at: self.now, attestations, signed };
        let mut table = (**self.now_on_roll().own()).clone();
        match table.apply(&entry).map_err(Rejected::from)? {
            Applied::Already { index, logged_at } => {
                Ok(KeyEventLogged { index, logged_at, new: false })
            }
            Applied::New { .. } => {
                let index = self.stages.keys.append(&mut self.batch, &entry.to_json())?;
                self.changed = Some(self.now_on_roll().clone().with_own(table));
                Ok(KeyEventLogged { index, logged_at: self.now, new: true })
            }
        }
    }

    /// Writes the group, all of it or nothing, and waits until it would survive a crash.
    pub(super) fn commit(mut self) -> Result<Stages, Error> {
        for (hash_part, record) in &self.paths {
            self.batch.put_path(hash_part, record)?;
        }
        self.side.put(&mut self.batch)?;
        self.batch.commit()?;
        Ok(Stages { mirrored: self.mirrored.stages, roots: self.retention.roots, ..self.stages })
    }

    fn blob(&self, nar_hash: &NarHash) -> Result<Option<BlobRecord>, Error> {
        match self.blobs.get(nar_hash) {
            Some(record) => Ok(record.clone()),
            None => self.index.blob(nar_hash),
        }
    }

    fn path(&mut self, hash_part: HashPart) -> Result<&mut PathRecord, Error> {
        Ok(match self.paths.entry(hash_part) {
            Slot::Occupied(slot) => slot.into_mut(),
            Slot::Vacant(slot) => slot.insert(self.index.path(&hash_part)?.unwrap_or_default()),
        })
    }
}

fn refuse_flood(path: &PathRecord, vouched: &Vouched) -> Result<(), Rejected> {
    let (signer, claim) = (vouched.attestation.key_id(), vouched.attestation.claim());
    let signed = by_meaning(path.claims.iter().filter(|record| record.signed_by(&signer)));
    let (claims, agrees) = (signed.len(), signed.iter().any(|it| it[0].claim.agrees_with(claim)));
    if agrees || claims < MAX_CLAIMS_PER_SIGNER {
        return Ok(());
    }
    let store_path = vouched.attestation.claim().path();
    Err(Rejected::conflict(
        "too_many_claims",
        format!("this signer already claims {claims} different things of {store_path}"),
    ))
}
