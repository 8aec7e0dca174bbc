//! Sends NARs, several at a time, and none that is not what the store says.

use std::sync::Arc;

use anyhow::{Context, Result};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use schema::claim::Claim;
use tokio::runtime::Handle;

use super::batch::{Unit, pack, pack_all, units};
use super::cores;
use super::frames::{Dumped, Frames, body, dump};
use super::workers::Workers;
use crate::compress::Method;
use crate::output::{Output, Progress, plural};
use crate::remote::{Remote, Trouble};
use crate::store::Store;

/// An upload to come.
pub(super) struct Upload<'a> {
    remote: &'a Remote<'a>,
    store: Arc<Store>,
    method: Method,
    output: &'a Output,
    workers: Workers,
    frames: Arc<Frames>,
}

impl<'a> Upload<'a> {
    /// Starts the threads.
    pub(super) fn new(
        remote: &'a Remote<'a>,
        store: Arc<Store>,
        method: Method,
        output: &'a Output,
    ) -> Result<Self> {
        let workers = Workers::start(cores(), method)?;
        // One for each core to pack, one being filled and one being sent.
        let frames = Frames::new(workers.clone(), cores() + 2);
        Ok(Self { remote, store, method, output, workers, frames })
    }

    /// Sends the NARs of `claims`, `jobs` uploads at a time. Stops at the first that fails.
    pub(super) async fn send(&self, claims: Vec<Claim>, jobs: usize) -> Result<()> {
        if claims.is_empty() {
            return Ok(());
        }
        let size = claims.iter().map(Claim::nar_size).sum();
        let progress = &self.output.progress(claims.len(), size);
        let sending = stream::iter(units(claims))
            .map(Ok)
            .try_for_each_concurrent(jobs, |unit| self.send_unit(unit, progress));
        tokio::select! {
            sent = sending => sent,
            never = progress.tell() => match never {},
        }
    }

    async fn send_unit(&self, unit: Unit, progress: &Progress<'_>) -> Result<()> {
        let sent = match unit {
            Unit::Stream(claim) => {
                self.remote.patiently(async || self.stream_once(&claim, progress).await).await?;
                1
            }
            Unit::Whole(claim) => {
                self.whole(&claim).await?;
                progress.advance(claim.nar_size());
                1
            }
            Unit::Batch(claims) => {
                let count = claims.len();
                let size = claims.iter().map(Claim::nar_size).sum();
                self.batch(claims).await?;
                progress.advance(size);
                count
            }
        };
        progress.nars_done(sent);
        Ok(())
    }

    async fn whole(&self, claim: &Claim) -> Result<()> {
        let (store, its) = (Arc::clone(&self.store), claim.clone());
        let packed = self.workers.submit(move |worker| pack(worker, &store, &its)).done().await?;
        let sent = self.remote.put_nar(claim.nar_hash(), self.method.compression(), packed).await;
        sent.map(|_| ()).with_context(|| sending(claim))
    }

    async fn batch(&self, claims: Vec<Claim>) -> Result<()> {
        let (store, compression) = (Arc::clone(&self.store), self.method.compression());
        let about = format!("sending {}", plural(claims.len(), "small NAR"));
        let packed = self
            .workers
            .submit(move |worker| pack_all(worker, &store, &claims, compression))
            .done()
            .await?;
        self.remote.put_batch(packed).await.map(|_| ()).context(about)
    }

    async fn stream_once(&self, claim: &Claim, progress: &Progress<'_>) -> Result<(), Trouble> {
        let (pieces, received) = self.frames.channel();
        let dumping = {
            let (store, claim) = (Arc::clone(&self.store), claim.clone());
            let (frames, runtime) = (Arc::clone(&self.frames), Handle::current());
            tokio::task::spawn_blocking(move || dump(&store, &claim, frames, pieces, &runtime))
        };
        let counter = progress.counter();
        let body = body(received, Arc::clone(&counter));
        let compression = self.method.compression();
        let sent = self.remote.stream_nar(claim.nar_hash(), compression, body).await;
        let dumped = dumping.await.context("dumping")?;
        if let Dumped::Failed(error) = dumped {
            return Err(Trouble::Lasting(error));
        }
        if sent.is_err() {
            counter.take_back();
        }
        sent.map(|_| ()).map_err(|trouble| trouble.about(sending(claim)))
    }
}

fn sending(claim: &Claim) -> String {
    format!("sending {}", claim.path())
}
