//! `pool mirror`: carries what other pools hold to one's own.
//!
//! It is a client of both ends. From the sources it reads logs, claims and NARs, believes none of them,
//! and goes on from where its own pool is: it keeps nothing itself. Its own pool checks all of it once
//! more.

mod announce;
mod deletions;
mod entries;
mod filter;
mod follow;
mod ledger;
mod log;
mod nars;
mod pull;
mod report;
mod status;
mod tiles;
mod wanted;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use schema::api::{LedgerReport, Ledgers, MirrorRequest};
use schema::evidence::LogKeys;
use schema::hash::NarHash;
use schema::store_path::HashPart;
use schema::tlog::note::VerifierKey;
use tokio::time::sleep;

use self::filter::Filter;
use self::follow::News;
use self::ledger::KEYS;
use self::pull::Puller;
use self::report::Report;
use crate::cli::{self, Global, MirrorAction};
use crate::command::push::default_jobs;
use crate::credentials::{Access, trimmed};
use crate::exit::{self, Exit, Failure};
use crate::ledger_reader::{Code, Finding, ReadError};
use crate::output::Output;
use crate::remote::{Patience, Remote};
use crate::source::Upstream;

/// Between one round and the next, however much there is to do.
const BREATH: Duration = Duration::from_millis(20);

/// Carries, once or for ever. No, when something is not as it should be.
pub(super) async fn run(
    mirror: cli::Mirror,
    global: &Global,
    output: &'static Output,
) -> Result<Exit> {
    match mirror.action {
        Some(MirrorAction::Status) => status::run(global, output).await,
        None => {
            let mut carrier = Carrier::new(&mirror.carry, global, output)?;
            if !mirror.carry.follow {
                return carrier.once().await;
            }
            let pulling = mirror.carry.pull.then(|| Puller::new(&mirror.carry, global, output));
            carrier.follow(pulling.transpose()?).await
        }
    }
}

/// Carries from some pools to one.
struct Carrier {
    target: Remote<'static>,
    sources: Vec<Source>,
    /// Those that are mirrored and no others, when any are named.
    pinned: Vec<VerifierKey>,
    all_ledgers: bool,
    filter: Filter,
    rescan: bool,
    jobs: usize,
    report: Report,
    /// Ledgers that could not be begun, by their origins: said once.
    refused: HashSet<String>,
    /// NARs that a source, by its number, gave wrong: it is not asked for them again.
    spoiled: HashSet<(usize, NarHash)>,
    /// What a source, by its number, took down: said once.
    deletions: HashSet<(usize, HashPart)>,
    /// What was announced last to the pool of a ledger, by its origin.
    announced: HashMap<String, announce::Announced>,
    output: &'static Output,
}

/// A pool that is mirrored.
struct Source {
    access: Access,
    remote: Remote<'static>,
    /// The same, for the files of NARs.
    upstream: Option<Arc<Upstream>>,
}

impl Carrier {
    fn new(carry: &cli::Carry, global: &Global, output: &'static Output) -> Result<Self> {
        let to = carry.to.as_deref().or(global.server.as_deref());
        let target = Access::find_at(to, global)?;
        let source = |url: &String| {
            let access = Access::find_kept(&trimmed(url), global)?;
            let remote = Remote::new(&access, Patience::Some, output)?;
            anyhow::Ok(Source { access, remote, upstream: None })
        };
        let sources = carry.from.iter().map(source).collect::<Result<Vec<_>>>()?;
        if let Some(same) = sources.iter().find(|source| source.access.server == target.server) {
            let message = format!("{} cannot mirror itself", same.access.server);
            return Err(Failure::could_not_tell(message).into());
        }
        Ok(Self {
            target: Remote::new(&target, Patience::Some, output)?,
            filter: Filter::new(&carry.filter, carry.pull, &sources, output)?,
            sources,
            pinned: carry.ledger.clone(),
            all_ledgers: carry.all_ledgers,
            refused: HashSet::new(),
            spoiled: HashSet::new(),
            rescan: carry.rescan,
            jobs: carry.jobs.map_or_else(default_jobs, usize::from),
            report: Report::default(),
            deletions: HashSet::new(),
            announced: HashMap::new(),
            output,
        })
    }

    /// One round, told at its end.
    async fn once(&mut self) -> Result<Exit> {
        let ended = self.round().await;
        self.report.print(&self.target, self.output);
        ended?;
        Ok(self.report.exit())
    }

    /// A round whenever there is news, until somebody stops it.
    async fn follow(&mut self, puller: Option<Puller>) -> Result<Exit> {
        let (mut news, listening) = News::of(&self.sources, self.output);
        let pulling = async {
            match puller {
                Some(puller) => puller.run().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            exit = self.rounds(&mut news) => exit,
            never = pulling => match never {},
            // They listen for as long as anybody wants to know.
            () = listening => Ok(Exit::CouldNotTell),
        }
    }

    async fn rounds(&mut self, news: &mut News) -> Result<Exit> {
        loop {
            match self.round().await {
                Ok(()) => {}
                // Whoever is away comes back.
                Err(error) if exit::of(&error) == Exit::CouldNotTell => {
                    self.output.warn(&format!("{error:#}; trying again"));
                }
                Err(error) => return Err(error),
            }
            if self.report.says_something() {
                self.report.print(&self.target, self.output);
            }
            let waits = self.report.waits();
            self.report = self.report.next();
            news.wait(waits).await;
            // News may come without end.
            sleep(BREATH).await;
        }
    }

    /// Brings everything up to date, from one source after the other. One that fails does not keep the
    /// others from it.
    async fn round(&mut self) -> Result<()> {
        let mut failed = Ok(());
        for number in 0..self.sources.len() {
            if let Err(error) = self.carry_from(number).await {
                if self.sources.len() > 1 {
                    let server = &self.sources[number].access.server;
                    self.output.warn(&format!("{server}: {error:#}"));
                }
                failed = Err(error);
            }
        }
        self.rescan = false;
        failed
    }

    async fn carry_from(&mut self, number: usize) -> Result<()> {
        let own = self.target.ledgers().await.context("asking the mirror")?;
        let theirs = self.sources[number].remote.ledgers().await?;
        for ledger in &theirs.ledgers {
            let is_own = own.ledgers.iter().any(|it| it.own && it.origin == ledger.origin);
            // What comes back from a mirror of ours is ours.
            if is_own || !self.is_chosen(&own, ledger)? {
                continue;
            }
            if let Some(finding) = impostor(&own, ledger) {
                self.note(number, ReadError::Caught(finding))?;
                continue;
            }
            let (known, keys) = match self.registered(&own, ledger).await {
                Ok(registered) => registered,
                // The others are none the worse for it.
                Err(error) if exit::of(&error) == Exit::No => {
                    self.refuse(number, ledger, &error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.carry_ledger(number, ledger, &known, &keys).await?;
            if ledger.own {
                self.announce(number, &keys).await;
            }
        }
        if self.filter.has_roots() {
            self.want_roots(number).await?;
        }
        self.tell_deletions(number).await;
        let wants = own.wanted || self.rescan || self.report.wants();
        if wants { self.carry_nars(number).await } else { Ok(()) }
    }

    /// The mirror does not begin with a ledger.
    fn refuse(&mut self, number: usize, ledger: &LedgerReport, why: &anyhow::Error) {
        if self.refused.insert(ledger.origin.clone()) {
            let (origin, source) = (&ledger.origin, &self.sources[number].access.server);
            self.output.warn(&format!("the ledger {origin} of {source}: {why:#}"));
        }
        self.report.refused(&ledger.origin);
    }

    /// Whether a ledger is to be mirrored: one that was named, if any were; else a pool's own, one that is
    /// mirrored already, or any.
    fn is_chosen(&self, own: &Ledgers, ledger: &LedgerReport) -> Result<bool> {
        if self.pinned.is_empty() {
            let known = own.ledgers.iter().any(|it| it.origin == ledger.origin);
            return Ok(ledger.own || known || self.all_ledgers);
        }
        let keys = keys_of(ledger)?;
        Ok(self.pinned.iter().any(|pinned| pinned == keys.attestations()))
    }

    /// What the mirror has of a ledger, with which it begins if need be.
    async fn registered(
        &self,
        own: &Ledgers,
        ledger: &LedgerReport,
    ) -> Result<(LedgerReport, LogKeys)> {
        let keys = keys_of(ledger)?;
        let find = |own: &Ledgers| {
            let found = own.ledgers.iter().find(|it| it.origin == ledger.origin);
            found.filter(|it| it.public_key == ledger.public_key).cloned()
        };
        if let Some(known) = find(own) {
            return Ok((known, keys));
        }
        let (origin, public_key) = (ledger.origin.clone(), ledger.public_key.clone());
        let request = MirrorRequest { origin, public_key };
        self.target.mirror_ledger(&request).await?;
        let key = keys.attestations();
        if self.pinned.is_empty() {
            self.output.warn(&format!(
                "begins to mirror the ledger {}: only its pool says that this is its key; from now on \
                 it must stay\n  {key}",
                ledger.origin
            ));
        }
        let known = find(&self.target.ledgers().await?);
        Ok((known.context("the mirror does not list what it mirrors")?, keys))
    }
}

/// What is wrong with a ledger that is known under another key. Nothing of it is carried, and nothing
/// else of the source depends on it.
fn impostor(own: &Ledgers, ledger: &LedgerReport) -> Option<Finding> {
    let known = own.ledgers.iter().find(|it| it.origin == ledger.origin)?;
    let (known, given) = (&known.public_key, &ledger.public_key);
    let why = format!("{} has the key {known}, not {given}: one is an impostor's", ledger.origin);
    (known != given).then(|| Finding::new(KEYS, Code::KeyChanged, why))
}

fn keys_of(ledger: &LedgerReport) -> Result<LogKeys> {
    LogKeys::new(&ledger.origin, ledger.public_key.clone()).map_err(|why| {
        Failure::could_not_tell(format!("the ledger {}: {why}", ledger.origin)).into()
    })
}
