//! Many small NARs at once.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use schema::api::NarStored;
use schema::hash::NarHash;
use schema::nar_batch::{BatchError, Record};

use super::Pool;
use crate::config::Measure;
use crate::ingest::{self, Declared, Limits, VerifiedNar};
use crate::quota::{Account, Accounts};
use crate::rejected::{Error, Failure, Rejected};

impl Pool {
    /// Takes a batch of small NARs. Those before a bad one are kept.
    ///
    /// # Errors
    /// Too many NARs by this token, or the first record that does not hold, by its number.
    pub async fn receive_batch(
        self: &Arc<Self>,
        body: Bytes,
        by: &Account,
    ) -> Result<Vec<NarStored>, Failure> {
        let _slot = self.slot(by).await?;
        self.takes_nars()?;
        let (pool, by) = (Arc::clone(self), by.clone());
        let checking = tokio::task::spawn_blocking(move || {
            check_batch(&body, &pool.limits(), (&pool.accounts, &by))
        });
        let (verified, refused) = checking
            .await
            .map_err(|error| Error::Blobs(format!("checking stopped: {error}")))??;
        let pool = Arc::clone(self);
        let keeping = tokio::spawn(async move { pool.keep_batch(verified).await });
        let stored =
            keeping.await.map_err(|error| Error::Blobs(format!("keeping stopped: {error}")))??;
        match refused {
            Some((at, refused)) => Err(self.refuse_record(at, refused).into()),
            None => Ok(stored),
        }
    }

    async fn keep_batch(
        &self,
        verified: Vec<(VerifiedNar, Bytes)>,
    ) -> Result<Vec<NarStored>, Failure> {
        let hashes: Vec<NarHash> = verified.iter().map(|(nar, _)| nar.nar_hash()).collect();
        let _turn = self.blobs.turn(&hashes).await;
        hashes.iter().try_for_each(|nar_hash| self.check_not_deleted(nar_hash))?;
        let known = self.index.blobs(&hashes)?;
        let missing = hashes.iter().zip(known).filter(|(_, known)| known.is_none());
        let mut missing: HashSet<NarHash> = missing.map(|(nar_hash, _)| *nar_hash).collect();
        let (mut files, mut kepts, mut stored) = (Vec::new(), Vec::new(), Vec::new());
        for (nar, file) in verified {
            let (new, kept) = (missing.remove(&nar.nar_hash()), self.kept(nar));
            if new {
                self.index.note_pending(&kept.name())?;
                files.push((kept.name(), file));
            }
            stored.push((kept.nar_hash, kept.record.nar_size, new));
            kepts.push(kept);
        }
        if !files.is_empty() {
            self.blobs.place_all(files).await?;
        }
        let files = self.ledger.sequencer().keep(kepts).await?;
        hashes.iter().for_each(|nar_hash| self.wishes.stored(nar_hash));
        let answer = |((nar_hash, nar_size, new), file)| self.stored(nar_hash, nar_size, file, new);
        Ok(stored.into_iter().zip(files).map(answer).collect())
    }

    fn refuse_record(&self, at: usize, refused: ingest::Refused) -> Rejected {
        self.metrics.nar_refused(refused.code());
        let mut rejected = Rejected::from(refused);
        rejected.detail = format!("record {at}: {}", rejected.detail);
        rejected
    }
}

type Checked = (Vec<(VerifiedNar, Bytes)>, Option<(usize, ingest::Refused)>);

/// The records of a batch up to the first bad one, and what is wrong with that.
fn check_batch(
    body: &Bytes,
    limits: &Limits,
    (accounts, by): (&Accounts, &Account),
) -> Result<Checked, Rejected> {
    let records = Record::parse_all(body).map_err(malformed_batch)?;
    accounts.take(by, Measure::Nars, records.len() as u64)?;
    let mut verified = Vec::new();
    for (at, record) in records.iter().enumerate() {
        let declared = Declared {
            compression: Some(record.compression),
            nar_hash: Some(record.nar_hash),
            file_size: Some(record.file.len() as u64),
            ..Declared::default()
        };
        match ingest::check(record.file, &declared, limits) {
            Ok(nar) => verified.push((nar, body.slice_ref(record.file))),
            Err(refused) => return Ok((verified, Some((at, refused)))),
        }
    }
    Ok((verified, None))
}

fn malformed_batch(error: BatchError) -> Rejected {
    match error {
        BatchError::TooLong(_) | BatchError::TooMany => {
            Rejected::too_large("batch_too_large", error.to_string())
        }
        _ => Rejected::bad_request("batch_malformed", error.to_string()),
    }
}
