//! Being a mirror: the pool keeps copies of the logs of other pools, entry for entry, and cosigns what
//! it has of them.
//!
//! Nothing is believed of whoever brings the copies: what is kept is proven to be in a tree that the
//! log has signed, and that tree to have grown from the one before. A log that is caught with two
//! histories is left as it was.
//!
//! Source: c2sp.org/tlog-mirror.

mod checkpoints;
mod entries;
mod held;
mod report;
mod source;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use schema::evidence::LogKeys;
use schema::hash::OriginHash;
use schema::key::PublicKey;
use schema::signers::Signers;
use schema::tlog::checkpoint::Origin;
use schema::tlog::cosignature::Cosigner;
use schema::tlog::edge::Edge;
use schema::tlog::note::{NoteName, VerifierKey};

use super::log::resume;
use super::replay;
use super::sequencer::{Sequencer, origin_taken};
use super::shown::Shown;
use crate::index::{Index, LedgerId, LedgerRecord, LogAt, LogId};
use crate::metrics::Metrics;
use crate::rejected::{Error, Failure, Rejected};
use crate::roll::Roll;
use held::HeldLog;

pub use checkpoints::Unmirrored;
pub use entries::{Checked, MirroredEntry, Upload, Uploaded};

/// The most ledgers of others that one pool mirrors.
const MAX_LEDGERS: usize = 64;

/// The mirror that a pool is.
pub struct Mirror {
    cosigner: Cosigner,
    /// What the origins of the pool's own logs begin with.
    own: String,
    index: Arc<Index>,
    metrics: Arc<Metrics>,
    ledgers: RwLock<BTreeMap<LedgerId, Arc<HeldLedger>>>,
    /// Of two requests for a new ledger, the second sees the first.
    registering: tokio::sync::Mutex<()>,
}

/// The ledger of another pool.
struct HeldLedger {
    record: LedgerRecord,
    logs: [Arc<HeldLog>; LogId::ALL.len()],
}

impl Mirror {
    pub(super) fn open(
        cosigner: Cosigner,
        own: &str,
        index: &Arc<Index>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Error> {
        let mirror = Self {
            cosigner,
            own: own.to_owned(),
            index: Arc::clone(index),
            metrics: Arc::clone(metrics),
            ledgers: RwLock::default(),
            registering: tokio::sync::Mutex::default(),
        };
        for (id, record) in index.mirrored_ledgers()? {
            mirror.hold(id, record)?;
        }
        Ok(mirror)
    }

    /// What every mirrored log holds, for the sequencer that will append to them.
    pub(super) fn edges(index: &Index) -> Result<std::collections::HashMap<LogAt, Edge>, Error> {
        let ledgers = index.mirrored_ledgers()?;
        let logs = ledgers
            .iter()
            .flat_map(|(ledger, _)| LogId::ALL.map(|log| LogAt { ledger: *ledger, log }));
        logs.map(|log| Ok((log, resume(log, index, index.log_size(log)?)?))).collect()
    }

    /// The roll with the signers of every mirrored ledger.
    pub(super) fn enrol(index: &Index, mut roll: Roll) -> Result<Roll, Error> {
        for (id, record) in index.mirrored_ledgers()? {
            let keys = LogAt { ledger: id, log: LogId::Keys };
            let name = format!("{}/{}", record.origin, LogId::Keys);
            let table = Signers::new(&name, record.public_key);
            let origin = Arc::from(record.origin);
            roll = roll.with_mirrored(id, &origin, replay(index, keys, table)?);
        }
        Ok(roll)
    }

    /// Begins to mirror the ledger of the pool with this origin and key, unless it is mirrored.
    /// Answers with whether that is new.
    ///
    /// # Errors
    /// The pool's own ledger; an origin that another key has here; too many ledgers.
    pub async fn register(
        &self,
        origin: &NoteName,
        public_key: PublicKey,
        sequencer: &Sequencer,
    ) -> Result<bool, Failure> {
        let _turn = self.registering.lock().await;
        let record = LedgerRecord { origin: origin.as_str().to_owned(), public_key };
        // That it can be held is known before it is written.
        keys_of(&record)?;
        if record.origin == self.own {
            let detail = format!("{origin} is this pool's own ledger");
            return Err(Rejected::conflict("own_ledger", detail).into());
        }
        let known = self.held().into_iter().find(|held| held.record.origin == record.origin);
        match known {
            Some(held) if held.record == record => return Ok(false),
            Some(held) => return Err(origin_taken(&record, &held.record.public_key).into()),
            None if self.held().len() >= MAX_LEDGERS => {
                let detail = format!("{MAX_LEDGERS} ledgers are mirrored here already");
                return Err(Rejected::conflict("too_many_ledgers", detail).into());
            }
            None => {}
        }
        let id = sequencer.mirror_ledger(record.clone()).await?;
        self.hold(id, record)?;
        Ok(true)
    }

    /// A mirrored log as its readers see it, if any of it is mirrored whole.
    #[must_use]
    pub fn shown(&self, origin: &OriginHash) -> Option<Shown> {
        self.log_by(|log| log.address == *origin)?.shown()
    }

    /// The edge of all that is here of a log.
    #[must_use]
    pub fn edge(&self, origin: &OriginHash) -> Option<Edge> {
        Some(self.log_by(|log| log.address == *origin)?.state().edge.clone())
    }

    /// How many attestations of a ledger are mirrored, and as of when that, and its keys log, were known
    /// to be whole, POSIX seconds.
    #[must_use]
    pub fn heard(&self, ledger: LedgerId) -> Option<(u64, u64)> {
        let find = |log| self.log_by(|held| held.at == LogAt { ledger, log });
        let (attestations, keys) = (find(LogId::Attestations)?, find(LogId::Keys)?);
        let whole_at = attestations.state().whole_at.min(keys.state().whole_at);
        Some((attestations.shown()?.published().size(), whole_at))
    }

    /// By which key the attestations of each mirrored ledger are known.
    #[must_use]
    pub fn keys(&self) -> Vec<(LedgerId, VerifierKey)> {
        let held = self.held();
        let logs = held.iter().flat_map(|held| &held.logs);
        let attestations = logs.filter(|log| log.at.log == LogId::Attestations);
        attestations.map(|log| (log.at.ledger, log.key.clone())).collect()
    }

    /// The key that verifies what this mirror cosigns.
    #[must_use]
    pub fn cosigner(&self) -> &Cosigner {
        &self.cosigner
    }

    fn hold(&self, id: LedgerId, record: LedgerRecord) -> Result<(), Error> {
        let held = HeldLedger::open(id, record, &self.index, &self.cosigner)?;
        held.logs.iter().for_each(|log| self.measure(log));
        let mut ledgers = self.ledgers.write().unwrap_or_else(PoisonError::into_inner);
        ledgers.insert(id, Arc::new(held));
        Ok(())
    }

    fn held(&self) -> Vec<Arc<HeldLedger>> {
        let ledgers = self.ledgers.read().unwrap_or_else(PoisonError::into_inner);
        ledgers.values().cloned().collect()
    }

    fn log_of(&self, origin: &Origin) -> Option<Arc<HeldLog>> {
        self.log_by(|log| origin.is_named(log.key.name()))
    }

    fn log_by(&self, is: impl Fn(&HeldLog) -> bool) -> Option<Arc<HeldLog>> {
        let ledgers = self.ledgers.read().unwrap_or_else(PoisonError::into_inner);
        ledgers.values().flat_map(|held| &held.logs).find(|log| is(log)).cloned()
    }

    fn measure(&self, log: &HeldLog) {
        let state = log.state();
        let mirrored = log.shown().map_or(0, |shown| shown.published().size());
        let lag = state.pending_size().saturating_sub(mirrored);
        self.metrics.mirrored(log.key.name().as_str(), mirrored, lag, state.fork.is_some());
    }
}

impl HeldLedger {
    fn open(
        id: LedgerId,
        record: LedgerRecord,
        index: &Arc<Index>,
        cosigner: &Cosigner,
    ) -> Result<Self, Error> {
        let keys = keys_of(&record).map_err(|rejected| Error::Damaged(rejected.detail))?;
        let open =
            |log, key| HeldLog::open(LogAt { ledger: id, log }, key, index, cosigner).map(Arc::new);
        let logs = [
            open(LogId::Keys, keys.keys().clone())?,
            open(LogId::Attestations, keys.attestations().clone())?,
            open(LogId::Index, keys.index().clone())?,
        ];
        Ok(Self { record, logs })
    }
}

/// The keys of a ledger's logs, which are all its pool's.
///
/// # Errors
/// A key that signs no logs, or names that are too long.
fn keys_of(record: &LedgerRecord) -> Result<LogKeys, Rejected> {
    LogKeys::new(&record.origin, record.public_key.clone()).map_err(|why| {
        Rejected::unprocessable("ledger_malformed", format!("{}: {why}", record.origin))
    })
}
