//! NARs on their way in.

mod batch;
mod inbox;

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use schema::api::NarStored;
use schema::compression::Compression;
use schema::hash::NarHash;
use tokio::sync::mpsc;

use super::pull::Audience;
use super::{FoundNar, Pool};
use crate::blobs::Staged;
use crate::clock;
use crate::config::Measure;
use crate::fair::Slot;
use crate::index::{BlobRecord, FileRecord};
use crate::ingest::{self, BrokeOff, Declared, VerifiedNar};
use crate::ledger::Kept;
use crate::metrics::UploadInFlight;
use crate::patience::{Patience, linger};
use crate::place::{Place, at};
use crate::quota::Account;
use crate::rejected::{Error, Failure, Rejected};
use inbox::{Inbox, Piece};

/// Pieces of a body that may wait for the checking thread.
const PIECES: usize = 8;

impl Pool {
    /// Takes one NAR from a body of any length. Nothing is kept unless all of it holds.
    ///
    /// # Errors
    /// Too many NARs by this token, which check failed and where, a body that stalls, or a full or
    /// failing disk.
    pub async fn receive(
        self: &Arc<Self>,
        mut body: impl Stream<Item = Result<Bytes, impl Display>> + Unpin,
        declared: Declared,
        by: &Account,
    ) -> Result<NarStored, Failure> {
        if let Err(over) = self.accounts.take(by, Measure::Nars, 1) {
            linger(body).await;
            return Err(over.into());
        }
        let _slot = self.slot(by).await?;
        if let Some(nar_hash) = &declared.nar_hash
            && let Err(deleted) = self.check_not_deleted(nar_hash)
        {
            linger(body).await;
            return Err(deleted);
        }
        if let Err(error) = self.takes_nars() {
            linger(body).await;
            return Err(error.into());
        }
        let staged = match declared.nar_hash {
            Some(nar_hash) if self.stays(&nar_hash).await? => None,
            _ => Some(self.blobs.stage()?),
        };
        at(Place::LookedFor).await;
        let mut audience = match (declared.nar_hash, declared.compression) {
            (Some(nar_hash), Some(packed)) => self.wishes.audience(nar_hash, packed),
            _ => Audience::default(),
        };
        if staged.is_none() {
            audience.known();
        }
        let (pieces, inbox) = mpsc::channel(PIECES);
        let limits = self.limits();
        let checking = tokio::task::spawn_blocking(move || {
            ingest::check(Inbox::new(inbox), &declared, &limits)
        });
        let (staged, fed) = self.feed(&mut body, (staged, &mut audience), pieces).await;
        let checked =
            checking.await.map_err(|error| Error::Blobs(format!("checking stopped: {error}")))?;
        match (fed, checked) {
            (Ok(()), Ok(verified)) => {
                let stored = self.keep(verified, staged).await?;
                audience.whole().await;
                Ok(stored)
            }
            (fed, checked) => {
                discard(staged).await;
                if let Err(Failure::Error(_)) = fed {
                    linger(body).await;
                }
                fed?;
                Err(self.refuse(checked.err()))
            }
        }
    }

    /// As [`nar`](Self::nar), for somebody who has the NAR and brings it if they are told that it is not
    /// here. If it is, it stays until they have had the time to say what they know of it.
    ///
    /// # Errors
    /// As [`nar`](Self::nar); also a NAR that is about to go.
    pub async fn nar_that_stays(
        &self,
        digits: &str,
        compression: Compression,
    ) -> Result<FoundNar, Failure> {
        let found = self.nar(digits, compression).await?;
        if !self.stays(&found.nar_hash).await? {
            let detail = format!("the NAR {digits} is about to go, unless it is brought again");
            return Err(Rejected::not_found("no_nar", detail).into());
        }
        Ok(found)
    }

    /// Whether a NAR is here, and is promised to whoever is about to bring it again: its bytes need not
    /// be kept.
    async fn stays(&self, nar_hash: &NarHash) -> Result<bool, Error> {
        let files = self.lease_nars(&[*nar_hash], self.config.upload_grace).await?;
        Ok(files.iter().all(Option::is_some))
    }

    pub(super) fn kept(&self, verified: VerifiedNar) -> Kept {
        let file = FileRecord {
            compression: verified.compression(),
            file_hash: verified.file_hash(),
            file_size: verified.file_size(),
        };
        let (nar_hash, nar_size) = (verified.nar_hash(), verified.nar_size());
        let (candidates, listing) = verified.into_findings();
        let stored_at = clock::now();
        Kept {
            nar_hash,
            record: BlobRecord { nar_size, file, stored_at, candidates },
            listing,
            leased_until: clock::latest().saturating_add(self.config.upload_grace.as_secs()),
        }
    }

    fn stored(&self, nar_hash: NarHash, nar_size: u64, file: FileRecord, new: bool) -> NarStored {
        self.metrics.nar_kept(new);
        if new {
            self.gc.arrived(file.file_size, &self.config);
        }
        NarStored {
            nar_hash,
            nar_size,
            compression: file.compression,
            file_hash: file.file_hash,
            file_size: file.file_size,
            new,
        }
    }

    /// Waits for its turn. Asking a stock client to come again would not do: Nix 2.8 then sends
    /// its header once more, but not its body.
    pub(super) async fn slot(
        &self,
        by: &Account,
    ) -> Result<(Slot<Arc<str>>, UploadInFlight), Error> {
        let slot = self.uploads.take(&by.id).await;
        let slot = slot.ok_or_else(|| Error::Blobs("no more uploads are taken".to_owned()))?;
        Ok((slot, self.metrics.upload_started()))
    }

    /// Passes the body on to the checking thread and, unless its NAR is known, to the disk.
    async fn feed(
        &self,
        mut body: impl Stream<Item = Result<Bytes, impl Display>> + Unpin,
        (mut staged, audience): (Option<Staged>, &mut Audience),
        pieces: mpsc::Sender<Piece>,
    ) -> (Option<Staged>, Result<(), Failure>) {
        let (mut received, mut patience) = (0, Patience::new(&self.config));
        loop {
            let piece = match patience.wait(body.next()).await {
                Some(Some(Ok(bytes))) => bytes,
                Some(None) => return (staged, Ok(())),
                Some(Some(Err(_))) => {
                    // The checking thread tells what it makes of it.
                    let _ = pieces.send(Err(BrokeOff { received })).await;
                    return (staged, Ok(()));
                }
                None => {
                    let _ = pieces.send(Err(BrokeOff { received })).await;
                    return (staged, Err(stalled(received, patience).into()));
                }
            };
            received += piece.len() as u64;
            patience.moved(piece.len());
            self.metrics.nar_bytes_in.increment(piece.len() as u64);
            if let Some(staged) = &mut staged
                && let Err(error) = staged.write(piece.clone()).await
            {
                let _ = pieces.send(Err(BrokeOff { received })).await;
                return (None, Err(error.into()));
            }
            audience.tell(&piece).await;
            if pieces.send(Ok(piece)).await.is_err() {
                linger(body).await;
                return (staged, Ok(()));
            }
        }
    }

    /// Durable first, indexed second. It runs to its end even when whoever asked has gone.
    async fn keep(
        self: &Arc<Self>,
        verified: VerifiedNar,
        staged: Option<Staged>,
    ) -> Result<NarStored, Failure> {
        let pool = Arc::clone(self);
        let keeping = tokio::spawn(async move { pool.keep_to_the_end(verified, staged).await });
        keeping.await.map_err(|error| Error::Blobs(format!("keeping stopped: {error}")))?
    }

    async fn keep_to_the_end(
        &self,
        verified: VerifiedNar,
        staged: Option<Staged>,
    ) -> Result<NarStored, Failure> {
        let (nar_hash, nar_size) = (verified.nar_hash(), verified.nar_size());
        let kept = self.kept(verified);
        let _turn = self.blobs.turn(&[nar_hash]).await;
        at(Place::Turn).await;
        if let Err(deleted) = self.check_not_deleted(&nar_hash) {
            discard(staged).await;
            return Err(deleted);
        }
        let known = self.index.blob(&nar_hash)?;
        match (staged, &known) {
            (Some(staged), None) => {
                self.index.note_pending(&kept.name())?;
                staged.place(&kept.name()).await?;
            }
            (None, None) => return Err(vanished(&nar_hash).into()),
            (staged, Some(_)) => discard(staged).await,
        }
        let new = known.is_none();
        at(Place::Placed).await;
        let file = self.ledger.sequencer().keep(vec![kept]).await?.remove(0);
        self.wishes.stored(&nar_hash);
        Ok(self.stored(nar_hash, nar_size, file, new))
    }

    fn refuse(&self, refused: Option<ingest::Refused>) -> Failure {
        match refused {
            Some(refused) => {
                self.metrics.nar_refused(refused.code());
                Rejected::from(refused).into()
            }
            None => Error::Blobs("an upload ended without a verdict".to_owned()).into(),
        }
    }
}

async fn discard(staged: Option<Staged>) {
    if let Some(staged) = staged
        && let Err(error) = staged.discard().await
    {
        tracing::warn!(%error, "an unfinished upload stays until the next start");
    }
}

fn stalled(received: u64, patience: Patience) -> Rejected {
    let detail = format!("{patience}, after {received} bytes");
    Rejected::too_slow("upload_stalled", detail).hint("send it again")
}

/// The bytes were not kept because the pool had the NAR, and now it has not.
fn vanished(nar_hash: &NarHash) -> Rejected {
    Rejected::conflict("nar_removed", format!("the NAR {nar_hash} was removed while it was sent"))
        .hint("send it again")
}
