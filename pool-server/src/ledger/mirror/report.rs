//! How the mirrored logs stand, for people and for those who bring them.

use schema::api::{LedgerReport, LogFork, LogReport, LogSource};
use schema::tlog::merkle::EMPTY_ROOT;

use super::Mirror;
use super::held::HeldLog;
use super::source::size_of;

impl Mirror {
    /// Every ledger that is mirrored.
    #[must_use]
    pub fn reports(&self) -> Vec<LedgerReport> {
        let report = |held: &std::sync::Arc<super::HeldLedger>| LedgerReport {
            origin: held.record.origin.clone(),
            public_key: held.record.public_key.clone(),
            own: false,
            logs: held.logs.iter().map(|log| log.report()).collect(),
        };
        self.held().iter().map(report).collect()
    }

    /// What is not as it should be, a line for each: forks, and sources that went back.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let held = self.held();
        held.iter().flat_map(|held| &held.logs).flat_map(|log| log.troubles()).collect()
    }
}

impl HeldLog {
    fn report(&self) -> LogReport {
        let state = self.state().clone();
        LogReport {
            log: self.at.log.to_string(),
            key: self.key.to_string(),
            address: format!("/mirror/{}", self.address),
            size: self.shown().map(|shown| shown.published().size()),
            next: state.edge.size(),
            pending: state.pending_size(),
            pending_root: state.pending.last().map_or(EMPTY_ROOT, |it| *it.root()),
            heard_at: state.heard_at,
            sources: state
                .sources
                .iter()
                .map(|(source, known)| LogSource {
                    source: source.to_owned(),
                    largest: known.largest.clone(),
                    rolled_back_to: known.rolled_back_to.clone(),
                })
                .collect(),
            fork: state.fork.map(|fork| LogFork {
                mirrored: fork.mirrored,
                other: fork.other,
                size: fork.size,
                proof: fork.proof,
                source: fork.source,
                met_at: fork.met_at,
            }),
        }
    }

    fn troubles(&self) -> Vec<String> {
        let (name, state) = (self.key.name(), self.state().clone());
        let forked = state.fork.iter().map(|fork| {
            let (source, size) = (&fork.source, fork.size);
            format!("mirror of {name}: forked: {source} showed other first {size} entries")
        });
        let back = state.sources.iter().filter_map(|(source, known)| {
            let size = size_of(known.rolled_back_to.as_ref()?);
            let before = size_of(&known.largest);
            Some(format!("mirror of {name}: {source} went back from {before} to {size} entries"))
        });
        forked.chain(back).collect()
    }
}
