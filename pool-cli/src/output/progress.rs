//! How far an upload is: a bar on a terminal, a line now and then otherwise.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Output, bytes};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

const STYLE: &str =
    "{bar:30} {msg}  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";

/// Counts NARs and their bytes until it is dropped.
pub(crate) struct Progress<'a> {
    output: &'a Output,
    bar: ProgressBar,
    nars: usize,
    done: AtomicUsize,
}

impl Output {
    /// Starts counting towards `nars` NARs of `total` bytes, uncompressed.
    pub(crate) fn progress(&self, nars: usize, total: u64) -> Progress<'_> {
        let shown = self.terminal && !self.quiet && !self.json;
        let bar = if shown { ProgressBar::new(total) } else { ProgressBar::hidden() };
        bar.set_length(total);
        if let Ok(style) = ProgressStyle::with_template(STYLE) {
            bar.set_style(style);
        }
        if shown {
            bar.enable_steady_tick(Duration::from_millis(200));
            *self.lock_bar() = Some(bar.clone());
        }
        let progress = Progress { output: self, bar, nars, done: AtomicUsize::new(0) };
        progress.nars_done(0);
        progress
    }
}

impl Progress<'_> {
    /// So many more bytes are on their way.
    pub(crate) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// Counts the bytes of one attempt, from any thread.
    pub(crate) fn counter(&self) -> Arc<Counter> {
        Arc::new(Counter { bar: self.bar.clone(), counted: AtomicU64::new(0) })
    }

    /// So many more NARs are stored.
    pub(crate) fn nars_done(&self, count: usize) {
        let done = self.done.fetch_add(count, Ordering::Relaxed) + count;
        self.bar.set_message(format!("{done} of {} NARs", self.nars));
    }

    /// Says from time to time how far it is, where there is no bar to see. Never returns.
    pub(crate) async fn tell(&self) -> Infallible {
        loop {
            tokio::time::sleep(LINE_EVERY).await;
            if !self.output.terminal {
                let (sent, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
                self.output.note(&format!(
                    "{} of {} NARs sent, {} of {}",
                    self.done.load(Ordering::Relaxed),
                    self.nars,
                    bytes(sent),
                    bytes(total)
                ));
            }
        }
    }
}

/// The bytes of one attempt.
pub(crate) struct Counter {
    bar: ProgressBar,
    counted: AtomicU64,
}

impl Counter {
    /// So many more bytes are on their way.
    pub(crate) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
        self.counted.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The attempt failed: none of its bytes count.
    pub(crate) fn take_back(&self) {
        self.bar.dec(self.counted.swap(0, Ordering::Relaxed));
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.output.lock_bar().take();
    }
}
