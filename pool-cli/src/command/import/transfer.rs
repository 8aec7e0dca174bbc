//! NARs on their way from the source to the pool. They are passed on as they come, and nothing of them
//! is kept here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Result;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use schema::hash::NarHash;

use super::Outcome;
use crate::exit;
use crate::output::{Output, Progress};
use crate::remote::{Remote, Trouble};
use crate::source::{Fault, Told, Upstream, Wanted};

/// From where, and whereto.
pub(super) struct Transfer<'a> {
    pub(super) upstream: &'a Arc<Upstream>,
    pub(super) remote: &'a Remote<'a>,
    pub(super) jobs: usize,
    pub(super) output: &'a Output,
}

impl Transfer<'_> {
    /// Sends the NARs of these paths, some at a time. Returns those that are not there afterwards: one
    /// that the source does not give, or that the pool refuses, is no reason to stop. An error is one of
    /// the pool's, by which all others would fail, too.
    pub(super) async fn send(&self, nars: &[&Told]) -> Result<HashMap<NarHash, Outcome>> {
        let failed = Mutex::new(HashMap::new());
        if nars.is_empty() {
            return Ok(HashMap::new());
        }
        let total = nars.iter().fold(0, |total: u64, nar| total.saturating_add(size(nar)));
        let progress = &self.output.progress(nars.len(), total);
        let sending = stream::iter(nars).map(Ok).try_for_each_concurrent(self.jobs, async |told| {
            if let Some(outcome) = self.send_one(told, progress).await? {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.insert(told.claim.nar_hash(), outcome);
            }
            progress.nars_done(1);
            anyhow::Ok(())
        });
        tokio::select! {
            sent = sending => sent?,
            never = progress.tell() => match never {},
        }
        Ok(failed.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    async fn send_one(&self, told: &Told, progress: &Progress<'_>) -> Result<Option<Outcome>> {
        let sent = self.remote.patiently(async || self.attempt(told, progress).await).await;
        let Err(error) = sent else { return Ok(None) };
        let why = format!("{error:#}");
        match error.downcast_ref() {
            Some(Fault::Baking) => Ok(Some(Outcome::Baking)),
            Some(Fault::Unreadable(_)) => Ok(Some(Outcome::Refused(why))),
            Some(_) => Ok(Some(Outcome::Undelivered(why))),
            None if exit::lasts(&error) => Ok(Some(Outcome::Refused(why))),
            None => Err(error),
        }
    }

    async fn attempt(&self, told: &Told, progress: &Progress<'_>) -> Result<(), Trouble> {
        let download =
            self.upstream.download(told).await.map_err(|fault| self.blame(told, fault))?;
        let has_size = download.has_size();
        let broken = Arc::new(OnceLock::new());
        let note = Arc::clone(&broken);
        let counter = progress.counter();
        let counted = Arc::clone(&counter);
        let pieces = download
            .pieces(move |fault| drop(note.set(fault)))
            .inspect_ok(move |piece| counted.advance(piece.len() as u64));
        let (hash, compression) = (told.claim.nar_hash(), told.delivery.compression);
        let sent = self.remote.stream_nar(hash, compression, pieces).await;
        if sent.is_err() {
            counter.take_back();
        }
        // The pool's words, if it has any, are only that the upload broke off.
        match broken.get() {
            Some(fault) => Err(self.blame(told, fault.clone())),
            None => sent.map(|_| ()).map_err(|trouble| match trouble {
                // That is how it looks, too, when a connection ends in the midst of it.
                Trouble::Lasting(error) if !has_size && exit::lasts(&error) => {
                    self.blame(told, Fault::Truncated).about(format!("{error:#}"))
                }
                trouble => trouble.about(format!("sending the NAR of {}", told.claim.path())),
            }),
        }
    }

    /// One that stalls is given up; from one that breaks off, all of it may come the next time.
    fn blame(&self, told: &Told, fault: Fault) -> Trouble {
        let passes = matches!(fault, Fault::Truncated | Fault::Unavailable(_));
        let about = format!("the NAR of {} from {}", told.claim.path(), self.upstream.address());
        let error = anyhow::Error::new(fault).context(about);
        if passes { Trouble::Passing { error, wait: None } } else { Trouble::Lasting(error) }
    }
}

/// What there is to send, as far as it can be known.
fn size(told: &Told) -> u64 {
    let longest = Wanted::of(&told.claim).longest_file();
    told.file_size().unwrap_or_else(|| told.claim.nar_size()).min(longest)
}
