//! What follows from the logs is made anew, in an index beside the old one.

use std::path::Path;

use schema::api::LogSizes;
use schema::claim::Claim;
use schema::content_address::ContentAddress;
use schema::store_path::BaseName;
use serde::{Deserialize, Serialize};

use super::heads::Heads;
use super::identity::Identity;
use super::indexer::catch_up;
use super::log::Log;
use super::mirror::Mirror;
use super::roll;
use super::sequencer::Logs;
use super::sequencer::replay::{Replay, copy_log};
use crate::index::{Index, LedgerId, LogAt, LogId};
use crate::rejected::{Error, Failure};

/// What was made of the logs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Replayed {
    /// How many entries they have.
    pub sizes: LogSizes,
    /// Ledgers of others that are mirrored.
    pub mirrored: usize,
    /// Own entries whose claims are gone: who said something, but not what.
    pub lost_claims: u64,
}

/// An index that is made anew.
pub struct Rebuilding<'r> {
    /// The data directory.
    pub data: &'r Path,
    /// The pool's keys.
    pub identity: &'r Identity,
    /// The index as it was.
    pub old: &'r Index,
    /// The one that is made.
    pub new: &'r Index,
}

impl Rebuilding<'_> {
    /// Copies the logs of every ledger, and proves that the pool's own are those that it has signed.
    ///
    /// # Errors
    /// Logs that do not read, or that are not those.
    pub fn copy_logs(&self) -> Result<LogSizes, Error> {
        let mut ledgers = vec![LedgerId::OWN];
        ledgers.extend(self.old.mirrored_ledgers()?.into_iter().map(|(ledger, _)| ledger));
        for ledger in ledgers {
            for log in LogId::ALL {
                copy_log(LogAt { ledger, log }, self.old, self.new)?;
            }
        }
        Heads::read(self.data, self.identity)?.check(self.new)
    }

    /// Makes what follows from the logs, once all that they are about is in the new index.
    ///
    /// # Errors
    /// Entries that do not read, a failing database.
    pub fn replay(&self, report: &mut dyn FnMut(String)) -> Result<Replayed, Error> {
        let open = |id| Log::open(id, self.identity.log_signer(id)?, self.new, self.data);
        let logs = Logs {
            keys: open(LogId::Keys)?,
            attestations: open(LogId::Attestations)?,
            mirrored: Mirror::edges(self.new)?,
        };
        let roll = roll(self.identity, self.new)?;
        let replay = Replay { index: self.new, roll: &roll, logs: &logs };
        let unsigned = |claim: &Claim| self.unsigned(claim);
        let lost_claims = replay.own(0, unsigned, |at| report(format!("{at} attestations")))?;
        let ledgers = self.new.mirrored_ledgers()?;
        for (ledger, record) in &ledgers {
            let told = |at| report(format!("{at} attestations of {}", record.origin));
            replay.mirrored(*ledger, told).map_err(ours)?;
        }
        // Not further than it was: readers may not have seen more. A start makes the rest.
        let mapped = self.old.map_state().ok().flatten().map_or(0, |state| state.number + 1);
        let sizes = Heads::read(self.data, self.identity)?.check(self.new)?;
        catch_up(self.new, mapped.min(sizes.index))?;
        Ok(Replayed { sizes, mirrored: ledgers.len(), lost_claims })
    }

    /// What nobody signed, and so no log has.
    fn unsigned(&self, claim: &Claim) -> (Option<BaseName>, Option<ContentAddress>) {
        let known = self.old.path(&claim.path().base().hash_part());
        let known = known.ok().flatten().unwrap_or_default();
        let record = known.claims.into_iter().find(|record| record.claim == *claim);
        record.map_or((None, None), |record| (record.deriver, record.content_address))
    }
}

fn ours(failure: Failure) -> Error {
    match failure {
        Failure::Error(error) => error,
        Failure::Rejected(rejected) => Error::Damaged(rejected.detail),
    }
}
