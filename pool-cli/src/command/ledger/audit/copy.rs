//! The auditor's own copy of a log: every entry that was ever verified to be in it.
//!
//! Two files. `<log>.entries` has the entries, each after its length in two bytes; what stands
//! beyond the size in `<log>.checkpoint` was not finished, and is written anew. A copy is checked
//! against its checkpoint whenever it is opened.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use schema::hash::TreeHash;
use schema::tlog::checkpoint::SignedCheckpoint;
use schema::tlog::edge::Edge;
use schema::tlog::merkle::leaf_hash;
use schema::tlog::note::VerifierKey;

use super::visit::replace;
use crate::exit::Failure;

/// A copy of a log.
pub(super) struct Copy {
    entries: PathBuf,
    checkpoint: PathBuf,
    edge: Edge,
    seen: Option<SignedCheckpoint>,
    /// So many bytes of the file are finished.
    len: u64,
}

impl Copy {
    /// Opens the copy of the log that people call `log`, which had `least` entries before.
    pub(super) fn open(dir: &Path, log: &str, key: &VerifierKey, least: u64) -> Result<Self> {
        let mut copy = Self {
            entries: dir.join(format!("{log}.entries")),
            checkpoint: dir.join(format!("{log}.checkpoint")),
            edge: Edge::new(),
            seen: None,
            len: 0,
        };
        if let Some(seen) = read_checkpoint(&copy.checkpoint, key)? {
            for entry in copy.read(seen.size())? {
                let entry = entry?;
                copy.len += 2 + entry.len() as u64;
                copy.edge.push(leaf_hash(&entry));
            }
            if copy.edge.root() != *seen.root() {
                return Err(copy.damaged("its entries are not those of its checkpoint").into());
            }
            copy.seen = Some(seen);
        }
        if copy.size() < least {
            let size = copy.size();
            return Err(copy.damaged(&format!("it had {least} entries, and has {size}")).into());
        }
        Ok(copy)
    }

    /// The edge of what there is.
    pub(super) fn edge(&self) -> &Edge {
        &self.edge
    }

    /// The checkpoint over what there is; none when nothing was ever copied.
    pub(super) fn seen(&self) -> Option<&SignedCheckpoint> {
        self.seen.as_ref()
    }

    /// How many entries there are.
    pub(super) fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The entries, from the first on.
    pub(super) fn entries(&self) -> Result<impl Iterator<Item = Result<Vec<u8>>> + use<>> {
        self.read(self.size())
    }

    /// The hashes of the entries, from the first on.
    pub(super) fn leaves(&self) -> Result<impl Iterator<Item = Result<TreeHash>> + use<>> {
        Ok(self.entries()?.map(|entry| entry.map(|entry| leaf_hash(&entry))))
    }

    /// Begins to write what comes after that.
    pub(super) fn append(&self) -> Result<Appended> {
        let open = || {
            let mut file =
                OpenOptions::new().create(true).write(true).truncate(false).open(&self.entries)?;
            file.set_len(self.len)?;
            file.seek(SeekFrom::Start(self.len))?;
            Ok::<_, std::io::Error>(file)
        };
        let file = open().with_context(|| self.writing())?;
        Ok(Appended { file: BufWriter::new(file), len: self.len })
    }

    /// Takes up what was appended, durably: it is what `seen` is over, and `edge` its edge.
    pub(super) fn commit(
        &mut self,
        appended: Appended,
        edge: &Edge,
        seen: SignedCheckpoint,
    ) -> Result<()> {
        let file = appended.file.into_inner().map_err(|error| error.into_error());
        let synced = file.and_then(|file| file.sync_all());
        synced.with_context(|| self.writing())?;
        replace(&self.checkpoint, seen.to_string().as_bytes())?;
        self.edge = edge.clone();
        self.len = appended.len;
        self.seen = Some(seen);
        Ok(())
    }

    fn read(&self, size: u64) -> Result<impl Iterator<Item = Result<Vec<u8>>> + use<>> {
        let path = self.entries.clone();
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound && size == 0 => None,
            file => Some(file.with_context(|| format!("reading {}", path.display()))?),
        };
        let mut file = file.map(|file| BufReader::with_capacity(1 << 20, file));
        Ok((0..size).map(move |_| {
            let entry = file.as_mut().map_or_else(|| Ok(Vec::new()), read_entry);
            entry.with_context(|| format!("reading {}", path.display()))
        }))
    }

    fn writing(&self) -> String {
        format!("writing {}", self.entries.display())
    }

    fn damaged(&self, why: &str) -> Failure {
        Failure::could_not_tell(format!("{} is damaged: {why}", self.entries.display()))
            .hint("put the directory back from a backup: what was seen of the log is in it")
    }
}

/// What is being added to a copy.
pub(super) struct Appended {
    file: BufWriter<File>,
    len: u64,
}

impl Appended {
    /// Adds the next entry.
    pub(super) fn push(&mut self, entry: &[u8]) -> Result<()> {
        let len = u16::try_from(entry.len()).context("an entry of more than 65535 bytes")?;
        let mut write = || {
            self.file.write_all(&len.to_be_bytes())?;
            self.file.write_all(entry)
        };
        write().context("writing the copy of a log")?;
        self.len += 2 + u64::from(len);
        Ok(())
    }
}

fn read_entry(file: &mut BufReader<File>) -> std::io::Result<Vec<u8>> {
    let mut len = [0; 2];
    file.read_exact(&mut len)?;
    let mut entry = vec![0; usize::from(u16::from_be_bytes(len))];
    file.read_exact(&mut entry)?;
    Ok(entry)
}

fn read_checkpoint(path: &Path, key: &VerifierKey) -> Result<Option<SignedCheckpoint>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    let checkpoint = SignedCheckpoint::open(&bytes, key);
    checkpoint.with_context(|| format!("reading {}", path.display())).map(Some)
}
