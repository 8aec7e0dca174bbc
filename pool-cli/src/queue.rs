//! Pushes that wait until the pool answers again: one file each, written before anything is tried.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

const ENTRY: &str = "json";
const REFUSED: &str = "refused";

/// A push that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// Where it goes, and with what. Only a push with the same settings takes it along.
    pub(crate) settings: Settings,
    /// What goes there.
    pub(crate) paths: Vec<String>,
}

/// What a push must share with one that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The pool.
    pub(crate) server: String,
    /// The secret key's file, absolute.
    pub(crate) key: PathBuf,
    /// The store, as on the command line.
    pub(crate) store: String,
}

/// The directory with the waiting pushes.
pub(crate) struct Queue {
    dir: PathBuf,
}

/// One file of the queue.
#[derive(Debug)]
pub(crate) struct Entry {
    file: PathBuf,
    /// What it holds.
    pub(crate) waiting: Waiting,
}

impl Queue {
    /// The queue in `dir`, which is made when it is first needed.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Adds a push; when this returns it survives a crash of the machine.
    pub(crate) fn add(&self, waiting: &Waiting) -> Result<()> {
        let write = || {
            fs::create_dir_all(&self.dir)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
            file.write_all(serde_json::to_string(waiting)?.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist_noclobber(self.dir.join(new_name())).map_err(|error| error.error)?;
            File::open(&self.dir)?.sync_all()
        };
        write().with_context(|| format!("queueing in {}", self.dir.display()))
    }

    /// Waits until no other process works on the queue; it is then ours until the file is dropped.
    pub(crate) fn lock(&self) -> Result<Option<File>> {
        let open = || {
            let file = File::create(self.dir.join("lock"))?;
            file.lock()?;
            Ok(Some(file))
        };
        match open() {
            Err(error) if is_missing(&error) => Ok(None),
            result => result.with_context(|| format!("locking the queue {}", self.dir.display())),
        }
    }

    /// The pushes with these settings, the oldest first.
    pub(crate) fn entries(&self, settings: &Settings) -> Result<Vec<Entry>> {
        let about = || format!("reading the queue {}", self.dir.display());
        let listing = match fs::read_dir(&self.dir) {
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            listing => listing.with_context(about)?,
        };
        let mut files = Vec::new();
        for file in listing {
            let path = file.with_context(about)?.path();
            if path.extension().is_some_and(|extension| extension == ENTRY) {
                files.push(path);
            }
        }
        files.sort();
        let entries = files.into_iter().map(Entry::read).collect::<Result<Vec<_>>>()?;
        Ok(entries.into_iter().filter(|entry| entry.waiting.settings == *settings).collect())
    }
}

impl Entry {
    fn read(file: PathBuf) -> Result<Self> {
        let about = || format!("reading the waiting push {}", file.display());
        let text = fs::read_to_string(&file).with_context(about)?;
        let waiting = serde_json::from_str(&text).with_context(about)?;
        Ok(Self { file, waiting })
    }

    /// It is done.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_file(&self.file).with_context(|| format!("removing {}", self.file.display()))
    }

    /// It can never be done: it is kept for people to look at. Returns where.
    pub(crate) fn set_aside(self) -> Result<PathBuf> {
        let aside = self.file.with_extension(REFUSED);
        fs::rename(&self.file, &aside)
            .with_context(|| format!("setting aside {}", self.file.display()))?;
        Ok(aside)
    }
}

/// Names sort by time.
fn new_name() -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Path::new(&format!("{:020}-{}", now.as_nanos(), std::process::id())).with_extension(ENTRY)
}

fn is_missing(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(server: &str) -> Settings {
        Settings { server: server.into(), key: "/keys/alice".into(), store: "/".into() }
    }

    fn waiting(server: &str, path: &str) -> Waiting {
        Waiting { settings: settings(server), paths: vec![path.into()] }
    }

    fn paths(queue: &Queue, server: &str) -> Vec<String> {
        let entries = queue.entries(&settings(server)).unwrap();
        entries.into_iter().flat_map(|entry| entry.waiting.paths).collect()
    }

    #[test]
    fn what_waits_is_found_again_in_order_and_only_by_a_like_push() {
        let dir = tempfile::tempdir().unwrap();
        let queue = Queue::new(dir.path().join("state/queue"));
        assert!(queue.entries(&settings("http://a")).unwrap().is_empty());
        assert!(queue.lock().unwrap().is_none());
        for path in ["one", "two", "three"] {
            queue.add(&waiting("http://a", path)).unwrap();
            queue.add(&waiting("http://b", "other")).unwrap();
        }
        let held = queue.lock().unwrap();
        assert!(held.is_some());
        assert_eq!(paths(&queue, "http://a"), ["one", "two", "three"]);
        assert_eq!(paths(&queue, "http://c"), [""; 0]);
    }

    #[test]
    fn what_is_done_is_gone_and_what_never_can_be_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let queue = Queue::new(dir.path().to_owned());
        for path in ["one", "two"] {
            queue.add(&waiting("http://a", path)).unwrap();
        }
        let mut entries = queue.entries(&settings("http://a")).unwrap().into_iter();
        entries.next().unwrap().remove().unwrap();
        let aside = entries.next().unwrap().set_aside().unwrap();
        assert!(fs::read_to_string(aside).unwrap().contains("two"));
        assert!(queue.entries(&settings("http://a")).unwrap().is_empty());
    }
}
