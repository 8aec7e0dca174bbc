//! Every NAR, read to its end.

use std::time::{Duration, Instant};

use super::{Search, Verdict, judge};
use crate::clock;
use crate::index::{Index, PassRecord};
use crate::rejected::Error;

/// What this pass is called where it is remembered.
const PASS: &str = "fsck";
/// NARs that are asked for at once.
const PAGE: usize = 64;
/// So often at least it is remembered how far a pass has come.
const REMEMBERED: Duration = Duration::from_secs(1);

/// The pass with this name that was not finished, or a new one.
///
/// # Errors
/// A failing database.
pub fn begun_or_new(index: &Index, name: &str) -> Result<PassRecord, Error> {
    let begun = index.pass(name)?.filter(|pass| pass.ended_at.is_none());
    Ok(begun.unwrap_or_else(|| PassRecord { began_at: clock::now(), ..PassRecord::default() }))
}

impl Search<'_> {
    /// Goes on where the last one was stopped.
    pub(super) fn read_nars(&mut self) -> Result<(), Error> {
        let index = self.parts.index;
        let mut pass = begun_or_new(index, PASS)?;
        self.summary.resumed_after = pass.after;
        let mut remembered = Instant::now();
        loop {
            let page = index.blobs_after(pass.after.as_ref(), PAGE)?;
            if page.is_empty() || self.pace.is_stopped() {
                break;
            }
            for (nar_hash, blob) in page {
                let memory = self.parts.config.max_decoder_memory;
                let nar = (&nar_hash, &blob);
                let (verdict, bytes) = judge(self.parts.blobs, nar, memory, &mut self.pace);
                if verdict == Verdict::Stopped {
                    break;
                }
                self.judged(nar_hash, &blob, &verdict);
                self.summary.nars_read += 1;
                self.summary.bytes += bytes;
                pass.nars += 1;
                pass.bytes += bytes;
                pass.damaged += u64::from(verdict.damage().is_some());
                pass.after = Some(nar_hash);
                if remembered.elapsed() > REMEMBERED {
                    index.put_pass(PASS, &pass)?;
                    remembered = Instant::now();
                }
            }
        }
        pass.ended_at = (!self.pace.is_stopped()).then(clock::now);
        index.put_pass(PASS, &pass)
    }
}
