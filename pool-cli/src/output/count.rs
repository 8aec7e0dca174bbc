//! How far a count is: a bar on a terminal, a line now and then otherwise.

use std::cell::Cell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Output;

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

const STYLE: &str = "{bar:30} {human_pos} of {human_len} {msg}  {per_sec}  {eta} left";

/// Counts things until it is dropped.
pub(crate) struct Count<'a> {
    output: &'a Output,
    bar: ProgressBar,
    what: String,
    told: Cell<Instant>,
}

impl Output {
    /// Starts to count towards `total` of what `what` says.
    pub(crate) fn count(&self, what: &str, total: u64) -> Count<'_> {
        let shown = self.terminal && !self.quiet && !self.json;
        let bar = if shown { ProgressBar::new(total) } else { ProgressBar::hidden() };
        bar.set_length(total);
        if let Ok(style) = ProgressStyle::with_template(STYLE) {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        if shown {
            *self.lock_bar() = Some(bar.clone());
        }
        Count { output: self, bar, what: what.to_owned(), told: Cell::new(Instant::now()) }
    }
}

impl Count<'_> {
    /// So many more are done.
    pub(crate) fn advance(&self, by: u64) {
        self.bar.inc(by);
        if !self.output.terminal && self.told.get().elapsed() >= LINE_EVERY {
            self.told.set(Instant::now());
            let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
            self.output.note(&format!("{done} of {total} {}", self.what));
        }
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.output.lock_bar().take();
    }
}
