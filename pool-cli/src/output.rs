//! The one printer: results on standard output, everything else on standard error.

mod count;
mod progress;
mod text;

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;

use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::json;

use crate::exit;

pub(crate) use self::count::Count;
pub(crate) use self::progress::{Counter, Progress};
pub(crate) use self::text::{bytes, plural, time};

/// Knows how much to say, and to whom.
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    terminal: bool,
    /// Lines must not be written across a bar.
    bar: Mutex<Option<ProgressBar>>,
}

impl Output {
    /// For people, unless `json`; only what matters, if `quiet`.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        Self { json, quiet, terminal, bar: Mutex::new(None) }
    }

    /// Whether results are for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// What the command was run for: `value` to programs, `text` to people.
    pub(crate) fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) {
        let mut line = if self.json {
            serde_json::to_string(value)
                .unwrap_or_else(|error| json!(error.to_string()).to_string())
        } else {
            text()
        };
        if !line.ends_with('\n') {
            line.push('\n');
        }
        self.raw(line.as_bytes());
    }

    /// A file on standard output.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        // Nobody is left to be told that the reader went away.
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    }

    /// Standard output, for a result that is too large to be in memory.
    pub(crate) fn stream(&self) -> impl Write + use<> {
        io::stdout()
    }

    /// What is going on.
    pub(crate) fn note(&self, line: &str) {
        if !self.quiet && !self.json {
            self.stderr(line);
        }
    }

    /// What went wrong without stopping anything.
    pub(crate) fn warn(&self, line: &str) {
        self.stderr(&format!("warning: {line}"));
    }

    /// What stopped the command, and what to do about it.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let hint = exit::hint(error);
        if self.json {
            let mut object = json!({ "error": format!("{error:#}") });
            if let Some(hint) = hint {
                object["hint"] = hint.into();
            }
            return self.stderr(&object.to_string());
        }
        self.stderr(&format!("error: {error:#}"));
        if let Some(hint) = hint {
            self.stderr(&format!("hint: {hint}"));
        }
    }

    /// The user pressed Ctrl-C.
    pub(crate) fn interrupted(&self) {
        if let Some(bar) = self.lock_bar().take() {
            bar.finish_and_clear();
        }
        self.stderr(
            "interrupted; what is done stays done, and running it again goes on from there",
        );
    }

    /// Asks for a secret: without echo on a terminal, else the first line of standard input.
    pub(crate) fn ask_secret(&self, prompt: &str) -> io::Result<String> {
        let terminal = io::stdin().is_terminal();
        let echo = |on: &str| {
            std::process::Command::new("stty").arg(on).status().is_ok_and(|status| status.success())
        };
        let hidden = terminal && echo("-echo");
        if terminal {
            let mut err = io::stderr().lock();
            write!(err, "{prompt}: ")?;
            err.flush()?;
        }
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        if hidden {
            echo("echo");
            self.stderr("");
        }
        read.map(|_| line.trim().to_owned())
    }

    fn stderr(&self, line: &str) {
        let write = || {
            let _ = writeln!(io::stderr(), "{line}");
        };
        match &*self.lock_bar() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn lock_bar(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
