//! What a restored pool has lost of its logs, brought back from a mirror's data directory.
//!
//! The entries are taken because this pool has signed them itself: those after the ones that are here
//! must give the very tree of a checkpoint with the signature of this pool's key.

use std::path::Path;

use schema::attestation::Entry;
use schema::tlog::checkpoint::SignedCheckpoint;
use schema::tlog::edge::Edge;
use schema::tlog::merkle::leaf_hash;

use super::identity::Identity;
use super::log::{Log, Stage, resume};
use super::mirror::Mirror;
use super::roll;
use super::sequencer::Logs;
use super::sequencer::replay::Replay;
use crate::index::{Index, LedgerId, LogAt, LogId};
use crate::rejected::Error;

/// Entries that are taken together.
const TOGETHER: usize = 256;

/// A mirror of this pool.
pub(super) struct Source<'s> {
    dir: &'s Path,
    index: Index,
    ledger: LedgerId,
}

/// One log, and up to where it is brought.
struct Tail {
    log: LogId,
    from: u64,
    to: u64,
}

impl<'s> Source<'s> {
    /// Opens a mirror's data directory, in which nothing is changed.
    ///
    /// # Errors
    /// A directory that holds no mirror of this pool.
    pub(super) fn open(dir: &'s Path, identity: &Identity) -> Result<Self, Error> {
        let index = Index::open_to_read(&dir.join("index"))?;
        let ledgers = index.mirrored_ledgers()?.into_iter();
        let (origin, key) = (identity.origin(), identity.public_key());
        let mut its = ledgers.filter(|(_, it)| it.origin == *origin && it.public_key == key);
        match its.next() {
            Some((ledger, _)) => Ok(Self { dir, index, ledger }),
            None => Err(Error::Setup {
                detail: format!("the pool in {} does not mirror {origin}", dir.display()),
                hint: "start a pool-server in a new directory, have `pool mirror` bring it what a \
                       mirror elsewhere has, stop it, and name that directory"
                    .to_owned(),
            }),
        }
    }

    /// Brings what is missing into `index`, and signs it once more. `from` is the number of attestations
    /// that the backup had. Answers with how many attestations came without what they say.
    ///
    /// # Errors
    /// Entries that are not what this pool has signed: then nothing was changed. A failing database.
    pub(super) fn bring(
        &self,
        index: &Index,
        identity: &Identity,
        data: &Path,
        from: u64,
    ) -> Result<u64, Error> {
        let mut tails = Vec::new();
        for log in LogId::ALL {
            tails.extend(self.tail(log, index, identity)?);
        }
        for tail in &tails {
            self.append(tail, index)?;
        }
        // Nothing is signed that a crash could take back.
        index.sync()?;
        let open = |log| Log::open(log, identity.log_signer(log)?, index, data);
        open(LogId::Index)?;
        let logs = Logs {
            keys: open(LogId::Keys)?,
            attestations: open(LogId::Attestations)?,
            mirrored: Mirror::edges(index)?,
        };
        let roll = roll(identity, index)?;
        let replay = Replay { index, roll: &roll, logs: &logs };
        let lost = replay.own(from, |_| (None, None), |_| ())?;
        index.sync()?;
        Ok(lost)
    }

    /// What the mirror has of a log after what is here, proven to be this pool's.
    fn tail(&self, log: LogId, index: &Index, identity: &Identity) -> Result<Option<Tail>, Error> {
        let there = LogAt { ledger: self.ledger, log };
        let Some(note) = self.index.mirror_checkpoint(there)? else { return Ok(None) };
        let signer = identity.log_signer(log)?;
        let signed = SignedCheckpoint::open(&note, signer.verifier()).map_err(|why| {
            self.refused(log, &format!("its checkpoint is not this pool's: {why}"))
        })?;
        let mut edge: Edge = resume(log, index, index.log_size(log)?)?;
        let tail = Tail { log, from: edge.size(), to: signed.size() };
        if tail.to < tail.from {
            return Ok(None);
        }
        self.each(&tail, |entries| {
            entries.iter().for_each(|entry| drop(edge.push(leaf_hash(entry))));
            Ok(())
        })?;
        if edge.size() == tail.to && edge.root() == *signed.root() {
            return Ok(Some(tail));
        }
        Err(self.refused(log, "what it has does not go on from what is here"))
    }

    fn append(&self, tail: &Tail, index: &Index) -> Result<(), Error> {
        let edge = resume(tail.log, index, tail.from)?;
        let mut stage = Stage::after(tail.log.into(), edge);
        self.each(tail, |entries| {
            let mut batch = index.batch();
            for bytes in &entries {
                if tail.log == LogId::Attestations
                    && let Ok(entry) = Entry::parse(bytes)
                    && let Some(text) = self.index.claim(&entry.claim)?
                    && let Ok(claim) = schema::claim::Claim::parse(&text)
                {
                    batch.put_claim_text(&entry.claim, &claim)?;
                }
                stage.append(&mut batch, bytes)?;
            }
            batch.commit()
        })
    }

    fn each(
        &self,
        tail: &Tail,
        mut take: impl FnMut(Vec<Vec<u8>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (log, mut at) = (LogAt { ledger: self.ledger, log: tail.log }, tail.from);
        while at < tail.to {
            let count = usize::try_from(tail.to - at).unwrap_or(TOGETHER).min(TOGETHER);
            let entries = self.index.log_entries(log, at, count)?;
            if entries.is_empty() {
                break;
            }
            at += entries.len() as u64;
            take(entries)?;
        }
        Ok(())
    }

    fn refused(&self, log: LogId, why: &str) -> Error {
        Error::Setup {
            detail: format!("the log {log} that the pool in {} mirrors: {why}", self.dir.display()),
            hint: "nothing was changed: one of the two is not of this pool's history".to_owned(),
        }
    }
}
