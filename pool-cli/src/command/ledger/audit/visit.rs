//! What an auditor remembers of a pool from one visit to the next.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use schema::api::Info;
use schema::hash::TreeHash;
use schema::key::PublicKey;
use schema::tlog::checkpoint::SignedCheckpoint;
use schema::tlog::note::VerifierKey;
use serde::{Deserialize, Serialize};

use super::{ATTESTATIONS, KEYS, LOGS};
use crate::exit::Failure;
use crate::ledger_reader::{Code, Finding};

const FILE: &str = "audit.json";

/// By which a pool and its logs are known. Whoever has other keys is another pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::command::ledger) struct Pinned {
    /// What the names of its logs begin with.
    pub(in crate::command::ledger) origin: String,
    /// By which the operator speaks of keys, and signs the logs.
    pub(super) pool: PublicKey,
    /// Of the log of this name.
    pub(super) keys: VerifierKey,
    /// Of the log of this name.
    pub(in crate::command::ledger) attestations: VerifierKey,
    /// Of the log of this name.
    pub(super) index: VerifierKey,
}

impl Pinned {
    /// What a pool says of itself.
    pub(in crate::command::ledger) fn of(info: &Info) -> Result<Self> {
        let key = |text: &str| {
            text.parse::<VerifierKey>().map_err(|why| {
                Failure::could_not_tell(format!("the pool's key {text:?} does not read: {why}"))
            })
        };
        Ok(Self {
            origin: info.origin.clone(),
            pool: info.public_key.clone(),
            keys: key(&info.logs.keys)?,
            attestations: key(&info.logs.attestations)?,
            index: key(&info.logs.index)?,
        })
    }

    /// The keys in the order of [`LOGS`].
    pub(super) fn logs(&self) -> [(&'static str, &VerifierKey); 3] {
        let [index, attestations, keys] = LOGS;
        [(index, &self.index), (attestations, &self.attestations), (keys, &self.keys)]
    }

    /// Whether the pool is the one that was known as `self`, and if not, what is another.
    pub(super) fn differs(&self, shown: &Self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for ((log, known), (_, now)) in self.logs().into_iter().zip(shown.logs()) {
            if known != now {
                findings.push(changed(log, known, now));
            }
        }
        if self.pool != shown.pool {
            let (known, now) = (&self.pool, &shown.pool);
            let detail = format!("the pool's own key was {known}, and is now {now}");
            findings.push(Finding::new(KEYS, Code::KeyChanged, detail));
        }
        findings
    }

    /// Checks against keys that are known from elsewhere. `self` is what the pool says.
    pub(super) fn check(&self, known: &[&VerifierKey]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for known in known {
            match self.logs().into_iter().find(|(_, now)| now.name() == known.name()) {
                Some((_, now)) if *known == now => {}
                Some((log, now)) => findings.push(changed(log, known, now)),
                None => {
                    let detail = format!("the pool has no log called {}", known.name());
                    findings.push(Finding::new(KEYS, Code::KeyChanged, detail));
                }
            }
        }
        // Whoever knows only the logs' keys knows by them who may enrol signers.
        if self.pool.point() != Ok(self.keys.point()) {
            let detail = format!("{} signs no log of the pool that it says is its", self.pool);
            findings.push(Finding::new(KEYS, Code::KeyChanged, detail));
        }
        findings
    }
}

fn changed(log: &'static str, known: &VerifierKey, now: &VerifierKey) -> Finding {
    let detail = format!("its key was {known}, and is now {now}");
    Finding::new(log, Code::KeyChanged, detail)
}

/// So many entries of each log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sizes {
    pub(super) keys: u64,
    pub(super) attestations: u64,
    pub(super) index: u64,
}

impl Sizes {
    /// Of the log that people call `log`.
    pub(super) fn of(&self, log: &str) -> u64 {
        match log {
            KEYS => self.keys,
            ATTESTATIONS => self.attestations,
            _ => self.index,
        }
    }
}

/// The file that says how far a pool was audited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    pub(super) pinned: Pinned,
    /// Entries of which everything was checked, and found to be in order.
    pub(super) checked: Sizes,
    /// When the keys log had this many entries, the attestations log was known to have as many as
    /// these: later events cannot have happened before.
    pub(super) read: Sizes,
}

/// A pool's directory, which nobody else works in meanwhile.
pub(super) struct Visit {
    dir: PathBuf,
    _lock: File,
}

impl Visit {
    /// Opens the directory of the pool that calls itself `origin`, making it when there is none.
    pub(super) fn open(state: &Path, origin: &str) -> Result<Self> {
        let dir = pool_dir(state, origin);
        let open = || {
            fs::create_dir_all(&dir)?;
            let lock = File::create(dir.join("lock"))?;
            lock.lock()?;
            Ok::<_, std::io::Error>(lock)
        };
        let lock = open().with_context(|| format!("opening {}", dir.display()))?;
        Ok(Self { dir, _lock: lock })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// How far the pool was audited; nothing at the first visit.
    pub(super) fn progress(&self) -> Result<Option<Progress>> {
        read_progress(&self.dir)
    }

    /// Notes how far the pool was audited.
    pub(super) fn keep(&self, progress: &Progress) -> Result<()> {
        let text = serde_json::to_vec_pretty(progress).context("writing JSON")?;
        replace(&self.dir.join(FILE), &text)
    }

    /// Keeps what shows that the log lied, for others to see. Answers with where.
    pub(super) fn keep_evidence(
        &self,
        log: &str,
        seen: Option<&SignedCheckpoint>,
        shown: &SignedCheckpoint,
    ) -> Result<Vec<PathBuf>> {
        let dir = self.dir.join("evidence");
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        let both = [("seen", seen), ("shown", Some(shown))];
        let both = both.into_iter().filter_map(|(what, checkpoint)| Some((what, checkpoint?)));
        let mut kept = Vec::new();
        for (what, checkpoint) in both {
            let (size, root) = (checkpoint.size(), checkpoint.root().to_hex());
            let path = dir.join(format!("{log}-{size}-{}-{what}.checkpoint", &root[..8]));
            replace(&path, checkpoint.to_string().as_bytes())?;
            kept.push(path);
        }
        Ok(kept)
    }
}

/// What is known of the pool that calls itself `origin`, if it was ever audited.
pub(in crate::command::ledger) fn pinned(state: &Path, origin: &str) -> Result<Option<Pinned>> {
    Ok(read_progress(&pool_dir(state, origin))?.map(|progress| progress.pinned))
}

/// Whether the pool at this address is called as it was. A pool that has another name all at once
/// would be audited from scratch.
pub(super) fn check_name(state: &Path, server: &str, origin: &str) -> Result<Option<Finding>> {
    let dir = state.join("servers");
    let file = dir.join(TreeHash::of(server.as_bytes()).to_hex());
    match fs::read_to_string(&file) {
        Ok(known) if known == origin => Ok(None),
        Ok(known) => {
            let detail = format!(
                "the pool at {server} was called {known}, and is now called {origin}; if that is \
                 meant, remove {}",
                file.display()
            );
            Ok(Some(Finding::new(KEYS, Code::KeyChanged, detail)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
            replace(&file, origin.as_bytes()).map(|()| None)
        }
        Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
    }
}

/// Replaces a file, durably: after a crash it is the old or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let dir = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        File::open(dir)?.sync_all()
    };
    write().with_context(|| format!("writing {}", path.display()))
}

fn pool_dir(state: &Path, origin: &str) -> PathBuf {
    // Origins may hold characters that no file name can.
    state.join(TreeHash::of(origin.as_bytes()).to_hex())
}

fn read_progress(dir: &Path) -> Result<Option<Progress>> {
    let path = dir.join(FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    let progress = serde_json::from_slice(&text);
    progress.with_context(|| format!("reading {}", path.display())).map(Some)
}
