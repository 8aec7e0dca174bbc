//! Bytes that a disk lost.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rocksdb::{DB, IteratorMode, Options};
use tests::random::Random;

/// Families that say nothing of what is kept.
const PASSING: [&str; 2] = ["checks", "marks"];

/// What is damaged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    NarFlipped,
    NarCut,
    NarGone,
    TableFlipped,
    TableCut,
    LogFlipped,
    LogCut,
    ManifestFlipped,
}

impl Kind {
    pub(super) const ALL: [Self; 8] = [
        Self::NarFlipped,
        Self::NarCut,
        Self::NarGone,
        Self::TableFlipped,
        Self::TableCut,
        Self::LogFlipped,
        Self::LogCut,
        Self::ManifestFlipped,
    ];

    pub(super) fn is_nar(self) -> bool {
        matches!(self, Self::NarFlipped | Self::NarCut | Self::NarGone)
    }

    /// Damages one file of a stopped pool. Answers with which.
    pub(super) fn happen(self, data: &Path, random: &mut Random) -> PathBuf {
        let victim = self.victim(data, random);
        match self {
            Self::NarGone => fs::remove_file(&victim).unwrap(),
            Self::NarCut | Self::TableCut | Self::LogCut => {
                let file = File::options().write(true).open(&victim).unwrap();
                let len = file.metadata().unwrap().len();
                file.set_len(random.within(0..len)).unwrap();
            }
            _ => {
                let at = random.within(0..fs::metadata(&victim).unwrap().len());
                flip(&victim, at, 1 << random.within(0..8));
            }
        }
        victim
    }

    fn victim(self, data: &Path, random: &mut Random) -> PathBuf {
        let dir = data.join(if self.is_nar() { "blobs/nar" } else { "index" });
        let is_it = |path: &PathBuf| match self {
            Self::NarFlipped | Self::NarCut | Self::NarGone => true,
            Self::TableFlipped | Self::TableCut => has_extension(path, "sst"),
            Self::LogFlipped | Self::LogCut => has_extension(path, "log"),
            Self::ManifestFlipped => {
                path.file_name().unwrap().to_string_lossy().starts_with("MANIFEST")
            }
        };
        let mut files: Vec<PathBuf> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| is_it(path) && fs::metadata(path).unwrap().len() > 0)
            .collect();
        files.sort();
        let picked = random.within(0..files.len() as u64);
        files.swap_remove(picked as usize)
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|it| it == extension)
}

/// Flips bits of one byte.
pub(super) fn flip(path: &Path, at: u64, bits: u8) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ bits], at).unwrap();
}

/// By family and key.
type Rows = BTreeMap<(String, Vec<u8>), Vec<u8>>;

/// Everything that a stopped pool keeps.
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    rows: Rows,
    nars: BTreeMap<PathBuf, Vec<u8>>,
}

impl Contents {
    /// None where the database does not read.
    pub(super) fn of(data: &Path) -> Option<Self> {
        let nars = fs::read_dir(data.join("blobs/nar")).unwrap().map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().into(), fs::read(path).unwrap())
        });
        Some(Self { rows: rows(&data.join("index")).ok()?, nars: nars.collect() })
    }
}

fn rows(index: &Path) -> Result<Rows, rocksdb::Error> {
    let options = Options::default();
    let families = DB::list_cf(&options, index)?;
    let database = DB::open_cf_for_read_only(&options, index, &families, false)?;
    let mut rows = BTreeMap::new();
    for name in families.into_iter().filter(|name| !PASSING.contains(&name.as_str())) {
        let family = database.cf_handle(&name).unwrap();
        for row in database.iterator_cf(family, IteratorMode::Start) {
            let (key, value) = row?;
            rows.insert((name.clone(), key.into_vec()), value.into_vec());
        }
    }
    Ok(rows)
}
