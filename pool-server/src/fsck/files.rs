//! The files of NARs against what is known of NARs.

use std::time::{Duration, SystemTime};

use schema::hash::NarHash;

use super::{Done, Kind, Search, Verdict, withdraw};
use crate::blobs::FoundFile;
use crate::index::{BlobRecord, Listing, Why};
use crate::rejected::{Error, Failure};

/// A file that was written since may belong to something that is not finished.
const FRESH: Duration = Duration::from_secs(3600);

impl Search<'_> {
    /// Whether the file of a NAR is there and as long as it should be.
    pub(super) fn file(&mut self, nar_hash: NarHash, blob: &BlobRecord) {
        self.summary.nars += 1;
        self.summary.nar_bytes += blob.file.file_size;
        let verdict = match self.parts.blobs.nar_len(&nar_hash, blob.file.compression) {
            Ok(Some(found)) if found == blob.file.file_size => return,
            Ok(Some(found)) => Verdict::cut(found, blob.file.file_size),
            Ok(None) => Verdict::Missing,
            Err(error) => Verdict::Untold(error.to_string()),
        };
        self.judged(nar_hash, blob, &verdict);
    }

    /// Tells what is wrong with a NAR, and withdraws it if that is wanted.
    pub(super) fn judged(&mut self, nar_hash: NarHash, blob: &BlobRecord, verdict: &Verdict) {
        let kind = match verdict {
            Verdict::Whole | Verdict::Stopped => return,
            Verdict::Missing => Kind::NarMissing,
            Verdict::Cut(_) => Kind::NarCut,
            Verdict::Damaged(_) => Kind::NarDamaged,
            Verdict::Untold(_) => Kind::NarUntold,
        };
        let known = self.parts.index.blob(&nar_hash);
        if known.is_ok_and(|known| known.as_ref() != Some(blob)) {
            // Withdrawn since, perhaps by this very search, or brought again.
            return;
        }
        let (detail, mut done) = match verdict {
            Verdict::Untold(why) => (why.clone(), Done::Left),
            verdict => (verdict.damage().unwrap_or_default(), Done::Left),
        };
        if let Some(sequencer) = self.parts.sequencer.filter(|_| self.options.repair)
            && let Some(why) = verdict.damage()
        {
            let parts = (self.parts.index, self.parts.blobs, sequencer);
            let withdrawn = withdraw(parts, (nar_hash, blob), &why);
            done = self.ordered(self.parts.runtime.block_on(withdrawn), Done::Withdrawn);
        }
        self.found(kind, nar_hash.to_nix32(), detail, done);
    }

    /// Files among the NARs that nothing refers to.
    pub(super) fn strays(&mut self) -> Result<(), Error> {
        for file in self.parts.blobs.nar_files()? {
            let file = file?;
            if !self.is_referred_to(&file).unwrap_or(true) {
                let done = self.remove(&file).unwrap_or_else(|error| {
                    tracing::error!(%error, "a stray file stays");
                    Done::Left
                });
                let detail = "nothing refers to this file".to_owned();
                self.found(Kind::FileStray, format!("nar/{}", file.name), detail, done);
            }
            if !self.spend(0) {
                break;
            }
        }
        Ok(())
    }

    fn is_referred_to(&self, file: &FoundFile) -> Result<bool, Error> {
        if self.is_known(file)? {
            return Ok(true);
        }
        // While it is being put in place it is noted, until it is known.
        let name = format!("nar/{}", file.name);
        let pending = self.parts.index.pending()?;
        let of_pending = |noted: &String| *noted == name || format!("{noted}#1") == name;
        Ok(pending.iter().any(of_pending) || self.is_known(file)?)
    }

    fn is_known(&self, file: &FoundFile) -> Result<bool, Error> {
        let Some((nar_hash, compression)) = file.of_nar else { return Ok(false) };
        let blob = self.parts.index.blob(&nar_hash)?;
        Ok(blob.is_some_and(|blob| blob.file.compression == compression))
    }

    fn is_damaged(&self, nar_hash: &NarHash) -> Result<bool, Error> {
        let state = self.parts.index.listing_state(nar_hash)?;
        Ok(matches!(state, Listing::Gone(it) if it.why == Why::Damaged))
    }

    /// Removes a file that nothing refers to. What is left of one that was damaged is kept.
    fn remove(&self, file: &FoundFile) -> Result<Done, Failure> {
        let age = SystemTime::now().duration_since(file.written_at).unwrap_or_default();
        if !self.options.repair || age < FRESH {
            return Ok(Done::Left);
        }
        let hashes: Vec<NarHash> = file.of_nar.iter().map(|(nar_hash, _)| *nar_hash).collect();
        let _removing = self.parts.runtime.block_on(self.parts.blobs.removals());
        let _turn = self.parts.runtime.block_on(self.parts.blobs.turn(&hashes));
        if self.is_referred_to(file)? {
            return Ok(Done::Left);
        }
        if let Some(nar_hash) = hashes.first()
            && self.is_damaged(nar_hash)?
        {
            self.parts.blobs.quarantine(&file.name)?;
            return Ok(Done::Withdrawn);
        }
        self.parts.blobs.remove_stray(&file.name)?;
        Ok(Done::Removed)
    }
}
