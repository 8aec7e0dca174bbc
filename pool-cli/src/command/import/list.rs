//! Lists of paths, one a line, that are read as they grow.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::mpsc::{self, Receiver, Sender, error::TryRecvError};

use crate::exit::Failure;

/// The longest line, in bytes: a store path, and room for what people write beside it.
const MAX_LINE: usize = 4096;
/// Lines that wait to be taken.
const AHEAD: usize = 256;

/// A line with something on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// For people: the list and the number of the line in it.
    pub(super) place: String,
    /// A path, it should be.
    pub(super) text: String,
    /// Whether it stands in a list that is followed.
    pub(super) followed: bool,
}

/// The lines of all lists.
pub(super) struct Lists {
    lines: Receiver<Result<Line>>,
    open: bool,
}

impl Lists {
    /// Begins to read. A followed file is looked at again after each `pause`.
    pub(super) fn open(
        all_from: Option<&Path>,
        follow: Option<&Path>,
        pause: Duration,
    ) -> Result<Self> {
        let stdin = Path::new("-");
        if all_from == Some(stdin) && follow == Some(stdin) {
            let message = "standard input can be one list only";
            return Err(Failure::could_not_tell(message).into());
        }
        let (out, lines) = mpsc::channel(AHEAD);
        for (list, followed) in [(all_from, false), (follow, true)] {
            let Some(path) = list else { continue };
            let reading = Reading::open(path, followed.then_some(pause))?;
            let out = out.clone();
            // Not one of the runtime's threads: it may wait for ever for a line.
            thread::Builder::new()
                .name("list".to_owned())
                .spawn(move || reading.run(&out))
                .context("starting a thread")?;
        }
        Ok(Self { lines, open: true })
    }

    /// Whether more may come.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// A line that is there already.
    pub(super) fn waiting(&mut self) -> Result<Option<Line>> {
        match self.lines.try_recv() {
            Ok(line) => line.map(Some),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => {
                self.open = false;
                Ok(None)
            }
        }
    }

    /// The next line; none when all lists have come to their ends.
    pub(super) async fn next(&mut self) -> Result<Option<Line>> {
        let line = self.lines.recv().await.transpose()?;
        self.open = line.is_some();
        Ok(line)
    }
}

/// One list on its way.
struct Reading {
    name: String,
    input: Box<dyn BufRead + Send>,
    /// The file, if it is one that is followed.
    file: Option<Followed>,
    followed: bool,
    number: usize,
}

struct Followed {
    path: PathBuf,
    pause: Duration,
    inode: u64,
    read: u64,
}

impl Reading {
    fn open(path: &Path, pause: Option<Duration>) -> Result<Self> {
        let followed = pause.is_some();
        let about = || format!("reading the list {}", path.display());
        if path == Path::new("-") {
            let input = Box::new(BufReader::new(io::stdin()));
            let name = "standard input".to_owned();
            return Ok(Self { name, input, file: None, followed, number: 0 });
        }
        let file = File::open(path).with_context(about)?;
        let inode = file.metadata().with_context(about)?.ino();
        let of = |pause| Followed { path: path.to_owned(), pause, inode, read: 0 };
        Ok(Self {
            name: path.display().to_string(),
            input: Box::new(BufReader::new(file)),
            file: pause.map(of),
            followed,
            number: 0,
        })
    }

    fn run(mut self, out: &Sender<Result<Line>>) {
        let mut line = Vec::new();
        loop {
            let whole = match self.read_on(&mut line) {
                Ok(whole) => whole,
                Err(error) => {
                    let about = format!("reading the list {}", self.name);
                    let _ = out.blocking_send(Err(anyhow::Error::new(error).context(about)));
                    return;
                }
            };
            if !whole && self.file.is_some() {
                // Unless it is another file now, the rest of a line that is begun may still come.
                if self.wait() {
                    line.clear();
                }
                continue;
            }
            if let Some(entry) = self.entry(&line)
                && out.blocking_send(Ok(entry)).is_err()
            {
                return;
            }
            if !whole {
                return;
            }
            line.clear();
        }
    }

    /// Reads up to the end of the line, or what there is of it: false for the latter. Of a line that is
    /// too long, what is too much is passed over.
    fn read_on(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            let mut piece = Vec::new();
            let read = self.input.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut piece)?;
            if let Some(file) = &mut self.file {
                file.read += read as u64;
            }
            let whole = piece.ends_with(b"\n");
            let room = (MAX_LINE + 1).saturating_sub(line.len());
            line.extend_from_slice(&piece[..piece.len().min(room)]);
            if whole || read == 0 {
                return Ok(whole);
            }
        }
    }

    /// Lets time pass at the end of a file. True, if it is another one now and is read from its start.
    fn wait(&mut self) -> bool {
        let Some(file) = &mut self.file else { return false };
        thread::sleep(file.pause);
        // One that is gone may be there again in a moment, under its name.
        let Ok(now) = fs::metadata(&file.path) else { return false };
        if now.ino() == file.inode && now.len() >= file.read {
            return false;
        }
        let Ok(again) = File::open(&file.path) else { return false };
        (file.inode, file.read) = (again.metadata().map_or(0, |it| it.ino()), 0);
        self.input = Box::new(BufReader::new(again));
        self.number = 0;
        true
    }

    fn entry(&mut self, line: &[u8]) -> Option<Line> {
        self.number += 1;
        let text = String::from_utf8_lossy(line);
        let text = text.split('#').next().unwrap_or_default().trim();
        let place = format!("{}, line {}", self.name, self.number);
        let entry = Line { place, text: text.to_owned(), followed: self.followed };
        (!text.is_empty()).then_some(entry)
    }
}

#[cfg(test)]
mod tests;
