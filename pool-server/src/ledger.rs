//! The ledger: every attestation the pool ever took, in one order, and the keys that may make them.
//!
//! All changes to what the pool remembers go through one [sequencer], so that each sees the one
//! before. What it appends to is two transparency logs, as C2SP's tlog-tiles has them: anybody can
//! verify that they only grow.

mod brought;
pub mod continuing;
mod head;
pub mod heads;
pub mod identity;
mod indexer;
pub mod inspection;
mod kept;
mod log;
pub mod mirror;
mod order;
pub mod rebuild;
pub mod restored;
pub mod sequencer;
pub mod shown;
mod step;
pub mod witness;
mod witnesses;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use schema::api::{KeyEventLogged, WitnessReport};
use schema::key::PublicKey;
use schema::key_event::{KeyEntry, KeyEvent};
use schema::signers::Signers;
use tokio::sync::watch;

use crate::config::Config;
use crate::index::{Index, LogAt, LogId};
use crate::metrics::Metrics;
use crate::rejected::{Error, Failure, Rejected};
use crate::roll::Roll;
use identity::Identity;
use indexer::{Covered, Indexer};
use kept::Kept as KeptCheckpoint;
use log::Log;
use mirror::Mirror;
use restored::Restored;
use sequencer::{Logs, Sequencer};
use shown::{Published, Shown};
use witness::Witness;
use witnesses::{After, Witnesses};

pub use order::{Kept, Vouched};

/// How many entries of the keys log are replayed at once.
const REPLAY: usize = 256;

/// The ledger of one pool.
pub struct Ledger {
    identity: Identity,
    restored: Option<Restored>,
    sequencer: Sequencer,
    indexer: Mutex<Option<Indexer>>,
    roll: Arc<RwLock<Arc<Roll>>>,
    keys: Shown,
    attestations: Shown,
    index: Shown,
    covered: watch::Receiver<Covered>,
    witness: Witness,
    mirror: Arc<Mirror>,
    witnesses: Option<Arc<Witnesses>>,
}

impl Ledger {
    /// Opens the ledger, signs what a crash left unsigned, and replays who may attest.
    ///
    /// # Errors
    /// A ledger that is not the one whose head was signed, or something that cannot be read.
    pub fn open(
        index: &Arc<Index>,
        config: &Config,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Error> {
        let identity = Identity::open(&config.data, config.origin.as_ref())?;
        let restored = Restored::read(&config.data)?;
        let logs = logs(&identity, index, config)?;
        let index_log =
            Log::open(LogId::Index, identity.log_signer(LogId::Index)?, index, &config.data)?;
        let witnesses = config.witness_policy.as_deref().map(|file| {
            Witnesses::open(file, config.witness_timeout, Arc::clone(metrics)).map(Arc::new)
        });
        let publisher = Publisher { index, witnesses: witnesses.transpose()?, data: &config.data };
        let keys = publisher.shown(&logs.keys, None)?;
        let after = After { signed: publisher.signed(&logs.keys), published: keys.clone() };
        let attestations = publisher.shown(&logs.attestations, Some(after))?;
        let shown_index = publisher.shown(&index_log, None)?;
        let roll = Arc::new(RwLock::new(Arc::new(roll(&identity, index)?)));
        let (covering, covered) = watch::channel(Covered::default());
        let indexer = Indexer::start(
            Arc::clone(index),
            (index_log, shown_index.clone()),
            attestations.clone(),
            covering,
            restored.is_none(),
        )?;
        let witness = identity.witness().clone();
        let mirror = Mirror::open(identity.mirror().clone(), identity.origin(), index, metrics)?;
        Ok(Self {
            sequencer: Sequencer::start(
                Arc::clone(index),
                logs,
                Arc::clone(&roll),
                Arc::clone(metrics),
                restored.as_ref().map(Restored::refusal),
            )?,
            restored,
            indexer: Mutex::new(Some(indexer)),
            roll,
            keys,
            attestations,
            index: shown_index,
            covered,
            witness: Witness::new(witness, config.witness_logs.clone(), Arc::clone(index)),
            mirror: Arc::new(mirror),
            witnesses: publisher.witnesses,
            identity,
        })
    }

    /// Finishes what was ordered, and lets nothing be ordered any more.
    pub async fn close(&self) {
        self.sequencer.stop().await;
        let indexer = self.indexer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(indexer) = indexer {
            indexer.ended().await;
        }
    }

    /// Who the pool is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// From what the pool was restored, until its operator has said how it continues.
    #[must_use]
    pub fn restored(&self) -> Option<&Restored> {
        self.restored.as_ref()
    }

    /// Where changes are ordered.
    #[must_use]
    pub fn sequencer(&self) -> &Sequencer {
        &self.sequencer
    }

    /// Who may attest in every ledger, as it is now.
    #[must_use]
    pub fn roll(&self) -> Arc<Roll> {
        Arc::clone(&self.roll.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The table of signers of the pool's own ledger as it is now.
    #[must_use]
    pub fn signers(&self) -> Arc<Signers> {
        Arc::clone(self.roll().own())
    }

    /// A log as its readers see it.
    #[must_use]
    pub fn shown(&self, log: LogId) -> &Shown {
        match log {
            LogId::Keys => &self.keys,
            LogId::Attestations => &self.attestations,
            LogId::Index => &self.index,
        }
    }

    /// Adds to the keys log that the operator makes this key a signer.
    ///
    /// # Errors
    /// A name or key that is taken, or a failing database.
    pub async fn enrol(&self, key: PublicKey) -> Result<KeyEventLogged, Failure> {
        let event = KeyEvent::Enrol { key };
        let signed = event.sign(&keys_origin(&self.identity), &[self.identity.key()]);
        let signed = signed.map_err(|error| Error::Damaged(error.to_string()))?;
        self.sequencer.key_event(signed).await
    }

    /// What cosigns the logs of others.
    #[must_use]
    pub fn witness(&self) -> &Witness {
        &self.witness
    }

    /// What keeps the logs of others.
    #[must_use]
    pub fn mirror(&self) -> &Arc<Mirror> {
        &self.mirror
    }

    /// How the witnesses stand that are asked for cosignatures.
    #[must_use]
    pub fn witness_reports(&self) -> Vec<WitnessReport> {
        self.witnesses.as_ref().map(|witnesses| witnesses.reports()).unwrap_or_default()
    }

    /// Waits until the map covers so many attestations. Returns early when the pool stops.
    pub async fn covers(&self, attestations: u64) {
        let mut covered = self.covered.clone();
        let _ = covered.wait_for(|covered| covered.size >= attestations).await;
    }

    /// The newest checkpoint of the attestations that the map was brought up to.
    #[must_use]
    pub fn covered(&self) -> Option<Arc<Published>> {
        self.covered.borrow().checkpoint.clone()
    }

    /// Whether an event of this kind may be handed in by anybody: it carries the word of whoever
    /// may say so. Who becomes a signer is the operator's to say, and has a route of its own.
    ///
    /// # Errors
    /// That it may not.
    pub fn check_open(event: &KeyEvent) -> Result<(), Rejected> {
        match event {
            KeyEvent::Enrol { .. } => Err(Rejected::forbidden(
                "enrolment_elsewhere",
                "a key is enrolled at /api/v1/signers",
            )
            .hint("pool signer enrol KEYFILE")),
            _ => Ok(()),
        }
    }
}

/// The logs that the sequencer writes.
fn logs(identity: &Identity, index: &Arc<Index>, config: &Config) -> Result<Logs, Error> {
    let open = |log| Log::open(log, identity.log_signer(log)?, index, &config.data);
    Ok(Logs {
        keys: open(LogId::Keys)?,
        attestations: open(LogId::Attestations)?,
        mirrored: Mirror::edges(index)?,
    })
}

/// Who may attest in every ledger, by what their keys logs say.
fn roll(identity: &Identity, index: &Index) -> Result<Roll, Error> {
    let own = Signers::new(&keys_origin(identity), identity.public_key());
    let names = index.mirrored_names()?.into_iter().collect();
    let roll = Roll::new(Arc::new(replay(index, LogId::Keys, own)?), names);
    Mirror::enrol(index, roll)
}

/// How what a log signs comes to its readers.
struct Publisher<'l> {
    index: &'l Arc<Index>,
    witnesses: Option<Arc<Witnesses>>,
    data: &'l Path,
}

impl Publisher<'_> {
    fn signed(&self, log: &Log) -> Shown {
        self.show(log, log.signed())
    }

    /// Without witnesses at once; with them, once enough have cosigned.
    fn shown(&self, log: &Log, after: Option<After>) -> Result<Shown, Error> {
        let Some(witnesses) = &self.witnesses else { return Ok(self.signed(log)) };
        let path = log::directory(self.data).join(format!("{}.published", log.id()));
        let kept = KeptCheckpoint::at(&path);
        let before = kept.read(log.id(), self.index, log.key())?;
        let before = before.map_or_else(|| log.empty(), Ok)?;
        let published = witnesses.follow(log.id(), self.signed(log), (before, kept), after);
        Ok(self.show(log, published))
    }

    fn show(&self, log: &Log, published: watch::Receiver<Arc<Published>>) -> Shown {
        Shown::new(log.id(), Arc::clone(self.index), published)
    }
}

fn keys_origin(identity: &Identity) -> String {
    format!("{}/{}", identity.origin(), LogId::Keys)
}

/// Who may attest in every ledger, by the keys logs.
fn replay(index: &Index, keys: impl Into<LogAt>, mut signers: Signers) -> Result<Signers, Error> {
    let keys = keys.into();
    loop {
        let entries = index.log_entries(keys, signers.events(), REPLAY)?;
        if entries.is_empty() {
            return Ok(signers);
        }
        for bytes in entries {
            let at = signers.events();
            let damaged = |why: String| Error::Damaged(format!("key event {at}: {why}"));
            let entry = KeyEntry::parse(&bytes).map_err(|error| damaged(error.to_string()))?;
            signers.apply(&entry).map_err(|error| damaged(error.to_string()))?;
            if signers.events() == at {
                return Err(damaged("the same event stands there before".to_owned()));
            }
        }
    }
}
