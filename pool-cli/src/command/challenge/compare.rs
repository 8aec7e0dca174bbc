//! Comparing the NARs that are claimed of one path.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use schema::api::FileReport;
use schema::claim::Claim;
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::store_path::StorePath;
use serde::Serialize;

use super::report::Challenged;
use crate::decode::decode;
use crate::exit::Failure;
use crate::nar::diff::{Difference, Differences, What, diff};
use crate::nar::{Meter, Walk, unpack};
use crate::output::{Output, plural};
use crate::remote::Remote;
use crate::store::{PathInfo, Store};

/// Where the NARs are.
pub(super) struct Compare<'a> {
    pub(super) remote: &'a Remote<'a>,
    pub(super) store: Option<Arc<Store>>,
    pub(super) known: &'a HashMap<StorePath, PathInfo>,
    pub(super) output: &'a Output,
}

/// One NAR against another.
#[derive(Serialize)]
pub(super) struct Comparison {
    first: NarHash,
    second: NarHash,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    found: Option<Differences>,
}

/// One of the NARs that a path may have, and where to get it.
#[derive(Clone)]
struct Version {
    hash: NarHash,
    size: u64,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Pool(FileReport),
    Store(Claim),
    Nowhere,
}

/// A NAR that was fetched, as it was packed.
struct Fetched {
    file: File,
    compression: Compression,
    hash: NarHash,
    size: u64,
}

impl Compare<'_> {
    /// Compares the first NAR that can be had with each of the others.
    pub(super) async fn built_in(&self, path: &Challenged) -> Result<Vec<Comparison>> {
        let mut comparisons = Vec::new();
        let (first, others) = self.versions(path);
        if others.is_empty() {
            return Ok(comparisons);
        }
        let base = self.fetch(&first).await;
        for second in others {
            let found = match &base {
                Ok(base) => self.differences(base, &second).await,
                Err(error) => Err(anyhow::anyhow!("{error:#}")),
            };
            if let Err(error) = &found {
                self.output.warn(&format!("{}: {error:#}", path.name()));
            }
            let error = found.as_ref().err().map(|error| format!("{error:#}"));
            let (first, second) = (first.hash, second.hash);
            comparisons.push(Comparison { first, second, error, found: found.ok() });
        }
        Ok(comparisons)
    }

    /// The same by diffoscope, which writes to standard output.
    pub(super) async fn diffoscope(&self, path: &Challenged) -> Result<()> {
        let (first, others) = self.versions(path);
        if others.is_empty() {
            return Ok(());
        }
        let base = self.fetch(&first).await?;
        for second in others {
            let other = self.fetch(&second).await?;
            let labels = [path.label(first.hash), path.label(second.hash)];
            let name = path.name();
            let base = base.again()?;
            let run = move || run_diffoscope(&name, [(base, &labels[0]), (other, &labels[1])]);
            tokio::task::spawn_blocking(run).await.context("running diffoscope")??;
        }
        Ok(())
    }

    async fn differences(&self, base: &Fetched, second: &Version) -> Result<Differences> {
        let (base, second) = (base.again()?, self.fetch(second).await?);
        let compare = move || diff(base.walk()?, second.walk()?);
        tokio::task::spawn_blocking(compare).await.context("comparing NARs")?
    }

    /// The NAR to compare with, and the others; each once.
    fn versions(&self, path: &Challenged) -> (Version, Vec<Version>) {
        let local = path.store_path.as_ref().and_then(|path| self.known.get(path));
        let local = local.map(|info| &info.claim);
        let mut versions: Vec<Version> = Vec::new();
        for claim in &path.said {
            let stored = local.filter(|local| local.nar_hash() == claim.nar_hash);
            let place = match (&claim.file, stored) {
                (Some(file), _) => Place::Pool(file.clone()),
                (None, Some(local)) => Place::Store(local.clone()),
                (None, None) => Place::Nowhere,
            };
            versions.push(Version { hash: claim.nar_hash, size: claim.nar_size, place });
        }
        versions.extend(local.map(|claim| Version {
            hash: claim.nar_hash(),
            size: claim.nar_size(),
            place: Place::Store(claim.clone()),
        }));
        let mut distinct: Vec<Version> = Vec::new();
        for version in versions {
            if !distinct.iter().any(|other| other.hash == version.hash) {
                distinct.push(version);
            }
        }
        let here = distinct.iter().position(|it| !matches!(it.place, Place::Nowhere)).unwrap_or(0);
        (distinct.remove(here), distinct)
    }

    async fn fetch(&self, version: &Version) -> Result<Fetched> {
        let (file, compression) = match &version.place {
            Place::Pool(file) => {
                (self.remote.nar_file(version.hash, file).await?, file.compression)
            }
            Place::Store(claim) => (self.dump(claim.clone()).await?, Compression::None),
            Place::Nowhere => {
                let message = format!("nobody pushed the NAR {}", version.hash);
                return Err(Failure::could_not_tell(message).into());
            }
        };
        Ok(Fetched { file, compression, hash: version.hash, size: version.size })
    }

    async fn dump(&self, claim: Claim) -> Result<File> {
        let gone = || Failure::could_not_tell(format!("no store has {}", claim.path()));
        let store = self.store.clone().ok_or_else(gone)?;
        let dump = move || dump(&store, &claim);
        tokio::task::spawn_blocking(dump).await.context("reading the store")?
    }
}

impl Fetched {
    /// The same, to be read once more, when nobody reads this one.
    fn again(&self) -> Result<Self> {
        let mut file = self.file.try_clone().context("reading a temporary file")?;
        file.rewind().context("reading a temporary file")?;
        Ok(Self { file, ..*self })
    }

    fn walk(self) -> Result<Walk> {
        let (hash, size) = (self.hash, self.size);
        Ok(Walk::start(self.unpacked()?, hash, size))
    }

    fn unpacked(self) -> Result<Box<dyn Read + Send>> {
        decode(self.compression, BufReader::new(self.file))
    }
}

fn dump(store: &Store, claim: &Claim) -> Result<File> {
    let file = tempfile::tempfile().context("making a temporary file")?;
    let mut out = Measured { file: BufWriter::new(file), meter: Meter::default() };
    store.dump(claim, &mut out)?;
    let mut file = out.file.into_inner().context("writing a temporary file")?;
    let found = out.meter.finish();
    if found != (claim.nar_hash(), claim.nar_size()) {
        return Err(crate::nar::mismatch(claim, found).into());
    }
    file.rewind().context("reading a temporary file")?;
    Ok(file)
}

struct Measured {
    file: BufWriter<File>,
    meter: Meter,
}

impl Write for Measured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.file.write(bytes)?;
        self.meter.update(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn run_diffoscope(name: &str, sides: [(Fetched, &String); 2]) -> Result<()> {
    let dir = tempfile::tempdir().context("making a temporary directory")?;
    let base = name.rsplit('/').next().unwrap_or(name);
    let mut command = Command::new("diffoscope");
    for (fetched, label) in sides {
        let side = dir.path().join(label);
        std::fs::create_dir(&side).context("making a temporary directory")?;
        let (place, hash, size) = (side.join(base), fetched.hash, fetched.size);
        unpack(fetched.unpacked()?, hash, size, &place)?;
        command.arg(place);
    }
    let status = command.status().map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        let hint = "install it, or compare with what is built in: --diff";
        Failure::could_not_tell(format!("diffoscope does not start: {error}"))
            .maybe_hint(missing.then(|| hint.to_owned()))
    })?;
    match status.code() {
        Some(0 | 1) => Ok(()),
        _ => Err(Failure::could_not_tell(format!("diffoscope ended with {status}")).into()),
    }
}

impl Comparison {
    /// What differs, the NARs called as `path` calls them.
    pub(super) fn text(&self, out: &mut String, path: &Challenged) {
        let (first, second) = (path.label(self.first), path.label(self.second));
        let _ = match (&self.found, &self.error) {
            (Some(found), _) => {
                let total =
                    plural(usize::try_from(found.total).unwrap_or(usize::MAX), "difference");
                writeln!(out, "  {first} and {second}: {total}")
            }
            (None, error) => {
                let error = error.as_deref().unwrap_or_default();
                writeln!(out, "  {first} and {second}: not compared: {error}")
            }
        };
        let Some(found) = &self.found else { return };
        for difference in &found.differences {
            line(out, difference, &first, &second);
        }
        let rest = found.total - found.differences.len() as u64;
        if rest > 0 {
            let _ = writeln!(out, "    … and {rest} more");
        }
    }
}

fn line(out: &mut String, difference: &Difference, one: &str, other: &str) {
    let path = if difference.path.is_empty() { "." } else { &difference.path };
    let _ = match &difference.what {
        What::OnlyInFirst { kind } => writeln!(out, "    {path}: {kind}, only in {one}"),
        What::OnlyInSecond { kind } => writeln!(out, "    {path}: {kind}, only in {other}"),
        What::Type { first, second } => {
            writeln!(out, "    {path}: {first} in {one}, {second} in {other}")
        }
        What::Executable { first, .. } => {
            let which = if *first { one } else { other };
            writeln!(out, "    {path}: executable in {which} alone")
        }
        What::Target { first, second } => {
            writeln!(out, "    {path}: symlink to {first} in {one}, to {second} in {other}")
        }
        What::Contents { first, second, offset } => {
            let _ = writeln!(
                out,
                "    {path}: {} bytes in {one}, {} in {other}, different from byte {offset} on",
                first.size, second.size
            );
            let _ = writeln!(out, "      sha256 {} in {one}", first.sha256);
            writeln!(out, "      sha256 {} in {other}", second.sha256)
        }
    };
}
