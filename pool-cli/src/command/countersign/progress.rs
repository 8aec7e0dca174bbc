//! How far the ledger was followed, and what is still to be signed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use schema::hash::{KeyId, MapKey};
use schema::key::PublicKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::remote::Remote;

/// New entries of each builder in one round.
const ROUND: usize = 5_000;
/// Time alone may change what is thought of an entry.
const LOOKED_ANEW: Duration = Duration::from_secs(60);

/// What is kept in a file between runs. None of it is trusted: it only says where to look.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// Of each builder, how many of its entries were seen.
    seen: BTreeMap<KeyId, u64>,
    /// Entries whose claims were not allowed when they were seen, and the builders who made them.
    open: BTreeMap<u64, KeyId>,
}

pub(super) struct Progress {
    path: PathBuf,
    kept: Kept,
    /// The state of the ledger when open entries were last looked at, and when that was.
    looked: Option<(Vec<String>, Instant)>,
}

/// What is to be looked at in a round.
pub(super) struct News {
    /// Entries of the attestations log, and by whom the pool says they are.
    pub(super) entries: BTreeMap<u64, KeyId>,
    seen: BTreeMap<KeyId, u64>,
    state: Vec<String>,
}

impl Progress {
    /// What one key's countersigning in one pool has come to.
    pub(super) fn open(dir: &Path, key: &PublicKey, server: &str) -> Result<Self> {
        let digest = Sha256::digest(format!("{key}\n{server}"));
        let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = dir.join(format!("{name}.json"));
        let about = || format!("reading {}", path.display());
        let kept = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(about)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Kept::default(),
            Err(error) => return Err(error).with_context(about),
        };
        Ok(Self { path, kept, looked: None })
    }

    /// What is to be looked at: new entries of each builder, and those left open, if anything
    /// happened that may have changed what is thought of them.
    pub(super) async fn news(
        &mut self,
        remote: &Remote<'_>,
        builders: &[PublicKey],
    ) -> Result<News> {
        let mut news =
            News { entries: BTreeMap::new(), seen: self.kept.seen.clone(), state: Vec::new() };
        for builder in builders {
            let seen = news.seen.entry(builder.id()).or_default();
            let lookup = remote.lookup(&MapKey::of_signer(&builder.id()), *seen).await?;
            let new = &lookup.indices[..lookup.indices.len().min(ROUND)];
            news.entries.extend(new.iter().map(|index| (*index, builder.id())));
            *seen += new.len() as u64;
            news.state.push(lookup.leaf);
        }
        let same = |(state, when): &(Vec<String>, Instant)| {
            *state == news.state && when.elapsed() < LOOKED_ANEW
        };
        if !self.looked.as_ref().is_some_and(same) {
            let asked = |key: &KeyId| builders.iter().any(|builder| builder.id() == *key);
            news.entries.extend(self.kept.open.iter().filter(|(_, key)| asked(key)));
        }
        Ok(news)
    }

    /// Keeps, durably, that all of `news` was looked at, and that of it these entries are open still.
    pub(super) fn keep(&mut self, news: News, open: BTreeSet<u64>) -> Result<()> {
        let News { entries, seen, state } = news;
        let mut kept = Kept { seen, open: self.kept.open.clone() };
        for (entry, key) in entries {
            if open.contains(&entry) {
                kept.open.insert(entry, key);
            } else {
                kept.open.remove(&entry);
            }
        }
        if kept != self.kept {
            self.write(&kept)?;
            self.kept = kept;
        }
        self.looked = Some((state, Instant::now()));
        Ok(())
    }

    fn write(&self, kept: &Kept) -> Result<()> {
        let about = || format!("writing {}", self.path.display());
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir).with_context(about)?;
        file.write_all(&serde_json::to_vec(kept)?).with_context(about)?;
        file.as_file().sync_all().with_context(about)?;
        file.persist(&self.path).with_context(about)?;
        Ok(())
    }
}
