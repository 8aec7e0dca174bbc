//! What stays: collections, pins, and paths that are taken down.

use std::sync::{Arc, Weak};
use std::time::Duration;

use schema::api::{
    Deletion, DeletionRequest, Deletions, GcLine, GcSummary, MAX_DELETIONS, MAX_PINNED,
    MAX_REASON_LEN, Pin, PinRequest, Pins,
};
use schema::hash::NarHash;
use schema::store_path::HashPart;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Pool;
use crate::background;
use crate::clock;
use crate::gc::{self, How, Parts};
use crate::index::{DeletionRecord, Listing, PinRecord, Why};
use crate::rejected::{Error, Failure, Rejected};

/// Lines that wait for whoever asked.
const LINES: usize = 256;
/// After a collection for want of room, before the next.
const BREATH: Duration = Duration::from_secs(60);
/// The longest name of a pin, in bytes.
const MAX_PIN_NAME_LEN: usize = 200;

impl Pool {
    /// Collects, and tells of it line by line; the last line sums it up.
    ///
    /// # Errors
    /// When nothing may be collected now, and in a pool that was restored: nobody knows what was pinned
    /// and promised since the backup was made.
    pub fn collect(
        self: &Arc<Self>,
        dry_run: bool,
    ) -> Result<mpsc::Receiver<Result<GcLine, Failure>>, Failure> {
        self.ledger.sequencer().check_open()?;
        if !dry_run {
            gc::check(&self.index)?;
        }
        let (lines, told) = mpsc::channel(LINES);
        let pool = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let mut tell = |line| {
                // Whoever asked may have gone; what was begun goes on.
                let _ = lines.blocking_send(Ok(line));
            };
            let end = pool.collect_now(How { dry_run, gently: false }, &mut tell);
            let _ = lines.blocking_send(end.map(GcLine::End));
        });
        Ok(told)
    }

    pub(super) fn collect_now(
        &self,
        how: How,
        tell: &mut dyn FnMut(GcLine),
    ) -> Result<GcSummary, Failure> {
        let roll = self.roll();
        let parts = Parts {
            gc: &self.gc,
            index: &self.index,
            blobs: &self.blobs,
            sequencer: self.ledger.sequencer(),
            config: &self.config,
            roll: &roll,
        };
        let summary = gc::collect(&parts, how, tell)?;
        if !how.dry_run {
            self.metrics.collected(&summary);
        }
        Ok(summary)
    }

    /// Adds a revision to a pin. Answers with its number.
    ///
    /// # Errors
    /// Too many paths, a name that is none, a path that is not here, or a failing database.
    pub async fn pin(&self, name: &str, request: PinRequest) -> Result<Pin, Failure> {
        let name = pin_name(name)?;
        let count = request.paths.len();
        if !(1..=MAX_PINNED).contains(&count) {
            let detail = format!("{count} paths; a pin has 1 to {MAX_PINNED}");
            return Err(Rejected::unprocessable("bad_pin", detail).into());
        }
        let PinRequest { paths, keep_last, keep_days } = request;
        let pinned_at = clock::now();
        let pin = PinRecord { paths: paths.clone(), at: pinned_at, keep_last, keep_days };
        let revision = self.ledger.sequencer().pin(name.clone(), pin).await?;
        Ok(Pin { name, revision, paths, pinned_at })
    }

    /// Every revision of every pin.
    ///
    /// # Errors
    /// When the database fails.
    pub fn pins(&self) -> Result<Pins, Error> {
        let pins = self.index.pins(None)?.into_iter();
        let pins = pins.map(|(name, revision, PinRecord { paths, at, .. })| Pin {
            name,
            revision,
            paths,
            pinned_at: at,
        });
        Ok(Pins { pins: pins.collect() })
    }

    /// Forgets a revision of a pin, or all. Answers with how many there were.
    ///
    /// # Errors
    /// No such pin, or a failing database.
    pub async fn unpin(&self, name: &str, revision: Option<u64>) -> Result<usize, Failure> {
        let name = pin_name(name)?;
        let none = Rejected::not_found("no_such_pin", format!("there is no such pin: {name}"))
            .hint("`pool pins` shows those there are");
        match self.ledger.sequencer().unpin(name, revision).await? {
            0 => Err(none.into()),
            gone => Ok(gone),
        }
    }

    /// Takes a path down.
    ///
    /// # Errors
    /// A reason that is none, another store's path, or a failing database or disk.
    pub async fn delete(self: &Arc<Self>, request: DeletionRequest) -> Result<Deletion, Failure> {
        let DeletionRequest { path, reason, now } = request;
        let printable = !reason.trim().is_empty() && !reason.chars().any(char::is_control);
        if !printable || reason.len() > MAX_REASON_LEN {
            let detail = format!("a reason has 1 to {MAX_REASON_LEN} bytes of printable text");
            return Err(Rejected::unprocessable("bad_reason", detail).into());
        }
        let record = self.index.path(&path.base().hash_part())?.unwrap_or_default();
        let nars: Vec<NarHash> = record.claims.iter().map(|it| it.claim.nar_hash()).collect();
        let deletion = DeletionRecord { path, reason, at: clock::now() };
        let (pool, taken) = (Arc::clone(self), deletion.clone());
        // To its end, even when whoever asked has gone.
        let deleting = tokio::spawn(async move {
            let turn = pool.blobs.turn(&nars).await;
            let at_once = if now { nars } else { Vec::new() };
            let gone = pool.ledger.sequencer().delete(taken, at_once).await?;
            drop(turn);
            gc::remove(&pool.index, &pool.blobs, gone).await?;
            Ok::<_, Failure>(())
        });
        deleting.await.map_err(|error| Error::Blobs(format!("deleting stopped: {error}")))??;
        Ok(shown(deletion))
    }

    /// Lets a path be here again.
    ///
    /// # Errors
    /// A path that was not taken down, or a failing database.
    pub async fn undelete(&self, hash_part: HashPart) -> Result<Deletion, Failure> {
        match self.ledger.sequencer().undelete(hash_part).await? {
            Some(deletion) => Ok(shown(deletion)),
            None => {
                let detail = format!("no path that begins with {hash_part} was taken down");
                Err(Rejected::not_found("not_deleted", detail)
                    .hint("`pool deletions` shows those that were")
                    .into())
            }
        }
    }

    /// Paths that were taken down, after this one in the order of their hash parts.
    ///
    /// # Errors
    /// When the database fails.
    pub fn deletions(&self, after: Option<HashPart>) -> Result<Deletions, Error> {
        let mut deletions = self.index.deletions(after.as_ref(), MAX_DELETIONS + 1)?;
        let more = deletions.len() > MAX_DELETIONS;
        deletions.truncate(MAX_DELETIONS);
        Ok(Deletions { deletions: deletions.into_iter().map(shown).collect(), more })
    }

    /// Refuses a NAR all of whose paths were taken down.
    pub(super) fn check_not_deleted(&self, nar_hash: &NarHash) -> Result<(), Failure> {
        match self.index.listing_state(nar_hash)? {
            Listing::Unlisted(it) | Listing::Gone(it) if it.why == Why::Deleted => {
                let detail =
                    format!("the NAR {nar_hash} was taken down by the operator: {}", it.detail);
                Err(Rejected::gone("nar_deleted", detail).into())
            }
            _ => Ok(()),
        }
    }
}

/// Collects as often as the operator wants it, and once there is too much, for as long as there is a
/// pool.
pub(super) async fn run(pool: Weak<Pool>) {
    loop {
        let Some(held) = pool.upgrade() else { return };
        let Some(interval) = gc::interval(&held.config) else { return };
        if held.restored().is_some() {
            return;
        }
        let full = Arc::clone(&held.gc);
        drop(held);
        tokio::select! {
            () = sleep(interval) => {}
            () = full.full() => sleep(BREATH.min(interval)).await,
        }
        let Some(held) = pool.upgrade() else { return };
        let collecting = background::run("gc", move || {
            held.collect_now(How { dry_run: false, gently: true }, &mut drop)
        });
        match collecting.await.map_err(Failure::from).flatten() {
            Ok(summary) => {
                let GcSummary { kept, unlisted, swept, swept_bytes, millis, .. } = summary;
                tracing::info!(kept, unlisted, swept, swept_bytes, millis, "collected");
            }
            Err(error) => tracing::error!(%error, "a collection broke off"),
        }
    }
}

fn shown(deletion: DeletionRecord) -> Deletion {
    let DeletionRecord { path, reason, at } = deletion;
    Deletion { path, reason, deleted_at: at }
}

fn pin_name(name: &str) -> Result<String, Rejected> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@".contains(&byte);
    if (1..=MAX_PIN_NAME_LEN).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(name.to_owned());
    }
    let detail = format!("a pin's name has 1 to {MAX_PIN_NAME_LEN} letters, digits and . _ - + @");
    Err(Rejected::unprocessable("bad_pin", detail))
}

#[cfg(test)]
mod tests;
