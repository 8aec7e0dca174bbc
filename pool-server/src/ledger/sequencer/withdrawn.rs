//! Orders about what was found damaged.

use schema::hash::NarHash;
use schema::store_path::HashPart;

use super::{Order, Sequencer};
use crate::index::LedgerId;
use crate::rejected::Failure;

/// A path whose record contradicts the ledger, or the NARs there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mending {
    /// Of the path.
    pub hash_part: HashPart,
    /// Entries of ledgers about it that its record may lack.
    pub entries: Vec<(LedgerId, u64)>,
    /// NARs that it is said to have, perhaps wrongly.
    pub nar_hashes: Vec<NarHash>,
}

impl Sequencer {
    /// Forgets that a NAR is here, has its paths show it no more, and wants it brought again. The
    /// caller has its turn, and moves the file away after that. Answers with whether it was here.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn withdraw(&self, nar_hash: NarHash, why: String) -> Result<bool, Failure> {
        self.order(|answer| Order::Withdraw { nar_hash, why, answer }).await
    }

    /// Makes a path's record what the ledger and the NARs there are say. Answers with whether it was
    /// another.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mend(&self, path: Mending) -> Result<bool, Failure> {
        self.order(|answer| Order::Mend { path, answer }).await
    }
}
