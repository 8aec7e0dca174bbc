//! NARs whose files are damaged, and looking for them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use schema::hash::NarHash;
use tokio::runtime::Handle;

use super::Pool;
use crate::blobs::NarFile;
use crate::clock;
use crate::fsck::{self, Finding, Options, Pace, Parts, Stop, Summary, begun_or_new, judge};
use crate::index::{BlobRecord, FileRecord, Listing, PassRecord, Why};
use crate::rejected::{Error, Failure, Rejected};

/// How often a NAR is opened that comes and goes.
const TRIES: usize = 8;
/// What passes over all NARs in the background are called where they are remembered.
const PASS: &str = "scrub";
/// NARs after which it is remembered how far a pass has come.
const PAGE: usize = 16;
/// No pass is slower than this, in bytes a second: a small pool is read in minutes.
const SLOWEST: u64 = 256 << 10;
/// The most findings of one look that are logged.
const MAX_LOGGED: u64 = 100;
/// The most NARs that are counted as waiting.
const MAX_COUNTED: usize = 10_000;

impl Pool {
    /// The file of a NAR, and what it is. None of one that is not here; nor of one whose file is gone or
    /// not as long as it should be, which is withdrawn soon.
    ///
    /// # Errors
    /// A failing database or disk.
    pub(super) fn open_nar(
        &self,
        nar_hash: &NarHash,
    ) -> Result<Option<(FileRecord, NarFile)>, Error> {
        let mut tries = 0;
        loop {
            let Some(known) = self.index.blob(nar_hash)? else { return Ok(None) };
            let opened = match self.blobs.nar(nar_hash, known.file.compression) {
                Ok(file) => Some(file).filter(|file| file.len() == known.file.file_size),
                Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            // It may have gone meanwhile, or have come back as another file.
            let same = self.index.blob(nar_hash)?.is_some_and(|now| now.file == known.file);
            match opened {
                Some(file) if same => return Ok(Some((known.file, file))),
                None if same => {
                    self.scrub.suspect(*nar_hash);
                    return Ok(None);
                }
                _ if tries == TRIES => return Ok(None),
                _ => tries += 1,
            }
        }
    }

    /// Looks at a NAR whose file was not as it should be, and withdraws it if it still is not.
    ///
    /// # Errors
    /// A failing database or disk.
    pub async fn look_at(&self, nar_hash: NarHash) -> Result<(), Failure> {
        let Some(blob) = self.index.blob(&nar_hash)? else { return Ok(()) };
        let found = self.blobs.nar_len(&nar_hash, blob.file.compression)?;
        let why = match found {
            Some(len) if len == blob.file.file_size => return Ok(()),
            Some(len) => format!("its file has {len} bytes, not {}", blob.file.file_size),
            None => "its file is gone".to_owned(),
        };
        self.withdraw(nar_hash, &blob, &why).await
    }

    async fn withdraw(
        &self,
        nar_hash: NarHash,
        blob: &BlobRecord,
        why: &str,
    ) -> Result<(), Failure> {
        let parts = (&*self.index, &self.blobs, self.ledger.sequencer());
        if fsck::withdraw(parts, (nar_hash, blob), why).await? {
            self.metrics.scrub.damaged.increment(1);
        }
        Ok(())
    }

    /// What is to be said of a NAR that is not here: that it was damaged, if it was.
    pub(super) fn missing_nar(&self, nar_hash: &NarHash, digits: &str) -> Rejected {
        match self.index.listing_state(nar_hash) {
            Ok(Listing::Gone(it)) if it.why == Why::Damaged => damaged(nar_hash),
            // Here, but not to be opened: it is about to be withdrawn.
            Ok(Listing::Listed) => damaged(nar_hash),
            _ => Rejected::not_found("no_nar", format!("no NAR {digits} is here")),
        }
    }

    /// How many NARs are damaged and wait to be brought again.
    ///
    /// # Errors
    /// A failing database.
    pub fn waiting_nars(&self) -> Result<usize, Error> {
        Ok(self.index.all_damaged(MAX_COUNTED)?.len())
    }

    /// What operators are to know of damage, a line each.
    #[must_use]
    pub fn damage(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match self.waiting_nars() {
            Ok(0) | Err(_) => {}
            Ok(waiting) => lines.push(format!("damaged: {waiting} NARs wait to be brought again")),
        }
        if let Ok(Some(lost)) = self.index.lost() {
            lines.push(format!("damaged: the database lost its end, {}", lost.why));
        }
        lines
    }

    /// Looks through the pool while it is served. For a thread that may wait.
    ///
    /// # Errors
    /// As [`fsck::run`].
    pub fn fsck(
        &self,
        options: Options,
        stop: &Arc<Stop>,
        tell: &mut dyn FnMut(&Finding),
    ) -> Result<Summary, Error> {
        let runtime = Handle::current();
        let parts = Parts {
            config: &self.config,
            index: &self.index,
            blobs: &self.blobs,
            sequencer: Some(self.ledger.sequencer()),
            runtime: &runtime,
        };
        fsck::run(parts, options, stop, tell)
    }

    /// Reads a few more NARs of a pass over all of them, and withdraws the damaged ones. Answers with
    /// how long to wait before the next. For a thread that may wait.
    ///
    /// # Errors
    /// A failing database.
    pub fn scrub(&self, stop: &Arc<Stop>) -> Result<Duration, Error> {
        let known = self.index.pass(PASS)?;
        if let Some(PassRecord { began_at, ended_at: Some(ended_at), .. }) = known {
            self.metrics.scrub.last_pass.set(ended_at as f64);
            let next = began_at.saturating_add(self.config.scrub_interval.as_secs());
            if let Some(left) = next.checked_sub(clock::now()).filter(|left| *left > 0) {
                return Ok(Duration::from_secs(left));
            }
        }
        let mut pass = begun_or_new(&self.index, PASS)?;
        if pass.after.is_none() && !self.look_through(&mut pass, stop)? {
            return Ok(Duration::ZERO);
        }
        let mut pace = Pace::new(Some(self.scrub_rate(pass.total)), Arc::clone(stop));
        let page = self.index.blobs_after(pass.after.as_ref(), PAGE)?;
        if page.is_empty() {
            pass.ended_at = Some(clock::now());
        }
        for (nar_hash, blob) in page {
            if !self.read_one(nar_hash, &blob, &mut pass, &mut pace) {
                break;
            }
        }
        self.index.put_pass(PASS, &pass)?;
        Ok(Duration::ZERO)
    }

    /// At the beginning of a pass: whether the files there are are those that are known of. Answers
    /// with whether it came to its end.
    fn look_through(&self, pass: &mut PassRecord, stop: &Arc<Stop>) -> Result<bool, Error> {
        let options = Options { rate: Some(self.config.scrub_rate), ..Options::default() };
        let mut told = 0;
        let summary = self.fsck(options, stop, &mut |finding| {
            told += 1;
            self.metrics.scrub.findings.increment(1);
            if told <= MAX_LOGGED {
                let Finding { kind, subject, detail, .. } = finding;
                tracing::error!(?kind, %subject, %detail, "the pool contradicts itself");
            }
        })?;
        pass.total = summary.nar_bytes;
        Ok(!summary.stopped)
    }

    /// Such that a pass is through in four fifths of its time, within bounds.
    fn scrub_rate(&self, total: u64) -> u64 {
        let time = (self.config.scrub_interval.as_secs() * 4 / 5).max(1);
        (total / time).max(SLOWEST).min(self.config.scrub_rate)
    }

    /// Whether to go on after it.
    fn read_one(
        &self,
        nar_hash: NarHash,
        blob: &BlobRecord,
        pass: &mut PassRecord,
        pace: &mut Pace,
    ) -> bool {
        let memory = self.config.max_decoder_memory;
        let (verdict, bytes) = judge(&self.blobs, (&nar_hash, blob), memory, pace);
        if verdict == fsck::Verdict::Stopped {
            return false;
        }
        if let Some(why) = verdict.damage() {
            pass.damaged += 1;
            let withdrawn = Handle::current().block_on(self.withdraw(nar_hash, blob, &why));
            if let Err(error) = withdrawn {
                tracing::error!(%error, %nar_hash, "a damaged NAR was not withdrawn");
            }
        }
        if let fsck::Verdict::Untold(why) = verdict {
            tracing::warn!(%nar_hash, %why, "whether a NAR is whole cannot be told");
        }
        (pass.after, pass.nars, pass.bytes) = (Some(nar_hash), pass.nars + 1, pass.bytes + bytes);
        self.metrics.scrub.nars.increment(1);
        self.metrics.scrub.bytes.increment(bytes);
        true
    }
}

/// A NAR of which the file is not what it should be.
fn damaged(nar_hash: &NarHash) -> Rejected {
    let detail = format!("the NAR {} is damaged here", nar_hash.to_nix32());
    Rejected::not_found("nar_damaged", detail).hint("bring it again, as by `pool push`")
}
