//! A pool is put back from a backup.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use schema::base_url::BaseUrl;
use serde::Serialize;

use super::{Manifest, PAGE, Report, SECRETS, given_up, place, read_if_any, sync_all};
use crate::blobs::nar_name;
use crate::clock;
use crate::durable;
use crate::index::{ElsewhereRecord, Index};
use crate::ledger::heads::Heads;
use crate::ledger::identity::Identity;
use crate::ledger::restored::Restored;
use crate::rejected::Error;
use schema::tlog::note::NoteName;

/// The directories whose files never change.
const UNCHANGING: [&str; 2] = ["blobs/nar", "blobs/log"];

/// What is to be restored, and to where.
#[derive(Debug)]
pub struct Wanted {
    /// The backup.
    pub backup: PathBuf,
    /// The data directory, which is empty or not there.
    pub data: PathBuf,
    /// A pool or mirror that is noted to have the NARs that the backup lacks.
    pub nars_from: Option<BaseUrl>,
}

/// What was restored.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Of the backup.
    pub manifest: Manifest,
    /// NARs that are here again.
    pub nars: u64,
    /// NARs that the pool had and that are not here: the index says so now.
    pub absent: u64,
}

/// Makes a data directory out of a backup. The pool in it will sign nothing until it is told how it
/// continues.
///
/// # Errors
/// No backup, or one that is damaged; a directory in which something is. What was begun stays, and no
/// server starts in it.
pub fn restore(wanted: &Wanted, report: Report<'_>) -> Result<Outcome, Error> {
    let manifest = Manifest::read(&wanted.backup)?;
    let data = &wanted.data;
    refuse_used(data)?;
    fs::create_dir_all(data).map_err(Error::file("make", data))?;
    let backup =
        std::path::absolute(&wanted.backup).map_err(Error::file("find", &wanted.backup))?;
    let mut note = Restored {
        backup: backup.clone(),
        made_at: manifest.made_at,
        restored_at: clock::now(),
        sizes: manifest.sizes,
        whole: false,
    };
    note.keep(data)?;
    copy_small(&backup, data)?;
    copy_index(&backup, data)?;
    for kind in UNCHANGING {
        copy_unchanging(&backup.join(kind), &data.join(kind), report)?;
    }
    let (nars, absent) = check(&manifest, data, wanted.nars_from.as_ref())?;
    sync_all(data)?;
    note.whole = true;
    note.keep(data)?;
    Ok(Outcome { manifest, nars, absent })
}

fn refuse_used(data: &Path) -> Result<(), Error> {
    let is_empty = match fs::read_dir(data) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(Error::file("list", data)(error)),
    };
    if is_empty {
        return Ok(());
    }
    Err(Error::Setup {
        detail: format!("{} is not empty", data.display()),
        hint:
            "name a new directory with --data, and start the pool with that; or move this one away"
                .to_owned(),
    })
}

/// Keys, tokens and heads, which are read or written in place.
fn copy_small(backup: &Path, data: &Path) -> Result<(), Error> {
    for name in SECRETS {
        if let Some(bytes) = read_if_any(&backup.join(name))? {
            durable::replace(&data.join(name), &bytes, durable::SECRET)?;
        }
    }
    let heads = data.join("heads");
    fs::create_dir_all(&heads).map_err(Error::file("make", &heads))?;
    for entry in list(&backup.join("heads"))? {
        let bytes = fs::read(&entry).map_err(Error::file("read", &entry))?;
        let name = entry.file_name().unwrap_or_default();
        durable::replace(&heads.join(name), &bytes, durable::PUBLIC)?;
    }
    Ok(())
}

/// The database appends to some of its files, and never changes its tables.
fn copy_index(backup: &Path, data: &Path) -> Result<(), Error> {
    let index = data.join("index");
    fs::create_dir_all(&index).map_err(Error::file("make", &index))?;
    for from in list(&backup.join("index"))? {
        let to = index.join(from.file_name().unwrap_or_default());
        if from.extension().is_some_and(|it| it == "sst") {
            place(&from, &to)?;
        } else if from.file_name().is_some_and(|it| it != "LOCK" && it != "LOG") {
            fs::copy(&from, &to).map_err(Error::file("copy to", &to))?;
        }
    }
    Ok(())
}

fn copy_unchanging(from: &Path, to: &Path, report: Report<'_>) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(Error::file("make", to))?;
    if !from.exists() {
        return Ok(());
    }
    let mut told = std::time::Instant::now();
    for (count, entry) in fs::read_dir(from).map_err(Error::file("list", from))?.enumerate() {
        let entry = entry.map_err(Error::file("list", from))?;
        place(&entry.path(), &to.join(entry.file_name()))?;
        if told.elapsed() >= super::TELLING {
            told = std::time::Instant::now();
            if !report(format!("{count} files of {}", from.display())) {
                return Err(given_up());
            }
        }
    }
    Ok(())
}

/// Compares what was copied with what the manifest and the heads say, and has the index forget NARs
/// that are not here.
fn check(
    manifest: &Manifest,
    data: &Path,
    nars_from: Option<&BaseUrl>,
) -> Result<(u64, u64), Error> {
    let damaged = |why: String| Error::Setup {
        detail: format!("the backup is damaged: {why}"),
        hint: "take an older one; remove what was restored of this".to_owned(),
    };
    let index = Index::open_to_fill(&data.join("index"))?;
    let origin: NoteName =
        manifest.origin.parse().map_err(|_| damaged("its origin is no name".to_owned()))?;
    let heads = Heads::read(data, &Identity::open(data, Some(&origin))?)?;
    let sizes = heads.check(&index)?;
    if sizes != manifest.sizes {
        let why =
            format!("its logs have {sizes:?} entries, and its manifest says {:?}", manifest.sizes);
        return Err(damaged(why));
    }
    let (mut here, mut absent, mut last) = (0, 0, None);
    loop {
        let page = index.blobs_after(last.as_ref(), PAGE)?;
        let Some((nar_hash, _)) = page.last() else { break };
        last = Some(*nar_hash);
        for (nar_hash, blob) in page {
            let file = data.join("blobs").join(nar_name(&nar_hash, blob.file.compression));
            if fs::metadata(&file).is_ok_and(|file| file.size() == blob.file.file_size) {
                here += 1;
                continue;
            }
            let elsewhere = nars_from.map(|source| ElsewhereRecord {
                source: source.to_string(),
                file: Some(blob.file),
                wanted: true,
            });
            index.forget_nar(&nar_hash, elsewhere.as_ref())?;
            // A file of the wrong size proves nothing.
            let _ = fs::remove_file(&file);
            absent += 1;
        }
    }
    index.sync()?;
    Ok((here, absent))
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(dir).map_err(Error::file("list", dir))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    paths.collect::<Result<_, _>>().map_err(Error::file("list", dir))
}
