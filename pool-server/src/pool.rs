//! The pool: owns the parts, and is what handlers call.

mod absent;
mod answer;
mod backup;
mod damaged;
mod debug_info;
mod divergence;
mod evidence;
mod flat_file;
mod gc;
#[cfg(test)]
pub(crate) mod interleaved;
mod lease;
mod ledger;
mod mirror;
mod mirrors;
mod nar_batch;
mod narinfos;
mod pieces;
mod policies;
mod pull;
mod realisations;
mod receive;
mod report;
mod signed;
mod storage;
mod unwritten;
mod vouch;

use std::sync::{Arc, Mutex};

use schema::claim::Dialect;
use schema::signers::Signers;
use schema::store_path::StoreDir;
use schema::tlog::note::VerifierKey;
use tokio::sync::Semaphore;

use crate::assemble::view::{DefaultView, Panel, View};
use crate::auth::Tokens;
use crate::blobs::{self, Blobs, Room};
use crate::config::Config;
use crate::fair::Slots;
use crate::gc::Gc;
use crate::index::{Index, LogId};
use crate::ingest::Limits;
use crate::ledger::Ledger;
use crate::ledger::restored::Restored;
use crate::ledger::shown::Shown;
use crate::metrics::Metrics;
use crate::quota::Accounts;
use crate::rejected::Error;
use crate::roll::Roll;
use crate::scrub::Scrub;

use flat_file::FlatFiles;
use mirrors::Announced;
use policies::Policies;
use pull::Wishes;
use unwritten::Unwritten;

pub use absent::Absent;
pub use answer::{FoundListing, FoundNar};
pub use flat_file::FlatFile;
pub use narinfos::Line;
pub use pull::Step;
pub use signed::Merged;
pub use unwritten::Promise;

/// One pool and everything it holds.
pub struct Pool {
    /// How it is set up.
    pub config: Config,
    /// Who may upload and attest.
    pub tokens: Tokens,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// Who has had how much of what is limited.
    pub accounts: Accounts,
    index: Arc<Index>,
    blobs: Blobs,
    ledger: Ledger,
    default_view: DefaultView,
    policies: Policies,
    /// By the id of the token that holds each.
    uploads: Slots<Arc<str>>,
    evidence_turns: Arc<Semaphore>,
    followers: Arc<Semaphore>,
    flat_files: FlatFiles,
    announced: Announced,
    wishes: Wishes,
    backing_up: Mutex<()>,
    scrub: Scrub,
    gc: Arc<Gc>,
    unwritten: Unwritten,
}

impl Pool {
    /// Opens the pool in the configured directory, making it when there is none, and clears what
    /// a crash left behind.
    ///
    /// # Errors
    /// When another process has it open, or something in it cannot be read or written.
    pub async fn open(config: &Config) -> Result<Arc<Self>, Error> {
        Self::open_whole(config).await.map_err(|error| match error {
            Error::Index(_) | Error::Damaged(_) | Error::Halted(_) => Error::Setup {
                detail: error.to_string(),
                hint: "`pool-server fsck` tells what does not read; put that back from a backup"
                    .to_owned(),
            },
            error => error,
        })
    }

    async fn open_whole(config: &Config) -> Result<Arc<Self>, Error> {
        let config = config.clone();
        std::fs::create_dir_all(&config.data).map_err(Error::file("make", &config.data))?;
        Restored::read(&config.data)?;
        let index = Arc::new(Index::open(&config.data.join("index"))?);
        let places = ["index", "blobs"].map(|dir| config.data.join(dir));
        let room = Room::new(places.to_vec(), config.min_free_space);
        let blobs = Blobs::open(&config.data.join("blobs"))?.with_room(room);
        clear_unfinished(&index, &blobs).await?;
        let metrics = Arc::new(Metrics::install());
        let ledger = Ledger::open(&index, &config, &metrics)?;
        let mirrored = ledger.mirror().keys().into_iter().map(|(_, key)| key);
        let mut logs: Vec<VerifierKey> = mirrored.collect();
        logs.push(ledger.identity().log_key(LogId::Attestations)?);
        let served = [config.store_dir.clone(), StoreDir::guix()];
        let policies = Policies::open(&config.policies, &served, &logs)?;
        tokio::spawn(crate::metrics::run(Arc::downgrade(&metrics)));
        let default_view =
            DefaultView { k: config.view_k.get(), names: config.view_signers.clone() };
        let (scrub, suspects) = Scrub::new();
        let pool = Arc::new(Self {
            tokens: Tokens::open(&config.data)?,
            accounts: Accounts::open(&config, &metrics),
            metrics,
            index,
            blobs,
            ledger,
            default_view,
            policies,
            uploads: Slots::new(config.max_uploads.get(), config.upload_share),
            evidence_turns: Arc::new(Semaphore::new(evidence::AT_ONCE)),
            followers: Arc::new(Semaphore::new(ledger::FOLLOWERS)),
            flat_files: FlatFiles::new(),
            announced: Announced::new(&config.mirrors),
            wishes: Wishes::new(),
            backing_up: Mutex::default(),
            gc: Arc::default(),
            unwritten: Unwritten::default(),
            scrub,
            config,
        });
        tokio::spawn(gc::run(Arc::downgrade(&pool)));
        pool.scrub.start(&pool, suspects);
        Ok(pool)
    }

    /// Finishes what was ordered, and lets nothing be ordered any more.
    pub async fn close(&self) {
        self.gc.stop().await;
        self.scrub.stop().await;
        self.ledger.close().await;
        if let Err(error) = self.index.note_end() {
            tracing::warn!(%error, "the next start will not know whether the database is whole");
        }
    }

    /// Who may attest in every ledger, as it is now.
    #[must_use]
    pub fn roll(&self) -> Arc<Roll> {
        self.ledger.roll()
    }

    /// The table of signers of the pool's own ledger as it is now.
    #[must_use]
    pub fn signers(&self) -> Arc<Signers> {
        self.ledger.signers()
    }

    /// A log as its readers see it.
    #[must_use]
    pub fn shown(&self, log: LogId) -> &Shown {
        self.ledger.shown(log)
    }

    /// The store directory of views for clients of this kind.
    fn store_dir(&self, dialect: Dialect) -> StoreDir {
        match dialect {
            Dialect::Nix => self.config.store_dir.clone(),
            Dialect::Guix => StoreDir::guix(),
        }
    }

    /// Every store directory whose paths can be attested here, the configured one first.
    fn store_dirs(&self) -> [StoreDir; 2] {
        [Dialect::Nix, Dialect::Guix].map(|dialect| self.store_dir(dialect))
    }

    fn panel(&self, view: &View, roll: &Roll) -> Result<Panel, schema::api::Refused> {
        Panel::of(view, &self.default_view, roll)
    }

    fn limits(&self) -> Limits {
        Limits {
            nar_size: self.config.max_nar_size,
            file_size: self.config.max_upload_size,
            decoder_memory: self.config.max_decoder_memory,
            listing_size: usize::try_from(self.config.max_listing_size).unwrap_or(usize::MAX),
        }
    }
}

/// A file that was noted but that no record refers to was never acknowledged: it goes.
async fn clear_unfinished(index: &Index, blobs: &Blobs) -> Result<(), Error> {
    let mut batch = index.batch();
    for name in index.pending()? {
        let kept = match blobs::parse_nar_name(&name) {
            Some((nar_hash, compression)) => {
                index.blob(&nar_hash)?.is_some_and(|blob| blob.file.compression == compression)
            }
            None => false,
        };
        if !kept {
            blobs.remove_unfinished(&name).await?;
            tracing::info!(%name, "removed an upload that was never finished");
        }
        batch.clear_pending(&name)?;
    }
    batch.commit()
}
