//! `pool import`: takes paths over from a binary cache or `guix publish`, with its signatures.

mod agenda;
mod archive;
mod list;
mod outcome;
mod report;
mod round;
mod signed;
mod transfer;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use schema::store_path::StoreDir;
use tokio::time::{Instant, sleep_until};

use self::agenda::{Agenda, Errand};
use self::list::{Line, Lists};
use self::outcome::Outcome;
use self::report::Report;
use self::round::Handled;
use crate::cli::{Global, Import};
use crate::command::push::default_jobs;
use crate::credentials::{Access, trimmed};
use crate::exit::{self, Exit, Failure};
use crate::output::{Output, plural};
use crate::remote::{Patience, Remote};
use crate::source::{Pace, Upstream};

/// Paths that are looked at together. What is imported of them is attested before the next are looked
/// at, so that no more than these are begun anew after an interruption.
const CHUNK: usize = 256;
/// A source that does not answer is asked so often.
const TRIES: u32 = 5;
/// After so many chunks of which the source told nothing it is taken to be gone.
const SILENT_CHUNKS: u32 = 8;

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
struct Waits {
    /// Before a source is asked for a path a second time; doubled before each further one.
    first: Duration,
    /// The longest such pause.
    longest: Duration,
    /// For how long a source may be baking a path.
    baking: Duration,
    /// Before a followed path that failed is tried again; doubled before each further time.
    again: Duration,
    /// The longest such pause.
    again_at_last: Duration,
    /// How often a followed list is looked at.
    list: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(2),
            longest: Duration::from_secs(60),
            baking: Duration::from_secs(600),
            again: Duration::from_secs(60),
            again_at_last: Duration::from_secs(1800),
            list: Duration::from_secs(1),
        }
    }
}

/// Imports. No, when something was left out for good.
pub(super) async fn run(import: Import, global: &Global, output: &'static Output) -> Result<Exit> {
    if let Some(file) = &import.archive.file {
        return archive::run(file, &import.archive, global, output).await;
    }
    let mut importer = Importer::new(&import, global, Waits::default(), output).await?;
    let ended = importer.run().await;
    importer.tell();
    ended?;
    Ok(importer.report.exit())
}

/// Imports from one source to one pool.
struct Importer {
    upstream: Arc<Upstream>,
    remote: Remote<'static>,
    max_nar_size: u64,
    jobs: usize,
    closure: bool,
    following: bool,
    waits: Waits,
    lists: Lists,
    agenda: Agenda,
    report: Report,
    /// Bytes that had come before this report.
    came_before: u64,
    silent: u32,
    output: &'static Output,
}

impl Importer {
    async fn new(
        import: &Import,
        global: &Global,
        waits: Waits,
        output: &'static Output,
    ) -> Result<Self> {
        let remote = Remote::new(&Access::find(global)?, Patience::Some, output)?;
        let server = trimmed(import.source.as_deref().context("no source is named")?);
        let access = Access { server, token: None, ca_file: global.ca_file.clone() };
        let upstream = Upstream::open(&access, Pace::default(), output).await?;
        let info = remote.info().await?;
        if info.store_dir != *upstream.dir() && *upstream.dir() != StoreDir::guix() {
            let (ours, theirs) = (info.store_dir, upstream.dir());
            let message = format!("the pool serves {ours}, but the source is of {theirs}");
            return Err(Failure::no(message).hint("choose another pool with --server").into());
        }
        let mut agenda = Agenda::default();
        for path in &import.paths {
            agenda.add(Errand::of_argument(path, upstream.dir())?)?;
        }
        let follow = import.follow.as_deref();
        Ok(Self {
            lists: Lists::open(import.all_from.as_deref(), follow, waits.list)?,
            report: Report::new(upstream.address()),
            upstream,
            remote,
            max_nar_size: info.max_nar_size,
            jobs: import.jobs.map_or_else(default_jobs, usize::from),
            closure: import.closure,
            following: follow.is_some(),
            waits,
            agenda,
            came_before: 0,
            silent: 0,
            output,
        })
    }

    /// Until all is done; with lists that are followed, for ever.
    async fn run(&mut self) -> Result<()> {
        while let Some(chunk) = self.next_chunk().await? {
            match self.round(&chunk).await {
                Ok(handled) => self.settle(chunk, handled)?,
                // The pool is away for a while: nothing of the list is lost by that.
                Err(error) if self.goes_on() && exit::of(&error) == Exit::CouldNotTell => {
                    self.output.warn(&format!("{error:#}; trying again later"));
                    let later = Instant::now() + self.waits.again;
                    chunk.into_iter().for_each(|errand| self.agenda.put_off(errand, later));
                }
                Err(error) => return Err(error),
            }
            if self.goes_on() && !self.report.is_empty() {
                self.tell();
                self.report = self.report.next();
            }
        }
        Ok(())
    }

    /// What to look at next; waits until there is something, and none when nothing more can come.
    async fn next_chunk(&mut self) -> Result<Option<Vec<Errand>>> {
        loop {
            while self.agenda.waiting() < CHUNK
                && let Some(line) = self.lists.waiting()?
            {
                self.note(line)?;
            }
            let chunk = self.agenda.take(CHUNK, !self.lists.is_open());
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
            let due = self.agenda.next_due();
            let pause = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                line = self.lists.next(), if self.lists.is_open() => {
                    if let Some(line) = line? {
                        self.note(line)?;
                    }
                }
                () = pause, if due.is_some() => {}
                else => return Ok(None),
            }
        }
    }

    /// Whether more may come to a list that is followed.
    fn goes_on(&self) -> bool {
        self.following && self.lists.is_open()
    }

    fn note(&mut self, line: Line) -> Result<()> {
        match Errand::of_line(&line.text, self.upstream.dir(), line.followed) {
            Ok(errand) => self.agenda.add(errand),
            Err(why) => {
                let text: String = line.text.chars().take(80).collect();
                self.output.warn(&format!("{}: {text:?} is no path: {why}", line.place));
                self.report.summary.refused += 1;
                self.report.left_out(Exit::No);
                Ok(())
            }
        }
    }

    /// Draws the consequences of a round.
    fn settle(&mut self, chunk: Vec<Errand>, handled: Vec<Handled>) -> Result<()> {
        let silent = |it: &Handled| matches!(it.outcome, Outcome::Unavailable(_));
        self.silent = if handled.iter().all(silent) { self.silent + 1 } else { 0 };
        if self.silent >= SILENT_CHUNKS && !self.following {
            let message = format!("{} has stopped answering", self.upstream.address());
            return Err(Failure::could_not_tell(message).into());
        }
        let mut baking = Vec::new();
        for (mut errand, it) in chunk.into_iter().zip(handled) {
            errand.path = errand.path.or(it.path);
            // Of what nobody known has signed, no word is followed.
            if self.closure && matches!(it.outcome, Outcome::Imported { .. }) {
                for reference in &it.references {
                    let reference = errand.of_reference(reference, self.upstream.dir());
                    self.agenda.add(reference)?;
                }
            }
            match it.outcome {
                Outcome::Imported { rsa } => {
                    self.report.summary.paths += 1;
                    self.report.summary.rsa += usize::from(rsa);
                }
                outcome if self.soon(&errand, &outcome) => {
                    if outcome == Outcome::Baking {
                        baking.push(errand.name());
                    }
                    // It is no failure any more, or not yet.
                    errand.told = None;
                    self.put_off(errand, &outcome);
                }
                outcome => self.fail(errand, &outcome),
            }
        }
        if let Some(first) = baking.first() {
            let count = plural(baking.len(), "path");
            self.output.note(&format!("the source is baking {count}, such as {first}: waiting"));
        }
        Ok(())
    }

    /// Whether it is worth it to ask again soon.
    fn soon(&self, errand: &Errand, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Baking => {
                errand.baking_since.is_none_or(|it| it.elapsed() < self.waits.baking)
            }
            Outcome::Unavailable(_) => errand.silences + 1 < TRIES,
            _ => false,
        }
    }

    /// Tells of a path that was not imported, once for each reason, and keeps it in mind if it is one of
    /// a list that is followed.
    fn fail(&mut self, mut errand: Errand, outcome: &Outcome) {
        let goes_on = self.goes_on();
        let Some(why) = outcome.why_not() else { return };
        if errand.told.as_ref() != Some(&why) || !goes_on {
            self.report.summary.count(outcome);
            self.output.warn(&format!("{} is not imported: {why}", errand.name()));
            errand.told = Some(why);
        }
        if errand.followed && goes_on {
            self.again(errand);
        } else {
            self.report.left_out(outcome.exit());
        }
    }

    /// Keeps a path that failed in mind, and begins with it from the start then.
    fn again(&mut self, mut errand: Errand) {
        let pause = doubled(self.waits.again, errand.failures, self.waits.again_at_last);
        errand.failures = errand.failures.saturating_add(1);
        (errand.looks, errand.silences, errand.baking_since) = (0, 0, None);
        self.agenda.put_off(errand, Instant::now() + pause);
    }

    /// Looks at a path again soon.
    fn put_off(&mut self, mut errand: Errand, outcome: &Outcome) {
        let (now, first) = (Instant::now(), self.waits.first);
        let pause = doubled(first, errand.looks, self.waits.longest);
        errand.looks = errand.looks.saturating_add(1);
        if *outcome == Outcome::Baking {
            errand.baking_since.get_or_insert(now);
            errand.silences = 0;
        } else {
            errand.silences += 1;
        }
        self.agenda.put_off(errand, now + pause);
    }

    fn tell(&mut self) {
        let came = self.upstream.bytes_came();
        self.report.summary.bytes_fetched = came - self.came_before;
        self.report.summary.seconds = self.report.began.elapsed().as_secs_f64();
        self.came_before = came;
        self.report.print(self.remote.server(), self.output);
    }
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(longest)
}

#[cfg(test)]
mod tests;
