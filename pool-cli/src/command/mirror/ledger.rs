//! One ledger: three logs, and what is caught on the way.

use anyhow::Result;
use schema::api::LedgerReport;
use schema::evidence::LogKeys;
use schema::tlog::note::VerifierKey;

use super::Carrier;
use super::log::{Carried, LogCarrier};
use crate::ledger_reader::ReadError;

/// The names of the logs.
pub(super) const KEYS: &str = "keys";
/// See [`KEYS`].
pub(super) const ATTESTATIONS: &str = "attestations";
/// See [`KEYS`].
pub(super) const INDEX: &str = "index";

/// What became of a ledger's logs, up to the first that could not be brought.
struct Brought {
    carried: Vec<(&'static str, Carried)>,
    outcome: Result<(), ReadError>,
}

impl Carrier {
    /// Brings the logs of one ledger up to date. What is caught is told, and is no failure.
    pub(super) async fn carry_ledger(
        &mut self,
        number: usize,
        theirs: &LedgerReport,
        ours: &LedgerReport,
        keys: &LogKeys,
    ) -> Result<()> {
        match self.carry_logs(number, theirs, ours, keys).await {
            Ok(brought) => {
                let (server, origin) = (self.sources[number].access.server.clone(), &theirs.origin);
                for (log, carried) in brought.carried {
                    self.report.log(&server, (origin, log, theirs.own), carried, self.output);
                }
                brought.outcome.or_else(|error| self.note(number, error))
            }
            Err(error) => self.note(number, error),
        }
    }

    async fn carry_logs(
        &self,
        number: usize,
        theirs: &LedgerReport,
        ours: &LedgerReport,
        keys: &LogKeys,
    ) -> Result<Brought, ReadError> {
        // What is read later covers what was read before: each log before those that it speaks of.
        let logs =
            [(INDEX, keys.index()), (ATTESTATIONS, keys.attestations()), (KEYS, keys.keys())];
        let mut carriers = Vec::with_capacity(logs.len());
        let mut brought = Brought { carried: Vec::new(), outcome: Ok(()) };
        for (log, key) in logs {
            if ours.logs.iter().any(|it| it.log == log && it.fork.is_some()) {
                brought.carried.push((log, Carried::Forked));
                continue;
            }
            let Some(carrier) = self.log_carrier(number, log, key, theirs, ours) else { continue };
            let shown = carrier.look().await?;
            carriers.push((carrier, shown));
        }
        let table = match carriers.last() {
            Some((carrier, shown)) if self.filter.asks_for_signers() && carrier.log() == KEYS => {
                Some(carrier.table(keys, shown).await?)
            }
            _ => None,
        };
        if self.rescan && !self.filter.has_roots() {
            self.rescan_ledger(number, ours, keys, table.as_ref()).await?;
        }
        // Brought in the other order: nobody is to see a word by a key of which they cannot know.
        while let Some((carrier, shown)) = carriers.pop() {
            match carrier.carry(&shown, table.as_ref()).await {
                Ok(carried) => brought.carried.push((carrier.log(), carried)),
                Err(error) => {
                    brought.outcome = Err(error);
                    break;
                }
            }
        }
        Ok(brought)
    }

    fn log_carrier<'a>(
        &'a self,
        number: usize,
        log: &'static str,
        key: &VerifierKey,
        theirs: &LedgerReport,
        ours: &LedgerReport,
    ) -> Option<LogCarrier<'a>> {
        let of = |ledger: &LedgerReport| ledger.logs.iter().find(|it| it.log == log).cloned();
        // A pool that mirrors the log itself may have nothing of it yet.
        let theirs = of(theirs).filter(|it| it.size.is_some())?;
        let ours = of(ours)?;
        Some(LogCarrier::new(self, number, (log, key.clone()), theirs.address, ours))
    }

    /// What is caught is told, and is no failure.
    pub(super) fn note(&mut self, number: usize, error: ReadError) -> Result<()> {
        match error {
            ReadError::Caught(finding) => {
                let server = &self.sources[number].access.server;
                self.output.warn(&format!("{server} is caught: {finding}"));
                self.report.caught(server, finding);
                Ok(())
            }
            ReadError::Failed(error) => Err(error),
        }
    }
}
