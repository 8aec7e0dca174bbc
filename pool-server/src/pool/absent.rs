//! NARs that are not here but elsewhere, and what the operator has the pool do about them.

use std::sync::Arc;
use std::time::Duration;

use schema::api::{Refused, RefusedCode};
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::store_path::{HashPart, StorePath};
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;

use super::Pool;
use super::pull::Step;
use crate::config::AbsentNars;
use crate::index::{DeletionRecord, Listing, PathRecord, UnlistedRecord, Why};
use crate::rejected::{Error, Failure};

/// How long an asker waits for the first bytes of a NAR that somebody brings.
const PATIENCE: Duration = Duration::from_secs(30);

/// How an asker gets a NAR that is not here.
pub enum Absent {
    /// It is there: an address.
    There(String),
    /// It comes: its first bytes, the rest of them, and how many there are in all.
    Coming {
        /// What came first.
        first: Step,
        /// What comes then.
        rest: mpsc::Receiver<Step>,
        /// The size of the file, by the word of whoever has it.
        file_size: u64,
    },
}

impl Pool {
    /// What is known of a path. NARs that can be had by way of this pool count as here.
    pub(super) fn record_of(&self, hash_part: &HashPart) -> Result<Option<PathRecord>, Error> {
        let mut record = self.index.path(hash_part)?;
        if self.config.absent_nars != AbsentNars::Refuse
            && self.index.deletion(hash_part)?.is_none()
        {
            let claims = record.iter_mut().flat_map(|record| &mut record.claims);
            for claim in claims.filter(|claim| claim.file.is_none()) {
                let known = self.index.elsewhere(&claim.claim.nar_hash())?;
                claim.file = known.and_then(|known| known.file);
            }
        }
        Ok(record)
    }

    /// How to get a NAR's file that is not here.
    ///
    /// # Errors
    /// Nobody has it, as far as is known, or the operator would rather not.
    pub async fn absent_nar(
        self: &Arc<Self>,
        nar_hash: NarHash,
        compression: Compression,
    ) -> Result<Absent, Failure> {
        let missing = || self.missing_nar(&nar_hash, &nar_hash.to_nix32());
        if self.config.absent_nars == AbsentNars::Refuse {
            return Err(missing().into());
        }
        let known = self.index.elsewhere(&nar_hash)?.ok_or_else(missing)?;
        let file = known.file.filter(|file| file.compression == compression);
        let file = file.ok_or_else(missing)?;
        if self.config.absent_nars == AbsentNars::Pull
            && let Some(mut rest) = self.wishes.wish(nar_hash, compression)
            && let Ok(Some(first)) = timeout(PATIENCE, rest.recv()).await
        {
            return Ok(Absent::Coming { first, rest, file_size: file.file_size });
        }
        let suffix = compression.suffix();
        Ok(Absent::There(format!("{}/nar/{}.nar{suffix}", known.source, nar_hash.to_nix32())))
    }

    /// NARs that are asked for and not here, as they are.
    #[must_use]
    pub fn wishes(&self) -> broadcast::Receiver<NarHash> {
        self.wishes.listen()
    }

    /// Why the NARs of a path are not here, and where they are. Nothing, if one has come meanwhile.
    pub(super) fn saying_why(
        &self,
        mut refused: Refused,
        hash_part: &HashPart,
        record: Option<&PathRecord>,
    ) -> Result<Option<Refused>, Error> {
        if let Some(deletion) = self.index.deletion(hash_part)? {
            let DeletionRecord { path, reason, .. } = deletion;
            let detail = format!("{path} was taken down by the operator: {reason}");
            return Ok(Some(Refused { code: RefusedCode::Deleted, detail }));
        }
        let claims = record.into_iter().flat_map(|record| &record.claims);
        for claim in claims.filter(|claim| claim.file.is_none()) {
            let (path, nar_hash) = (claim.claim.path(), claim.claim.nar_hash());
            match self.index.listing_state(&nar_hash)? {
                Listing::Unlisted(why) | Listing::Gone(why) => {
                    refused = unlisted(path, &nar_hash, &why);
                }
                Listing::Listed => return Ok(None),
                Listing::Absent => {}
            }
            if let Some(known) = self.index.elsewhere(&nar_hash)? {
                let soon = if known.wanted { ", and is to come here" } else { "" };
                let there = if known.file.is_some() { "it is at" } else { "ask" };
                refused.detail.push_str(&format!("; {there} {}{soon}", known.source));
                break;
            }
        }
        Ok(Some(refused))
    }
}

fn unlisted(path: &StorePath, nar_hash: &NarHash, why: &UnlistedRecord) -> Refused {
    let UnlistedRecord { why, detail, .. } = why;
    let (code, what) = match why {
        Why::Collected => (RefusedCode::Collected, "was collected"),
        Why::Deleted => (RefusedCode::Deleted, "was taken down"),
        Why::Damaged => (RefusedCode::Damaged, "was damaged"),
    };
    let again = if *why == Why::Deleted { "" } else { "; it comes back when somebody pushes it" };
    let detail = format!("{path} is attested, but its NAR {nar_hash} {what}: {detail}{again}");
    Refused { code, detail }
}
