//! What is asked of the ledger, beside its logs' files.

use std::sync::Arc;

use bytes::Bytes;
use schema::api::{
    ClaimAnswer, KeyEventLogged, KeyEventRequest, Logged, Lookup, MAX_LOOKUP, WitnessReport,
};
use schema::attestation::Entry;
use schema::claim::Claim;
use schema::hash::{ClaimId, MapKey};
use schema::key_event::SignedKeyEvent;
use schema::tlog::receipt::{Receipt, ReceiptError};
use tokio::sync::OwnedSemaphorePermit;

use super::Pool;
use crate::index::LogId;
use crate::ledger::Ledger;
use crate::ledger::sequencer::Standing;
use crate::ledger::shown::Published;
use crate::ledger::witness::Unwitnessed;
use crate::rejected::{Error, Failure, Rejected};

/// An answer with many claims ends once it has so many bytes of them.
const ENOUGH_CLAIMS: usize = 4 << 20;
/// Readers at a time who follow a log: each keeps a connection open.
pub(super) const FOLLOWERS: usize = 256;

impl Pool {
    /// Tells where attestations stand, once readers of the log can see them. With a receipt for
    /// each if that is wanted, unless the log's witnesses keep its checkpoint waiting too long.
    pub(super) async fn logged(
        &self,
        standings: &[Standing],
        receipts: bool,
    ) -> Result<Vec<Logged>, Failure> {
        let log = self.shown(LogId::Attestations);
        let size = standings.iter().map(|standing| standing.index + 1).max().unwrap_or(0);
        let waited = tokio::time::timeout(self.config.witness_timeout, log.reaches(size)).await;
        let published = (receipts && waited.is_ok()).then(|| log.published());
        let logged = |standing: &Standing| {
            let receipt = published.as_deref().map(|it| self.receipt(standing.index, it));
            let (index, new) = (standing.index, standing.new);
            Ok(Logged { index, new, receipt: receipt.transpose()?.map(|it| it.to_string()) })
        };
        standings.iter().map(logged).collect()
    }

    /// Proves that the attestation at `index` is in the published ledger.
    ///
    /// # Errors
    /// An index beyond it, or a failing database.
    pub fn receipt_of(&self, index: u64) -> Result<Receipt, Failure> {
        let published = self.shown(LogId::Attestations).published();
        Self::check_in_log(index, &published)?;
        Ok(self.receipt(index, &published)?)
    }

    fn check_in_log(index: u64, published: &Published) -> Result<(), Rejected> {
        if index < published.size() {
            return Ok(());
        }
        let detail = format!("the ledger has {} entries, none at {index}", published.size());
        Err(Rejected::not_found("not_in_log", detail))
    }

    fn receipt(&self, index: u64, published: &Published) -> Result<Receipt, Error> {
        let proof = self.shown(LogId::Attestations).inclusion(index, published)?;
        Receipt::new(index, proof, published.checkpoint.clone()).map_err(unmade)
    }

    /// What the ledger has under a key of its map, and that there is no more. With `size`, of so many
    /// attestations at least.
    ///
    /// # Errors
    /// A map that does not reach `size` in time, or a failing database.
    pub async fn lookup(&self, key: MapKey, from: u64, size: u64) -> Result<Lookup, Failure> {
        let patience = self.config.witness_timeout;
        let covered = tokio::time::timeout(patience, self.ledger.covers(size)).await;
        let listed = self.index.listed(&key, from, MAX_LOOKUP)?;
        let listed = listed.filter(|_| covered.is_ok()).ok_or_else(not_covered)?;
        let (number, log) = (listed.state.number, self.shown(LogId::Index));
        let seen = tokio::time::timeout(patience, log.reaches(number + 1)).await;
        seen.map_err(|_| not_covered())?;
        let published = log.published();
        let proof = log.inclusion(number, &published)?;
        let receipt = Receipt::new(number, proof, published.checkpoint.clone()).map_err(unmade)?;
        Ok(Lookup {
            key,
            len: listed.len,
            from,
            indices: listed.indices,
            proof: listed.proof,
            leaf: listed.state.leaf.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect(),
            receipt: receipt.to_string(),
        })
    }

    /// Leave to follow a log, until it is dropped.
    ///
    /// # Errors
    /// When too many do.
    pub fn follower(&self) -> Result<OwnedSemaphorePermit, Rejected> {
        Arc::clone(&self.followers).try_acquire_owned().map_err(|_| {
            let detail = format!("{FOLLOWERS} readers follow the logs already");
            Rejected::too_many("too_many_followers", detail)
                .hint("ask for the checkpoint from time to time")
        })
    }

    /// How the witnesses of this pool's logs stand.
    #[must_use]
    pub fn witness_reports(&self) -> Vec<WitnessReport> {
        self.ledger.witness_reports()
    }

    /// Cosigns a checkpoint of another's log, if this pool is its witness.
    ///
    /// # Errors
    /// Why not.
    pub async fn add_checkpoint(self: &Arc<Self>, body: Bytes) -> Result<String, Unwitnessed> {
        self.ledger.sequencer().check_open().map_err(Unwitnessed::Rejected)?;
        let pool = Arc::clone(self);
        let cosigned =
            tokio::task::spawn_blocking(move || pool.ledger.witness().add_checkpoint(&body));
        cosigned.await.map_err(|error| Error::Index(format!("cosigning stopped: {error}")))?
    }

    /// Takes an event of a signer's key, by the word of whoever signed it.
    ///
    /// # Errors
    /// Signatures that are missing or do not hold, a change that the rules do not allow.
    pub async fn key_event(&self, request: KeyEventRequest) -> Result<KeyEventLogged, Failure> {
        Ledger::check_open(&request.event)?;
        let signed = SignedKeyEvent::new(request.event, request.signatures)
            .map_err(|error| Rejected::bad_request("event_malformed", error.to_string()))?;
        let logged = self.ledger.sequencer().key_event(signed).await?;
        let seen = self.shown(LogId::Keys).reaches(logged.index + 1);
        // Nothing depends on its being seen by now; see `logged`.
        let _ = tokio::time::timeout(self.config.witness_timeout, seen).await;
        Ok(logged)
    }

    /// The exact bytes that signers of a claim sign.
    ///
    /// # Errors
    /// A claim that nobody attested (404), or that was collected (410).
    pub fn claim(&self, claim: &ClaimId) -> Result<Vec<u8>, Failure> {
        let is_attested = self.index.is_attested(claim)?;
        if let Some(bytes) = self.index.claim(claim)?.filter(|_| is_attested) {
            return Ok(bytes);
        }
        if is_attested {
            let detail = format!("the claim {claim} was collected; its entries stay in the ledger");
            return Err(Rejected::gone("claim_collected", detail).into());
        }
        let detail = format!("nobody attested a claim with the hash {claim} here");
        Err(Rejected::not_found("no_claim", detail).into())
    }

    /// What the attestation at `index` attests.
    ///
    /// # Errors
    /// An index beyond the published ledger, and those of [`claim`](Self::claim).
    pub(super) fn claim_at(&self, index: u64) -> Result<Claim, Failure> {
        let log = self.shown(LogId::Attestations);
        Self::check_in_log(index, &log.published())?;
        let damaged = |why: String| Error::Damaged(format!("attestation {index}: {why}"));
        let entry = log.entries(index, 1)?.pop().ok_or_else(|| damaged("it is gone".to_owned()))?;
        let entry = Entry::parse(&entry).map_err(|error| damaged(error.to_string()))?;
        let text = self.claim(&entry.claim)?;
        Ok(Claim::parse(&text).map_err(|error| damaged(error.to_string()))?)
    }

    /// The same for many claims, or for the first of them if they are long.
    ///
    /// # Errors
    /// When the database fails.
    pub fn claims(&self, claims: &[ClaimId]) -> Result<Vec<ClaimAnswer>, Error> {
        let mut answers = Vec::new();
        let mut bytes = 0;
        for claim in claims {
            // A text alone is nobody's word: a mirror has it before the entry that is about it.
            let is_attested = self.index.is_attested(claim)?;
            let text = self.index.claim(claim)?.filter(|_| is_attested);
            let text = text.map(String::from_utf8).transpose();
            let text = text.map_err(|_| Error::Damaged(format!("claim {claim} is no text")))?;
            bytes += text.as_ref().map_or(0, String::len);
            let collected = text.is_none() && is_attested;
            answers.push(ClaimAnswer { claim: *claim, text, collected });
            if bytes >= ENOUGH_CLAIMS {
                break;
            }
        }
        Ok(answers)
    }
}

fn unmade(error: ReceiptError) -> Error {
    Error::Damaged(format!("a receipt cannot be made: {error}"))
}

fn not_covered() -> Rejected {
    Rejected::not_found("not_indexed", "the index log does not cover so many attestations yet")
        .hint("it follows within seconds; ask again")
}
