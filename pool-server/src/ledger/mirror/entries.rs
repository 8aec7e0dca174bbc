//! Entries that are brought: each package is proven to be in the tree that it is said to be of, and
//! what its entries say is verified, before any of it is kept.

use std::sync::Arc;

use schema::attestation::Entry;
use schema::claim::Claim;
use schema::signers::Signers;
use schema::statement::Statement;
use schema::tlog::checkpoint::SignedCheckpoint;
use schema::tlog::edge::Edge;
use schema::tlog::merkle::leaf_hash;
use schema::tlog::mirror::{AddEntries, MirrorInfo, Package, PackageRange};
use schema::tlog::witness::print_cosignatures;
use schema::verifiable_map::IndexLeaf;

use super::checkpoints::refuse_forked;
use super::held::{HeldLog, cosign};
use super::{Mirror, Unmirrored};
use crate::clock;
use crate::index::{LogAt, LogId};
use crate::ledger::sequencer::Sequencer;
use crate::rejected::{Error, Failure, Rejected};
use crate::roll::Roll;

/// An entry of a log of another's, on its way.
#[derive(Debug)]
pub struct MirroredEntry {
    pub(in crate::ledger) bytes: Vec<u8>,
    /// That it is what its claim and its signer say was verified. If not, its claim was not here.
    pub(in crate::ledger) verified: bool,
}

/// What became of an upload.
#[derive(Debug)]
pub enum Uploaded {
    /// The log is here up to the checkpoint: lines of cosignatures.
    Whole(String),
    /// More entries are to come.
    Part(MirrorInfo),
}

/// Entries that were proven to be the log's.
pub struct Checked {
    start: u64,
    entries: Vec<MirroredEntry>,
}

/// Entries that are being brought, up to one checkpoint.
pub struct Upload {
    log: Arc<HeldLog>,
    checkpoint: SignedCheckpoint,
}

impl Mirror {
    /// Begins to take entries.
    ///
    /// # Errors
    /// A log that is not mirrored, a size that is none of a checkpoint, or entries that do not come
    /// next.
    pub fn begin(&self, head: &AddEntries) -> Result<Upload, Unmirrored> {
        let origin = head.origin();
        let log = self
            .log_of(origin)
            .ok_or_else(|| Unmirrored::UnknownLog(format!("{origin} is not mirrored here")))?;
        let state = log.state().clone();
        refuse_forked(&log, &state)?;
        let mirrored = log.shown().map_or(0, |shown| shown.published().size());
        let known = state.pending.iter().find(|it| it.size() == head.upload_end());
        let checkpoint = known.filter(|it| it.size() >= mirrored).cloned();
        match checkpoint {
            Some(checkpoint) if head.upload_start() <= state.edge.size() => {
                Ok(Upload { log, checkpoint })
            }
            other => Err(Unmirrored::Behind(info(&log, other.as_ref()))),
        }
    }

    /// Checks one package, on a thread of its own.
    ///
    /// # Errors
    /// Entries that are not of the tree, or that nobody signed so.
    pub async fn check(
        self: &Arc<Self>,
        upload: &Upload,
        range: PackageRange,
        package: Package,
        roll: Arc<Roll>,
    ) -> Result<Checked, Unmirrored> {
        let (mirror, log) = (Arc::clone(self), Arc::clone(&upload.log));
        let checkpoint = upload.checkpoint.clone();
        let checking = tokio::task::spawn_blocking(move || {
            mirror.check_proof(&log, &range, &package, &checkpoint)?;
            mirror.check_entries(log.at, range.start(), package, &roll)
        });
        let entries = checking
            .await
            .map_err(|error| Error::Index(format!("verifying entries stopped: {error}")))??;
        Ok(Checked { start: range.start(), entries })
    }

    /// Keeps one package, which is durable when this returns.
    ///
    /// # Errors
    /// Entries that are not in order.
    pub async fn keep(
        &self,
        upload: &Upload,
        checked: Checked,
        sequencer: &Sequencer,
    ) -> Result<(), Unmirrored> {
        let kept = sequencer.mirror(upload.log.at, checked.start, checked.entries).await;
        let edge = kept.map_err(|failure| match failure {
            Failure::Rejected(rejected) => Unmirrored::Rejected(rejected),
            Failure::Error(error) => Unmirrored::Failed(error),
        })?;
        let mut state = upload.log.state();
        if edge.size() > state.edge.size() {
            state.edge = edge;
        }
        Ok(())
    }

    /// Cosigns the checkpoint, if everything up to it is here, and shows it.
    ///
    /// # Errors
    /// A newer checkpoint that is shown by now, and a failing database.
    pub fn finish(&self, upload: &Upload) -> Result<Uploaded, Unmirrored> {
        let log = &upload.log;
        let _turn = log.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        refuse_forked(log, &log.state().clone())?;
        let size = upload.checkpoint.size();
        if log.state().edge.size() < size {
            return Ok(Uploaded::Part(info(log, Some(&upload.checkpoint))));
        }
        let before = log.shown().map_or(0, |shown| shown.published().size());
        if before > size {
            return Err(Unmirrored::Behind(info(log, None)));
        }
        let mut checkpoint = upload.checkpoint.clone();
        // Nothing is cosigned before all of it is durable, which `keep` has seen to, and the same.
        let edge = log.whole(&checkpoint)?;
        let (time, line) = cosign(&mut checkpoint, &self.cosigner)
            .map_err(|error| Rejected::unprocessable("not_cosigned", error.to_string()))
            .map_err(Unmirrored::Rejected)?;
        let mut batch = self.index.batch();
        batch.put_mirror_checkpoint(log.at, checkpoint.note().to_string().as_bytes())?;
        batch.commit()?;
        log.publish(checkpoint, edge);
        let mut state = log.state();
        if state.pending_size() == size {
            state.whole_at = time;
        }
        drop(state);
        self.measure(log);
        if size > before {
            self.observe_delay(log.at, size)?;
        }
        Ok(Uploaded::Whole(print_cosignatures(&[line])))
    }

    fn check_proof(
        &self,
        log: &HeldLog,
        range: &PackageRange,
        package: &Package,
        checkpoint: &SignedCheckpoint,
    ) -> Result<(), Unmirrored> {
        let (first, start) = (range.subtree().start(), range.start());
        let before = usize::try_from(start - first).unwrap_or(usize::MAX);
        let before = self.index.log_entries(log.at, first, before)?;
        let mut subtree = Edge::new();
        for entry in before.iter().chain(&package.entries) {
            subtree.push(leaf_hash(entry));
        }
        let root = subtree.root();
        let held =
            package.proof.verify(range.subtree(), checkpoint.size(), &root, checkpoint.root());
        held.map_err(|error| {
            let end = range.subtree().end();
            let why = format!("the entries [{start}, {end}) are not those of the tree: {error}");
            Unmirrored::Inconsistent(why)
        })
    }

    fn check_entries(
        &self,
        log: LogAt,
        start: u64,
        package: Package,
        roll: &Roll,
    ) -> Result<Vec<MirroredEntry>, Unmirrored> {
        let signers = roll.of(log.ledger);
        let check = |(index, bytes): (u64, Vec<u8>)| {
            let verified = match (log.log, signers) {
                (LogId::Attestations, Some(signers)) => self.verify(index, &bytes, signers)?,
                (LogId::Index, _) => self.check_leaf(log, index, &bytes)?,
                _ => false,
            };
            Ok(MirroredEntry { bytes, verified })
        };
        (start..).zip(package.entries).map(check).collect()
    }

    /// Whether an entry is its signer's word, as far as its claim is here.
    fn verify(&self, index: u64, bytes: &[u8], signers: &Signers) -> Result<bool, Unmirrored> {
        let refused = |why: String| {
            let detail = format!("entry {index} of the log attestations: {why}");
            Unmirrored::Rejected(Rejected::unprocessable("entry_refused", detail))
        };
        let entry = Entry::parse(bytes).map_err(|why| refused(why.to_string()))?;
        let signer = signers.by_id(&entry.key_id);
        let signer = signer.ok_or_else(|| refused("the keys log knows no such key".to_owned()))?;
        let Some(text) = self.index.claim(&entry.claim)? else { return Ok(false) };
        let claim = Claim::parse(&text)
            .map_err(|why| Error::Damaged(format!("the claim {}: {why}", entry.claim)))?;
        Statement::verified(index, &entry, Arc::new(claim), &signer.key)
            .map_err(|why| refused(why.to_string()))?;
        Ok(true)
    }

    /// A leaf of the index log is about the attestations that are here.
    fn check_leaf(&self, log: LogAt, index: u64, bytes: &[u8]) -> Result<bool, Unmirrored> {
        let refused = |why: String| {
            let detail = format!("entry {index} of the log index: {why}");
            Unmirrored::Rejected(Rejected::unprocessable("entry_refused", detail))
        };
        let leaf = IndexLeaf::parse(bytes).map_err(|why| refused(why.to_string()))?;
        let attestations = LogAt { log: LogId::Attestations, ..log };
        let attestations = self.log_by(|held| held.at == attestations);
        let Some(attestations) = attestations else { return Ok(false) };
        let state = attestations.state().clone();
        match self.root_here(&attestations, &state, leaf.size)? {
            Some(root) if root != leaf.attestations => {
                let why = format!("it is about {} other attestations than those here", leaf.size);
                Err(refused(why))
            }
            known => Ok(known.is_some()),
        }
    }

    /// How long the newest attestation took from its ledger to the readers of this mirror.
    fn observe_delay(&self, log: LogAt, size: u64) -> Result<(), Error> {
        if log.log == LogId::Attestations {
            let newest = self.index.log_entries(log, size - 1, 1)?.pop();
            if let Some(entry) = newest.and_then(|bytes| Entry::parse(&bytes).ok()) {
                self.metrics.mirror_delay(clock::now().saturating_sub(entry.logged_at));
            }
        }
        Ok(())
    }
}

/// What the sender needs to go on.
fn info(log: &HeldLog, checkpoint: Option<&SignedCheckpoint>) -> MirrorInfo {
    let state = log.state();
    let size = checkpoint.map_or_else(|| state.pending_size(), SignedCheckpoint::size);
    let info = MirrorInfo::new(size, state.edge.size(), Vec::new());
    info.unwrap_or_else(|_| unreachable!("both are sizes of a log, and there is no ticket"))
}
