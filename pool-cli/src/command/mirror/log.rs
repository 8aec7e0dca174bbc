//! One log of a source, carried on from where the mirror is.

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::TryStreamExt;
use schema::api::LogReport;
use schema::evidence::LogKeys;
use schema::key_event::KeyEntry;
use schema::signers::Signers;
use schema::tlog::checkpoint::SignedCheckpoint;
use schema::tlog::edge::Edge;
use schema::tlog::fork::AddFork;
use schema::tlog::note::VerifierKey;
use schema::tlog::proof::ConsistencyProof;
use schema::tlog::witness::AddCheckpoint;

use super::Carrier;
use super::ledger::ATTESTATIONS;
use super::tiles::Tiles;
use crate::ledger_reader::{Code, Finding, Growth, LogFiles, LogReader, ReadError};
use crate::remote::{Added, Remote};

/// A log where a pool serves it.
pub(super) struct Served<'a> {
    remote: &'a Remote<'static>,
    address: String,
}

impl LogFiles for Served<'_> {
    async fn file(&self, path: String) -> Result<Bytes> {
        self.remote.file_at(&self.address, &path).await
    }
}

/// Carries one log.
pub(super) struct LogCarrier<'a> {
    pub(super) carrier: &'a Carrier,
    pub(super) number: usize,
    log: &'static str,
    pub(super) reader: LogReader<Served<'a>>,
    /// How far it is at the mirror.
    ours: LogReport,
}

/// What became of a log.
pub(super) enum Carried {
    /// So many entries came, with so many NARs that are to come.
    Entries {
        /// Entries that the mirror did not have.
        new: u64,
        /// NARs that it is to get.
        wanted: usize,
    },
    /// The source has less than the mirror, of the same log.
    Behind {
        /// Entries that are known of it.
        here: u64,
        /// Entries that it shows.
        there: u64,
    },
    /// The log has two histories, as was found before. It is not carried any more.
    Forked,
}

impl<'a> LogCarrier<'a> {
    pub(super) fn new(
        carrier: &'a Carrier,
        number: usize,
        (log, key): (&'static str, VerifierKey),
        address: String,
        ours: LogReport,
    ) -> Self {
        let served = Served { remote: &carrier.sources[number].remote, address };
        let reader = LogReader::new(log, key, served);
        Self { carrier, number, log, reader, ours }
    }

    /// Who may attest, by the whole of this log, which is one of keys. Nothing is concluded from it but
    /// what is wanted.
    pub(super) async fn table(
        &self,
        keys: &LogKeys,
        shown: &SignedCheckpoint,
    ) -> Result<Signers, ReadError> {
        let mut table = Signers::new(keys.keys().name().as_str(), keys.pool().clone());
        let growth = self.reader.growth(&Edge::new(), shown).await?;
        let mut bundles = std::pin::pin!(self.reader.entries(&growth));
        while let Some((_, bundle)) = bundles.try_next().await? {
            for entry in bundle.iter().filter_map(|bytes| KeyEntry::parse(bytes).ok()) {
                // The mirror refuses what is not in order.
                let _ = table.apply(&entry);
            }
        }
        Ok(table)
    }

    /// What people call it.
    pub(super) fn log(&self) -> &'static str {
        self.log
    }

    /// What the source shows of it now.
    pub(super) async fn look(&self) -> Result<SignedCheckpoint, ReadError> {
        self.reader.checkpoint().await
    }

    /// Brings the mirror up to what is shown. `table` tells who may attest, where that matters for what
    /// is wanted.
    pub(super) async fn carry(
        &self,
        shown: &SignedCheckpoint,
        table: Option<&Signers>,
    ) -> Result<Carried, ReadError> {
        let (here, there) = (self.ours.pending, shown.size());
        let same = here == there && self.ours.pending_root == *shown.root();
        if same && self.ours.size == Some(there) {
            // That there is nothing new is news, too: so fresh is the mirror. And so is that a source
            // has found again what it had lost.
            let went_back = self.ours.sources.iter().any(|it| it.rolled_back_to.is_some());
            if self.log == ATTESTATIONS || went_back {
                self.add_checkpoint(here, nothing()?, shown).await?;
            }
            return Ok(Carried::Entries { new: 0, wanted: 0 });
        }
        // The checkpoints alone tell whether that is a fork: nothing that the source could keep back.
        if there < here || (there == here && !same) {
            return match self.add_checkpoint(there, nothing()?, shown).await? {
                Added::Refused(why) => Err(self.forked(why)),
                Added::Taken | Added::Conflict(_) => Ok(Carried::Behind { here, there }),
            };
        }
        let edge = self.edge().await?;
        let tiles = Tiles::new(&self.reader, there);
        let growth = match self.reader.growth(&edge, shown).await {
            Ok(growth) => growth,
            Err(error) => return Err(self.accuse(error, edge.size(), shown, &tiles).await),
        };
        let proof = if same { nothing()? } else { tiles.consistency(here).await? };
        match self.add_checkpoint(here, proof, shown).await? {
            Added::Taken => self.bring(&growth, &tiles, shown, table).await,
            // Somebody else brings it, too. The next round goes on from there.
            Added::Conflict(_) => Ok(Carried::Entries { new: 0, wanted: 0 }),
            Added::Refused(why) => {
                let caught = self.forked(why);
                Err(self.accuse(caught, here, shown, &tiles).await)
            }
        }
    }

    async fn bring(
        &self,
        growth: &Growth,
        tiles: &Tiles<'_, Served<'a>>,
        shown: &SignedCheckpoint,
        table: Option<&Signers>,
    ) -> Result<Carried, ReadError> {
        let what = format!("entries of {} carried", self.log);
        let count = self.carrier.output.count(&what, growth.new_entries());
        let origin = shown.checkpoint().origin();
        let done = |entries| count.advance(entries);
        let wanted = self.bring_all(growth, tiles, (origin, table), done).await?;
        Ok(Carried::Entries { new: growth.new_entries(), wanted })
    }

    /// The edge of what the mirror has.
    async fn edge(&self) -> Result<Edge> {
        if self.ours.next == 0 {
            return Ok(Edge::new());
        }
        let shown = self.carrier.target.log_edge(&self.ours.address).await?;
        let edge = Edge::from_levels(shown.size, shown.levels);
        edge.context("the mirror does not know how much it has of a log")
    }

    async fn add_checkpoint(
        &self,
        old: u64,
        proof: ConsistencyProof,
        shown: &SignedCheckpoint,
    ) -> Result<Added> {
        let body = AddCheckpoint::new(old, proof, shown.clone())?.to_string();
        let (carrier, source) = (self.carrier, &self.carrier.sources[self.number].access.server);
        carrier.target.add_checkpoint("add-checkpoint", body, source).await
    }

    /// Has the mirror keep the evidence, if there is any that the log has two histories: the tree that is
    /// shown does not begin with the `old` entries that the mirror knows.
    async fn accuse(
        &self,
        error: ReadError,
        old: u64,
        shown: &SignedCheckpoint,
        tiles: &Tiles<'_, Served<'a>>,
    ) -> ReadError {
        let ReadError::Caught(finding) = &error else { return error };
        if finding.code() != Code::Fork || old == 0 {
            return error;
        }
        let accused = async {
            let proof =
                tiles.fork(old).await.map_err(|_| anyhow::anyhow!("it shows no whole tree"))?;
            let body = AddFork::new(old, proof, shown.clone())?.to_string();
            let source = &self.carrier.sources[self.number].access.server;
            self.carrier.target.add_checkpoint("add-fork", body, source).await
        };
        let what = match accused.await {
            Ok(Added::Taken) => return error,
            Ok(Added::Conflict(_)) => "the mirror has moved on".to_owned(),
            Ok(Added::Refused(why)) => why,
            Err(error) => format!("{error:#}"),
        };
        self.carrier.output.warn(&format!("the fork of {} is not proven: {what}", self.log));
        error
    }

    fn forked(&self, why: String) -> ReadError {
        ReadError::Caught(Finding::new(self.log, Code::Fork, why))
    }
}

/// The proof that a tree is itself.
fn nothing() -> Result<ConsistencyProof> {
    Ok(ConsistencyProof::from_hashes(Vec::new())?)
}
