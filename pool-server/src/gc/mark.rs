//! What stays: pins, what the operator's rules keep, and what was asked for last, each with all that it
//! refers to.

use std::sync::atomic::Ordering;

use schema::hash::NarHash;

use super::Collection;
use crate::index::{ClaimRecord, Listing, Marks, PathRecord};
use crate::rejected::Error;

/// Paths after which it rests.
const CHUNK: usize = 1024;

/// A NAR that is here.
struct Here {
    nar_hash: NarHash,
    file_size: u64,
}

impl Collection<'_> {
    /// Marks what stays. Answers with why the rest goes; nothing, if the operator has everything stay.
    pub(super) fn mark(&mut self, marks: &mut Marks<'_>) -> Result<Option<String>, Error> {
        let config = self.parts.config;
        if config.max_stored.is_none() && config.collect_after.is_none() {
            return Ok(None);
        }
        for (_, _, pin) in self.parts.index.pins(None)? {
            for path in &pin.paths {
                marks.visit(&path.base().hash_part())?;
            }
        }
        let stored = self.sort_paths(marks)?;
        let mut kept = self.trace(marks)?;
        let room = self.room(stored);
        for place in marks.ordered()? {
            let (hash_part, until) = place?;
            if self.is_stopping() || kept >= room || self.is_unused(until) {
                break;
            }
            if !marks.has_path(&hash_part)? {
                marks.visit(&hash_part)?;
                kept += self.trace(marks)?;
            }
        }
        Ok(Some(self.reason(kept >= room)))
    }

    /// Marks paths that stay whether anybody asks for them or not, and orders the others. Answers with
    /// the size of all NARs that are shown.
    fn sort_paths(&mut self, marks: &mut Marks<'_>) -> Result<u64, Error> {
        let index = self.parts.index;
        for (at, row) in index.all_paths()?.enumerate() {
            if at % CHUNK == 0 {
                self.pace.rest();
                if self.is_stopping() {
                    break;
                }
            }
            let (hash_part, record) = row?;
            let here = self.here(&record)?;
            if here.is_empty() {
                continue;
            }
            if self.is_kept(&record)? {
                marks.visit(&hash_part)?;
            } else {
                let hashes: Vec<NarHash> = here.iter().map(|it| it.nar_hash).collect();
                let leases = index.leases(&hashes)?;
                let until = leases.into_iter().flatten().map(|lease| lease.until).max();
                marks.order(&hash_part, until.unwrap_or(0))?;
            }
        }
        let (mut stored, mut after) = (0, None);
        loop {
            let blobs = index.blobs_after(after.as_ref(), CHUNK)?;
            let Some((last, _)) = blobs.last() else { return Ok(stored) };
            after = Some(*last);
            stored += blobs.iter().map(|(_, blob)| blob.file.file_size).sum::<u64>();
        }
    }

    /// Follows references from what was marked. Answers with the size of the NARs that were not marked.
    fn trace(&mut self, marks: &mut Marks<'_>) -> Result<u64, Error> {
        let mut size = 0;
        let mut traced = 0;
        while let Some(hash_part) = marks.next_to_trace()? {
            let Some(record) = self.parts.index.path(&hash_part)? else { continue };
            for here in self.here(&record)? {
                if marks.mark_nar(&here.nar_hash)? {
                    size += here.file_size;
                }
            }
            for reference in record.claims.iter().flat_map(|it| it.claim.references()) {
                marks.visit(&reference.hash_part())?;
            }
            traced += 1;
            if traced % CHUNK == 0 {
                self.pace.rest();
            }
        }
        Ok(size)
    }

    /// The NARs of a path that are here, and not because somebody took the path down.
    fn here(&self, record: &PathRecord) -> Result<Vec<Here>, Error> {
        let mut here = Vec::new();
        for ClaimRecord { claim, file, .. } in &record.claims {
            let nar_hash = claim.nar_hash();
            let file_size = match file {
                Some(file) => Some(file.file_size),
                None => match self.parts.index.listing_state(&nar_hash)? {
                    Listing::Unlisted(_) => {
                        self.parts.index.blob(&nar_hash)?.map(|blob| blob.file.file_size)
                    }
                    _ => None,
                },
            };
            here.extend(file_size.map(|file_size| Here { nar_hash, file_size }));
        }
        Ok(here)
    }

    /// Whether a rule keeps the path, whoever asks for it or not.
    fn is_kept(&self, record: &PathRecord) -> Result<bool, Error> {
        let (config, roll) = (self.parts.config, self.parts.roll);
        for ClaimRecord { claim, attestations, .. } in &record.claims {
            let name = claim.path().base().name();
            if config.keep_names.iter().any(|pattern| pattern.matches(name)) {
                return Ok(true);
            }
            let speaks = |word: &&_| {
                let names = [roll.signer(word), roll.root(word)];
                let mut names = names.into_iter().flatten().map(|signer| signer.key.name());
                names.any(|name| config.keep_signers.contains(name))
            };
            if !config.keep_signers.is_empty()
                && attestations.iter().filter(speaks).any(|word| roll.counts(word, claim))
            {
                return Ok(true);
            }
            if !config.keep_for.is_zero()
                && let Some(blob) = self.parts.index.blob(&claim.nar_hash())?
                && blob.stored_at.saturating_add(config.keep_for.as_secs()) > self.now
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// So much may stay. Once there is too much, a tenth is made room for at once: nobody wants to
    /// collect for each upload.
    fn room(&self, stored: u64) -> u64 {
        match self.parts.config.max_stored {
            Some(most) if stored > most => most / 10 * 9,
            _ => u64::MAX,
        }
    }

    /// Whether nobody has asked for so long for what was promised `until` then.
    fn is_unused(&self, until: u64) -> bool {
        let after = self.parts.config.collect_after;
        after.is_some_and(|after| until.saturating_add(after.as_secs()) < self.now)
    }

    fn reason(&self, full: bool) -> String {
        if full {
            let most = self.parts.config.max_stored.unwrap_or_default();
            format!("the pool keeps {most} bytes at most, and others were asked for later")
        } else {
            let after = self.parts.config.collect_after.unwrap_or_default().as_secs();
            format!(
                "nobody has asked for it for {after} s and the time before for which it was promised"
            )
        }
    }

    fn is_stopping(&self) -> bool {
        self.parts.gc.stopping.load(Ordering::Relaxed)
    }
}
