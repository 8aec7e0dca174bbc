//! What stays, and what is shown of it.
//!
//! A narinfo is served once its NAR is promised; a NAR is promised only while it is shown; it is swept
//! only once it is not shown and no promise is left. Each of the three is decided here, one after the
//! other, so none is decided on what another has just changed.

use std::collections::HashMap;

use schema::hash::{FileHash, NarHash};
use schema::store_path::{HashPart, StorePath};

use super::{Group, MAX_WAITING_PATHS};
use crate::blobs::nar_name;
use crate::index::{DeletionRecord, FileRecord, LeaseRecord, PinRecord, UnlistedRecord, Why};
use crate::ledger::sequencer::retention::{Roots, Unneeded};
use crate::rejected::{Error, Failure, Rejected};

/// A NAR that more paths have is not collected: so many records would be held in memory.
const MAX_PATHS: usize = 10_000;

/// What a group changes of that.
#[derive(Default)]
pub(super) struct Retention {
    leases: HashMap<NarHash, Option<LeaseRecord>>,
    unlisted: HashMap<NarHash, Option<UnlistedRecord>>,
    deletions: HashMap<HashPart, Option<DeletionRecord>>,
    pub(super) pins: HashMap<String, Vec<(u64, PinRecord)>>,
    /// How many pins were ever made, since the sequencer began.
    pub(super) roots: u64,
}

impl Retention {
    pub(super) fn after(roots: u64) -> Self {
        Self { roots, ..Self::default() }
    }
}

impl Group<'_> {
    /// Promises those of the files that are shown.
    pub(in super::super) fn lease(
        &mut self,
        files: &[(NarHash, FileHash)],
        until: u64,
    ) -> Result<Vec<bool>, Failure> {
        let lease = |(nar_hash, file_hash): &(NarHash, FileHash)| {
            let blob = self.blob(nar_hash)?;
            let is_it = blob.is_some_and(|blob| blob.file.file_hash == *file_hash);
            let shown = is_it && self.unlisted(nar_hash)?.is_none();
            if shown {
                self.promise(nar_hash, LeaseRecord { until, file_hash: *file_hash })?;
            }
            Ok(shown)
        };
        files.iter().map(lease).collect()
    }

    /// A promise is never taken back: only a longer one takes its place.
    pub(super) fn promise(&mut self, nar_hash: &NarHash, lease: LeaseRecord) -> Result<(), Error> {
        let known = self.lease_of(nar_hash)?;
        if known.is_none_or(|known| !known.covers(&lease.file_hash, lease.until)) {
            self.batch.put_lease(nar_hash, &lease)?;
            self.retention.leases.insert(*nar_hash, Some(lease));
        }
        Ok(())
    }

    pub(in super::super) fn unlist(
        &mut self,
        roots: Roots,
        nars: &[Unneeded],
        why: &UnlistedRecord,
    ) -> Result<Vec<bool>, Failure> {
        if roots.pins != self.retention.roots {
            return Ok(vec![false; nars.len()]);
        }
        nars.iter().map(|nar| self.unlist_one(roots, nar, why)).collect()
    }

    /// Not if it was promised or attested anew since somebody looked: somebody wants it.
    fn unlist_one(
        &mut self,
        roots: Roots,
        nar: &Unneeded,
        why: &UnlistedRecord,
    ) -> Result<bool, Failure> {
        let Unneeded { nar_hash, leased_until } = nar;
        let until = self.lease_of(nar_hash)?.map_or(0, |lease| lease.until);
        let here = self.blob(nar_hash)?.is_some() && self.unlisted(nar_hash)?.is_none();
        if !here || until != *leased_until || self.is_attested_since(nar_hash, roots.since)? {
            return Ok(false);
        }
        Ok(self.hide(nar_hash, why)?)
    }

    fn is_attested_since(&mut self, nar_hash: &NarHash, since: u64) -> Result<bool, Error> {
        for hash_part in self.paths_of(nar_hash, MAX_PATHS)? {
            let claims = &self.path(hash_part)?.claims;
            let of_nar = claims.iter().filter(|record| record.claim.nar_hash() == *nar_hash);
            if of_nar.flat_map(|it| &it.attestations).any(|word| word.logged_at >= since) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Answers with whether it could be done.
    fn hide(&mut self, nar_hash: &NarHash, why: &UnlistedRecord) -> Result<bool, Error> {
        let paths = self.paths_of(nar_hash, MAX_PATHS + 1)?;
        if paths.len() > MAX_PATHS {
            return Ok(false);
        }
        self.put_file(nar_hash, &paths, None)?;
        self.batch.put_unlisted(nar_hash, why)?;
        self.retention.unlisted.insert(*nar_hash, Some(why.clone()));
        Ok(true)
    }

    pub(in super::super) fn relist_all(&mut self, nars: &[NarHash]) -> Result<usize, Failure> {
        let mut shown = 0;
        for nar_hash in nars {
            shown += usize::from(self.relist(nar_hash)?);
        }
        Ok(shown)
    }

    /// Shows a NAR that is here again, unless its paths were taken down.
    pub(super) fn relist(&mut self, nar_hash: &NarHash) -> Result<bool, Error> {
        let hidden = self.unlisted(nar_hash)?.is_some_and(|it| it.why != Why::Deleted);
        let Some(blob) = self.blob(nar_hash)?.filter(|_| hidden) else { return Ok(false) };
        self.batch.delete_unlisted(nar_hash)?;
        self.retention.unlisted.insert(*nar_hash, None);
        self.tell_waiting_paths(nar_hash, blob.file)?;
        Ok(true)
    }

    /// A NAR has come: whatever was said of it, it is here. Answers with whether it may be shown.
    pub(super) fn returned(&mut self, nar_hash: &NarHash) -> Result<bool, Error> {
        let known = match self.retention.unlisted.get(nar_hash) {
            Some(known) => known.clone(),
            None => self.index.unlisted(nar_hash, false)?,
        };
        match known {
            Some(why) if why.why == Why::Deleted => {
                self.batch.put_unlisted(nar_hash, &why)?;
                self.retention.unlisted.insert(*nar_hash, Some(why));
                return Ok(false);
            }
            Some(_) => self.batch.delete_unlisted(nar_hash)?,
            None => {}
        }
        self.retention.unlisted.insert(*nar_hash, None);
        Ok(true)
    }

    pub(in super::super) fn sweep(
        &mut self,
        roots: Roots,
        nars: &[NarHash],
        now: u64,
    ) -> Result<Vec<Option<FileRecord>>, Failure> {
        let mut swept = vec![None; nars.len()];
        if roots.pins != self.retention.roots {
            return Ok(swept);
        }
        for (nar_hash, swept) in nars.iter().zip(&mut swept) {
            let promised = self.lease_of(nar_hash)?.is_some_and(|lease| lease.until >= now);
            if !promised {
                *swept = self.forget(nar_hash)?;
            }
        }
        Ok(swept)
    }

    /// Forgets a NAR that is not shown.
    fn forget(&mut self, nar_hash: &NarHash) -> Result<Option<FileRecord>, Error> {
        let (blob, why) = (self.blob(nar_hash)?, self.unlisted(nar_hash)?);
        let Some((blob, why)) = blob.zip(why) else { return Ok(None) };
        self.batch.delete_blob(nar_hash, &why)?;
        self.batch.put_removal(&nar_name(nar_hash, blob.file.compression))?;
        self.forgotten(*nar_hash, why);
        Ok(Some(blob.file))
    }

    fn forgotten(&mut self, nar_hash: NarHash, why: UnlistedRecord) {
        self.blobs.insert(nar_hash, None);
        self.retention.leases.insert(nar_hash, None);
        self.retention.unlisted.insert(nar_hash, Some(why));
    }

    /// Forgets a NAR of which the file is damaged, whatever was promised. Answers with whether it was
    /// here. Of one that was shown it stays known that it is to come again.
    pub(in super::super) fn withdraw(
        &mut self,
        nar_hash: NarHash,
        detail: String,
    ) -> Result<bool, Failure> {
        if self.blob(&nar_hash)?.is_none() {
            return Ok(false);
        }
        let why = match self.unlisted(&nar_hash)? {
            Some(why) => why,
            None => {
                self.want_again(&nar_hash)?;
                UnlistedRecord { why: Why::Damaged, detail, at: self.now }
            }
        };
        // Nothing reads the file of a path whose NAR is forgotten, should there be more of them.
        let paths = self.paths_of(&nar_hash, MAX_WAITING_PATHS)?;
        self.put_file(&nar_hash, &paths, None)?;
        self.batch.delete_blob(&nar_hash, &why)?;
        self.forgotten(nar_hash, why);
        Ok(true)
    }

    /// What a narinfo of the path may name for this NAR.
    pub(super) fn shown_file(
        &mut self,
        path: &StorePath,
        nar_hash: &NarHash,
    ) -> Result<Option<FileRecord>, Error> {
        let Some(blob) = self.blob(nar_hash)? else { return Ok(None) };
        let hidden = self.unlisted(nar_hash)?.is_some();
        let deleted = !hidden && self.deletion(&path.base().hash_part())?.is_some();
        Ok(Some(blob.file).filter(|_| !hidden && !deleted))
    }

    pub(in super::super) fn delete(
        &mut self,
        deletion: &DeletionRecord,
        now: &[NarHash],
    ) -> Result<Vec<(NarHash, FileRecord)>, Failure> {
        let hash_part = deletion.path.base().hash_part();
        self.batch.put_deletion(&hash_part, deletion)?;
        self.retention.deletions.insert(hash_part, Some(deletion.clone()));
        let record = self.path(hash_part)?;
        let mut nars: Vec<NarHash> =
            record.claims.iter().map(|record| record.claim.nar_hash()).collect();
        record.claims.iter_mut().for_each(|record| record.file = None);
        nars.sort_unstable_by_key(|nar_hash| *nar_hash.as_bytes());
        nars.dedup();
        let (why, at) = (Why::Deleted, deletion.at);
        let why = UnlistedRecord { why, detail: deletion.reason.clone(), at };
        let mut files = Vec::new();
        for nar_hash in nars {
            if self.blob(&nar_hash)?.is_none() || self.is_needed(&nar_hash)? {
                continue;
            }
            if self.hide(&nar_hash, &why)? && now.contains(&nar_hash) {
                files.extend(self.forget(&nar_hash)?.map(|file| (nar_hash, file)));
            }
        }
        Ok(files)
    }

    pub(in super::super) fn undelete(
        &mut self,
        hash_part: HashPart,
    ) -> Result<Option<DeletionRecord>, Failure> {
        let Some(deletion) = self.deletion(&hash_part)? else { return Ok(None) };
        self.batch.delete_deletion(&hash_part)?;
        self.retention.deletions.insert(hash_part, None);
        let claims = &self.path(hash_part)?.claims;
        let nars: Vec<NarHash> = claims.iter().map(|record| record.claim.nar_hash()).collect();
        for nar_hash in nars {
            let here = self.blob(&nar_hash)?;
            let why = self.index.unlisted(&nar_hash, here.is_some())?;
            if why.is_some_and(|it| it.why == Why::Deleted) {
                self.batch.delete_unlisted(&nar_hash)?;
                self.retention.unlisted.insert(nar_hash, None);
            }
            if let Some(blob) = here {
                self.tell_waiting_paths(&nar_hash, blob.file)?;
            }
        }
        Ok(Some(deletion))
    }

    /// Refuses what is about a path that was taken down.
    pub(super) fn check_not_deleted(&self, path: &StorePath) -> Result<(), Failure> {
        match self.deletion(&path.base().hash_part())? {
            None => Ok(()),
            Some(DeletionRecord { reason, .. }) => {
                let detail = format!("{path} was taken down by the operator: {reason}");
                Err(Rejected::gone("path_deleted", detail)
                    .hint("leave it out, or ask the operator")
                    .into())
            }
        }
    }

    pub(super) fn deletion(&self, hash_part: &HashPart) -> Result<Option<DeletionRecord>, Error> {
        match self.retention.deletions.get(hash_part) {
            Some(known) => Ok(known.clone()),
            None => self.index.deletion(hash_part),
        }
    }

    /// Whether a path that was not taken down has this NAR.
    fn is_needed(&mut self, nar_hash: &NarHash) -> Result<bool, Error> {
        let paths = self.paths_of(nar_hash, MAX_PATHS)?;
        for hash_part in paths {
            if self.deletion(&hash_part)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn lease_of(&self, nar_hash: &NarHash) -> Result<Option<LeaseRecord>, Error> {
        match self.retention.leases.get(nar_hash) {
            Some(known) => Ok(*known),
            None => self.index.lease(nar_hash),
        }
    }

    /// Why a NAR that is here is not shown.
    fn unlisted(&self, nar_hash: &NarHash) -> Result<Option<UnlistedRecord>, Error> {
        match self.retention.unlisted.get(nar_hash) {
            Some(known) => Ok(known.clone()),
            None => self.index.unlisted(nar_hash, true),
        }
    }
}
