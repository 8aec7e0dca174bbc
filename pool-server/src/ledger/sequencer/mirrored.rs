//! Orders about the ledgers of others.

use schema::claim::Claim;
use schema::hash::NarHash;
use schema::tlog::edge::Edge;

use super::{Order, Sequencer};
use crate::index::{ElsewhereRecord, LedgerId, LedgerRecord, LogAt};
use crate::ledger::mirror::MirroredEntry;
use crate::rejected::Failure;

impl Sequencer {
    /// Begins to mirror a ledger.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mirror_ledger(&self, ledger: LedgerRecord) -> Result<LedgerId, Failure> {
        self.order(|answer| Order::MirrorLedger { ledger, answer }).await
    }

    /// Appends entries, the first of which has the index `from`, to the copy of a log; those that it
    /// has are passed over. Answers with its edge.
    ///
    /// # Errors
    /// Entries that are not what such a log holds, or do not come next; a failing database.
    pub async fn mirror(
        &self,
        log: LogAt,
        from: u64,
        entries: Vec<MirroredEntry>,
    ) -> Result<Edge, Failure> {
        self.check_open()?;
        self.order(|answer| Order::Mirror { log, from, entries, answer }).await
    }

    /// Keeps claims of mirrored ledgers. Answers with how many are new.
    ///
    /// # Errors
    /// A claim that is not what an entry about it says, or a failing database.
    pub async fn mirror_claims(&self, claims: Vec<Claim>) -> Result<usize, Failure> {
        self.order(|answer| Order::MirrorClaims { claims, answer }).await
    }

    /// Remembers where NARs are that are not here. Answers with how many of them are not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn elsewhere(&self, nars: Vec<(NarHash, ElsewhereRecord)>) -> Result<usize, Failure> {
        self.order(|answer| Order::Elsewhere { nars, answer }).await
    }
}
