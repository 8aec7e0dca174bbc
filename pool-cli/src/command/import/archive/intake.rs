//! Takes items off an archive. A NAR's name is known only once it has passed, so that it is packed into a
//! file first.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};

use crate::archive::{Item, Reader};
use crate::compress::{Compressor, FRAME, Method};
use crate::exit::Failure;
use crate::output::bytes;

/// Bytes of the archive that are read at a time.
const BUFFER: usize = 256 << 10;

/// An archive and what packs its NARs.
pub(super) struct Intake {
    reader: Reader<Box<dyn Read + Send>>,
    compressor: Compressor,
    frame: Vec<u8>,
    /// The largest NAR that is any use, in bytes.
    max_nar_size: u64,
}

/// An item, and its NAR packed in a file without a name.
pub(super) struct Taken {
    pub(super) item: Item,
    pub(super) packed: File,
}

impl Intake {
    /// Opens the archive, or standard input for `-`.
    pub(super) fn open(path: &Path, method: Method, max_nar_size: u64) -> Result<Self> {
        let archive: Box<dyn Read + Send> = if path == Path::new("-") {
            Box::new(BufReader::with_capacity(BUFFER, io::stdin()))
        } else {
            let file = File::open(path);
            let file = file.with_context(|| format!("opening the archive {}", path.display()))?;
            Box::new(BufReader::with_capacity(BUFFER, file))
        };
        let (reader, compressor) = (Reader::new(archive), Compressor::new(method)?);
        Ok(Self { reader, compressor, frame: Vec::new(), max_nar_size })
    }

    /// The next item; none at the end. Blocks.
    pub(super) fn next(&mut self) -> Result<Option<Taken>> {
        let Self { reader, compressor, frame, max_nar_size } = self;
        frame.clear();
        let packed = tempfile::tempfile().context("making a temporary file")?;
        let mut pack = |frame: &[u8]| {
            let written = (&packed).write_all(compressor.packed(frame)?);
            written.context("writing a NAR to a temporary file; TMPDIR names another place for it")
        };
        let mut size = 0;
        let item = reader.next(&mut |mut nar| {
            size += nar.len() as u64;
            if size > *max_nar_size {
                return Err(too_large(*max_nar_size).into());
            }
            while !nar.is_empty() {
                let (now, later) = nar.split_at(nar.len().min(FRAME - frame.len()));
                frame.extend_from_slice(now);
                nar = later;
                if frame.len() == FRAME {
                    pack(frame)?;
                    frame.clear();
                }
            }
            Ok(())
        });
        let Some(item) = item? else { return Ok(None) };
        if !frame.is_empty() {
            pack(frame)?;
        }
        Ok(Some(Taken { item, packed }))
    }
}

fn too_large(max: u64) -> Failure {
    let max = bytes(max);
    Failure::no(format!("the NAR is larger than {max}, which is the most that the pool takes"))
        .lasting()
        .hint("its operator can raise max_nar_size")
}

#[cfg(test)]
mod tests {
    use std::io::Seek;

    use super::*;
    use crate::decode::decode;

    const ARCHIVE: &str = "../tests/vectors/guix/closure.export";

    #[test]
    fn what_is_packed_is_the_nar() {
        let archive = std::fs::read(ARCHIVE).unwrap();
        for method in [Method::None, Method::Zstd(3), Method::Xz(1)] {
            let mut intake = Intake::open(Path::new(ARCHIVE), method, 1 << 20).unwrap();
            let mut nars = Vec::new();
            while let Some(Taken { item, mut packed }) = intake.next().unwrap() {
                packed.rewind().unwrap();
                let mut nar = Vec::new();
                let file = BufReader::new(packed);
                decode(method.compression(), file).unwrap().read_to_end(&mut nar).unwrap();
                assert_eq!(item.claim.nar_hash(), schema::hash::NarHash::of(&nar));
                nars.push(nar);
            }
            assert_eq!(nars.len(), 2);
            assert!(nars.iter().all(|nar| archive.windows(nar.len()).any(|part| part == nar)));
        }
    }

    #[test]
    fn a_nar_too_large_for_the_pool_is_not_read_to_its_end() {
        let mut intake = Intake::open(Path::new(ARCHIVE), Method::None, 200).unwrap();
        assert!(intake.next().unwrap().is_some());
        let error = intake.next().err().unwrap();
        assert!(format!("{error:#}").starts_with("item 2, after /gnu/store/"), "{error:#}");
        assert!(crate::exit::hint(&error).unwrap().contains("max_nar_size"));
    }
}
