//! NARs on their way: many small ones in one request, large ones each by itself. Nothing of them is
//! kept here, and nothing is fetched that the mirror has.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Result;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use schema::api::{NarElsewhere, NarFound};
use schema::hash::NarHash;
use schema::nar_batch::{MAX_BATCH_LEN, MAX_RECORDS, Record};

use super::Carrier;
use crate::exit;
use crate::output::Progress;
use crate::remote::Trouble;
use crate::source::{Fault, Pace, Upstream};

/// Files up to this size, in bytes, are fetched together.
const SMALL: u64 = 512 << 10;

/// NARs that are remembered as given wrong.
const MAX_SPOILED: usize = 100_000;

/// What to fetch in one request.
enum Load {
    Together(Vec<NarFound>),
    Alone(NarFound),
}

/// What became of the NARs of a page.
#[derive(Default)]
pub(super) struct Fetched {
    pub(super) nars: AtomicUsize,
    pub(super) bytes: AtomicU64,
    /// Those that the source has and does not give: why.
    pub(super) faults: Mutex<Vec<(NarHash, String)>>,
}

impl Carrier {
    /// Brings those NARs that the mirror wants and a source has.
    pub(super) async fn carry_nars(&mut self, number: usize) -> Result<()> {
        let (mut after, mut absent) = (None, 0);
        loop {
            let page = self.target.wanted(after.as_ref()).await?;
            let Some(last) = page.nars.last() else { break };
            after = Some(last.nar_hash);
            let found = self.find(number, &page.nars).await?;
            absent += page.nars.len() - found.len();
            if !found.is_empty() {
                let fetched = self.fetch(number, found).await?;
                self.remember_faults(number, &fetched);
                let server = self.sources[number].access.server.clone();
                self.report.fetched(&server, fetched, self.output);
            }
            if !page.more {
                break;
            }
        }
        self.report.absent(number, absent);
        Ok(())
    }

    /// Which of these the source has. What it said of those that it has was kept, and is not asked again.
    async fn find(&self, number: usize, wanted: &[NarElsewhere]) -> Result<Vec<NarFound>> {
        let source = &self.sources[number];
        let is_told = |it: &&NarElsewhere| it.source == source.access.server && it.file.is_some();
        let (told, others): (Vec<_>, Vec<_>) = wanted.iter().partition(is_told);
        let mut found: Vec<NarFound> = told.into_iter().filter_map(|it| it.file.clone()).collect();
        if !others.is_empty() {
            let hashes: Vec<NarHash> = others.iter().map(|it| it.nar_hash).collect();
            found.extend(source.remote.find_nars(&hashes).await?);
        }
        found.retain(|nar| !self.spoiled.contains(&(number, nar.nar_hash)));
        Ok(found)
    }

    fn remember_faults(&mut self, number: usize, fetched: &Fetched) {
        let faults = fetched.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX_SPOILED.saturating_sub(self.spoiled.len());
        self.spoiled.extend(faults.iter().take(room).map(|(nar_hash, _)| (number, *nar_hash)));
    }

    async fn fetch(&mut self, number: usize, found: Vec<NarFound>) -> Result<Fetched> {
        let total = found.iter().fold(0, |total: u64, it| total.saturating_add(it.file_size));
        let upstream = self.upstream(number).await?;
        let fetched = Fetched::default();
        let progress = &self.output.progress(found.len(), total);
        let fetching =
            stream::iter(loads(found)).map(Ok).try_for_each_concurrent(self.jobs, async |load| {
                match load {
                    Load::Alone(nar) => self.alone(&upstream, &nar, &fetched, progress).await,
                    Load::Together(nars) => self.together(number, &nars, &fetched, progress).await,
                }
            });
        tokio::select! {
            done = fetching => done?,
            never = progress.tell() => match never {},
        }
        Ok(fetched)
    }

    async fn together(
        &self,
        number: usize,
        nars: &[NarFound],
        fetched: &Fetched,
        progress: &Progress<'_>,
    ) -> Result<()> {
        let mut rest: Vec<NarHash> = nars.iter().map(|nar| nar.nar_hash).collect();
        while !rest.is_empty() {
            let batch = self.sources[number].remote.fetch_nars(&rest).await?;
            let records = Record::parse_all(&batch).unwrap_or_default();
            let asked: HashSet<NarHash> = rest.iter().copied().collect();
            let came: HashSet<NarHash> = records.iter().map(|record| record.nar_hash).collect();
            if came.is_empty() || !came.is_subset(&asked) {
                let why = "it sends other NARs than it was asked for, or none";
                rest.iter().for_each(|hash| fetched.fault(*hash, why.to_owned()));
                return Ok(());
            }
            match self.target.put_batch(batch.clone()).await {
                Ok(stored) => {
                    let new = stored.stored.iter().filter(|stored| stored.new).count();
                    fetched.nars.fetch_add(new, Ordering::Relaxed);
                }
                Err(error) if !exit::lasts(&error) => return Err(error),
                // Those before the bad one are kept; those behind it come by themselves.
                Err(_) => self.one_by_one(&records, fetched).await?,
            }
            fetched.bytes.fetch_add(batch.len() as u64, Ordering::Relaxed);
            progress.advance(batch.len() as u64);
            progress.nars_done(came.len());
            rest.retain(|hash| !came.contains(hash));
        }
        Ok(())
    }

    async fn one_by_one(&self, records: &[Record<'_>], fetched: &Fetched) -> Result<()> {
        for record in records {
            let file = bytes::Bytes::copy_from_slice(record.file);
            match self.target.put_nar(record.nar_hash, record.compression, file).await {
                Ok(stored) => {
                    fetched.nars.fetch_add(usize::from(stored.new), Ordering::Relaxed);
                }
                Err(error) if exit::lasts(&error) => {
                    fetched.fault(record.nar_hash, format!("{error:#}"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn alone(
        &self,
        upstream: &Arc<Upstream>,
        nar: &NarFound,
        fetched: &Fetched,
        progress: &Progress<'_>,
    ) -> Result<()> {
        let attempt = async || self.attempt(upstream, nar, progress).await;
        match self.target.patiently(attempt).await {
            Ok(new) => {
                fetched.nars.fetch_add(usize::from(new), Ordering::Relaxed);
                fetched.bytes.fetch_add(nar.file_size, Ordering::Relaxed);
            }
            Err(error) if exit::lasts(&error) || error.downcast_ref::<Fault>().is_some() => {
                fetched.fault(nar.nar_hash, format!("{error:#}"));
            }
            Err(error) => return Err(error),
        }
        progress.nars_done(1);
        Ok(())
    }

    /// One that breaks off goes on where it broke off; see [`crate::source::Download`].
    async fn attempt(
        &self,
        upstream: &Arc<Upstream>,
        nar: &NarFound,
        progress: &Progress<'_>,
    ) -> Result<bool, Trouble> {
        let lost = |fault: Fault| {
            let passes = fault.passes();
            let error = anyhow::Error::new(fault);
            if passes { Trouble::Passing { error, wait: None } } else { Trouble::Lasting(error) }
        };
        let download = upstream.download_file(nar).await.map_err(lost)?;
        let broken = Arc::new(OnceLock::new());
        let note = Arc::clone(&broken);
        let counter = progress.counter();
        let counted = Arc::clone(&counter);
        let pieces = download
            .pieces(move |fault| drop(note.set(fault)))
            .inspect_ok(move |piece| counted.advance(piece.len() as u64));
        let sent = self.target.stream_nar(nar.nar_hash, nar.compression, pieces).await;
        if sent.is_err() {
            counter.take_back();
        }
        match broken.get() {
            Some(fault) => Err(lost(fault.clone())),
            None => sent.map(|stored| stored.new),
        }
    }

    async fn upstream(&mut self, number: usize) -> Result<Arc<Upstream>> {
        let source = &mut self.sources[number];
        if let Some(upstream) = &source.upstream {
            return Ok(Arc::clone(upstream));
        }
        let upstream = Upstream::of_pool(&source.access, Pace::default(), self.output)?;
        source.upstream = Some(Arc::clone(&upstream));
        Ok(upstream)
    }
}

impl Fetched {
    fn fault(&self, nar_hash: NarHash, why: String) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push((nar_hash, why));
    }
}

/// Large ones first, so that the last to end is a small one.
fn loads(mut found: Vec<NarFound>) -> Vec<Load> {
    found.sort_by_key(|nar| std::cmp::Reverse(nar.file_size));
    let (large, small): (Vec<_>, Vec<_>) = found.into_iter().partition(|it| it.file_size > SMALL);
    let mut loads: Vec<Load> = large.into_iter().map(Load::Alone).collect();
    let (mut together, mut len) = (Vec::new(), 0);
    for nar in small {
        let file = usize::try_from(nar.file_size).unwrap_or(usize::MAX);
        let encoded = Record::encoded_len(file);
        if len + encoded > MAX_BATCH_LEN || together.len() == MAX_RECORDS {
            loads.push(Load::Together(std::mem::take(&mut together)));
            len = 0;
        }
        len += encoded;
        together.push(nar);
    }
    if !together.is_empty() {
        loads.push(Load::Together(together));
    }
    loads
}
