//! NARs are read again: that they are what they are named for, what they refer to, and what is in them.

use std::fs::{self, DirEntry, File, ReadDir};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use schema::compression::Compression;
use schema::hash::NarHash;

use super::NarsFound;
use crate::blobs::{nar_name, parse_nar_name};
use crate::config::Config;
use crate::index::{BlobRecord, FileRecord, Index, Listing};
use crate::ingest::{self, Declared, Limits, VerifiedNar};
use crate::rejected::Error;

/// How often it is told how far it is.
const TELLING: Duration = Duration::from_secs(1);
/// NARs that are read at once, at most.
const MAX_READERS: usize = 16;

/// All NARs of a pool, on their way into a new index.
pub(super) struct Nars<'r> {
    blobs: PathBuf,
    limits: Limits,
    old: &'r Index,
    new: &'r Index,
    /// Files that were never finished, or were to be removed.
    pending: Vec<String>,
    progress: Mutex<Progress<'r>>,
}

struct Progress<'r> {
    report: &'r mut (dyn FnMut(String) + Send),
    told: Instant,
    found: NarsFound,
}

impl<'r> Nars<'r> {
    pub(super) fn new(
        config: &Config,
        old: &'r Index,
        new: &'r Index,
        report: &'r mut (dyn FnMut(String) + Send),
    ) -> Self {
        // They came through the door once. It may be narrower now.
        let limits = Limits {
            nar_size: u64::MAX,
            file_size: u64::MAX,
            decoder_memory: config.max_decoder_memory,
            listing_size: usize::try_from(config.max_listing_size).unwrap_or(usize::MAX),
        };
        let progress = Progress { report, told: Instant::now(), found: NarsFound::default() };
        Self {
            blobs: config.data.join("blobs"),
            limits,
            old,
            new,
            pending: old.pending().unwrap_or_default(),
            progress: Mutex::new(progress),
        }
    }

    /// Reads them all, several at once.
    pub(super) fn read(self) -> Result<NarsFound, Error> {
        let dir = self.blobs.join("nar");
        let files = Mutex::new(fs::read_dir(&dir).map_err(Error::file("list", &dir))?);
        let readers = thread::available_parallelism().map_or(1, usize::from).min(MAX_READERS);
        thread::scope(|scope| {
            let readers: Vec<_> =
                (0..readers).map(|_| scope.spawn(|| self.read_some(&files))).collect();
            readers.into_iter().try_for_each(|reader| {
                let stopped = |_| Error::Blobs("a reader of NARs stopped".to_owned());
                reader.join().map_err(stopped)?
            })
        })?;
        Ok(self.progress.into_inner().unwrap_or_else(PoisonError::into_inner).found)
    }

    fn read_some(&self, files: &Mutex<ReadDir>) -> Result<(), Error> {
        loop {
            let file = files.lock().unwrap_or_else(PoisonError::into_inner).next();
            match file {
                Some(file) => self.read_one(&file.map_err(Error::file("list", &self.blobs))?)?,
                None => return Ok(()),
            }
        }
    }

    fn read_one(&self, entry: &DirEntry) -> Result<(), Error> {
        let name = format!("nar/{}", entry.file_name().to_string_lossy());
        let Some((nar_hash, compression)) = parse_nar_name(&name) else { return Ok(()) };
        let known = self.old.blob(&nar_hash).unwrap_or_default();
        if self.is_unfinished(&name, &nar_hash, compression, known.as_ref()) {
            self.tell(|found| found.unfinished += 1);
            return Ok(());
        }
        let path = entry.path();
        let file = File::open(&path).map_err(Error::file("open", &path))?;
        let metadata = file.metadata().map_err(Error::file("stat", &path))?;
        let declared = Declared {
            compression: Some(compression),
            nar_hash: Some(nar_hash),
            file_size: Some(metadata.len()),
            ..Declared::default()
        };
        match ingest::check(file, &declared, &self.limits) {
            Ok(nar) => {
                let stored_at = known.map_or(metadata.mtime().unsigned_abs(), |it| it.stored_at);
                self.keep(nar, stored_at)?;
                self.tell(|found| {
                    found.whole += 1;
                    found.bytes += metadata.len();
                });
            }
            Err(why) => {
                tracing::error!(%name, %why, "a NAR is damaged");
                self.tell(|found| found.damaged.push(name));
            }
        }
        Ok(())
    }

    /// What was removed must not come back, nor what was never acknowledged; and of two files of one NAR,
    /// narinfos name that which is known.
    fn is_unfinished(
        &self,
        name: &String,
        nar_hash: &NarHash,
        compression: Compression,
        known: Option<&BlobRecord>,
    ) -> bool {
        match known {
            Some(known) if known.file.compression == compression => false,
            Some(known) => self.blobs.join(nar_name(nar_hash, known.file.compression)).exists(),
            None => {
                let gone = matches!(self.old.listing_state(nar_hash), Ok(Listing::Gone(_)));
                gone || self.pending.contains(name)
            }
        }
    }

    fn keep(&self, nar: VerifiedNar, stored_at: u64) -> Result<(), Error> {
        let (nar_hash, nar_size) = (nar.nar_hash(), nar.nar_size());
        let file = FileRecord {
            compression: nar.compression(),
            file_hash: nar.file_hash(),
            file_size: nar.file_size(),
        };
        let (candidates, listing) = nar.into_findings();
        let mut batch = self.new.batch();
        batch.put_blob(&nar_hash, &BlobRecord { nar_size, file, stored_at, candidates })?;
        batch.put_alias(&file.file_hash, &nar_hash)?;
        if let Some(listing) = listing {
            batch.put_listing(&nar_hash, &listing)?;
        }
        batch.commit()
    }

    fn tell(&self, count: impl FnOnce(&mut NarsFound)) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut progress.found);
        if progress.told.elapsed() >= TELLING {
            progress.told = Instant::now();
            let text = format!("{} NARs, {} MiB", progress.found.whole, progress.found.bytes >> 20);
            (progress.report)(text);
        }
    }
}
