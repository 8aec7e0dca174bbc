//! `pool push`: sends what the pool lacks, and signs the closure.

mod batch;
mod frames;
mod hook;
pub(super) mod plan;
mod upload;
mod workers;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::Result;
use schema::hash::NarHash;
use schema::key::KeyName;
use schema::store_path::StorePath;
use serde::Serialize;

use self::plan::{Plan, preflight};
use self::upload::Upload;
use crate::cli::{Global, Push};
use crate::command::attest::sign;
use crate::compress::Method;
use crate::credentials::Access;
use crate::exit::Exit;
use crate::key_file;
use crate::output::{Output, bytes, plural};
use crate::remote::{Patience, Remote};
use crate::store::Store;

/// Pushes the paths, or acts as a hook.
pub(super) async fn run(push: Push, global: &Global, output: &Output) -> Result<Exit> {
    if push.post_build_hook {
        return Ok(hook::run(push, global, output).await);
    }
    let pusher = Pusher::new(&push, global, Patience::Some, output)?;
    let (store, tops) = pusher.find(&push.paths)?;
    let summary = pusher.push(store, &tops).await?;
    output.result(&summary, || summary.text(&pusher));
    hook::send_waiting(&pusher).await;
    Ok(Exit::Yes)
}

/// Pushes with one key, from one store, to one pool.
struct Pusher<'a> {
    remote: Remote<'a>,
    /// As it was named on the command line. It is read when it is needed: a key of Guix's has the name
    /// that the pool knows it by, and paths can be queued while the pool is away.
    key_file: PathBuf,
    location: crate::store::Location,
    method: Method,
    jobs: usize,
    output: &'a Output,
}

/// What came of a push.
#[derive(Debug, Serialize)]
struct Summary {
    signer: KeyName,
    paths: usize,
    nars_sent: usize,
    nars_known: usize,
    nar_bytes: u64,
    bytes_sent: u64,
    attestations_new: usize,
    attestations_known: usize,
    seconds: f64,
}

impl<'a> Pusher<'a> {
    fn new(push: &Push, global: &Global, patience: Patience, output: &'a Output) -> Result<Self> {
        Ok(Self {
            key_file: key_file::absolute(&push.source.key)?,
            remote: Remote::new(&Access::find(global)?, patience, output)?,
            location: push.source.store.clone(),
            method: push.compression,
            jobs: push.jobs.map_or_else(default_jobs, usize::from),
            output,
        })
    }

    /// The store, and the paths in it that are meant.
    fn find(&self, paths: &[PathBuf]) -> Result<(Arc<Store>, Vec<StorePath>)> {
        let store = Store::open(&self.location, paths)?;
        let tops = paths.iter().map(|path| store.resolve(path)).collect::<Result<Vec<_>>>()?;
        Ok((Arc::new(store), tops))
    }

    async fn push(&self, store: Arc<Store>, tops: &[StorePath]) -> Result<Summary> {
        let start = Instant::now();
        let sent_before = self.remote.bytes_sent();
        let key = key_file::secret_known_to(&self.remote, &self.key_file).await?;
        let plan = Plan::new(&store, tops)?;
        preflight(&self.remote, &key, &self.key_file, &store, &plan).await?;
        let hashes = plan.nar_hashes();
        let missing = self.remote.missing(&hashes).await?;
        self.announce(&plan, &hashes, &missing);
        let upload = Upload::new(&self.remote, store, self.method, self.output);
        upload?.send(plan.claims_of(&missing), self.jobs).await?;
        let attested = self.remote.attest(sign(&key, &plan.closure)).await?;
        Ok(Summary {
            signer: key.name().clone(),
            paths: plan.closure.len(),
            nars_sent: missing.len(),
            nars_known: hashes.len() - missing.len(),
            nar_bytes: plan.nar_bytes(),
            bytes_sent: self.remote.bytes_sent() - sent_before,
            attestations_new: attested.new,
            attestations_known: attested.known,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    fn announce(&self, plan: &Plan, hashes: &[NarHash], missing: &[NarHash]) {
        let size: u64 = plan.claims_of(missing).iter().map(|claim| claim.nar_size()).sum();
        self.output.note(&format!(
            "{} in the closure; the pool has {} of {}, {} ({}) to send",
            plural(plan.closure.len(), "path"),
            hashes.len() - missing.len(),
            plural(hashes.len(), "NAR"),
            missing.len(),
            bytes(size),
        ));
    }
}

impl Summary {
    fn text(&self, pusher: &Pusher<'_>) -> String {
        format!(
            "pushed {} to {} as {}\n\
             NARs          {} sent, {} already there; {} uncompressed in all\n\
             attestations  {} new, {} known\n\
             sent          {} ({} bytes) in request bodies, in {:.1} s\n",
            plural(self.paths, "path"),
            pusher.remote.server(),
            self.signer,
            self.nars_sent,
            self.nars_known,
            bytes(self.nar_bytes),
            self.attestations_new,
            self.attestations_known,
            bytes(self.bytes_sent),
            self.bytes_sent,
            self.seconds,
        )
    }
}

/// Enough that some are on their way while others are packed.
pub(super) fn default_jobs() -> usize {
    (2 * cores()).clamp(4, 32)
}

fn cores() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}
