//! Files go last, once nobody must find them.

use schema::hash::NarHash;

use super::Parts;
use crate::blobs::{Blobs, nar_name};
use crate::index::{FileRecord, Index};
use crate::ledger::sequencer::Roots;
use crate::place::{Place, at};
use crate::rejected::{Error, Failure};

/// Forgets NARs, then removes their files.
pub(super) async fn sweep(
    parts: &Parts<'_>,
    roots: Roots,
    nars: Vec<NarHash>,
    now: u64,
) -> Result<Vec<bool>, Failure> {
    at(Place::Unlisted).await;
    let turn = parts.blobs.turn(&nars).await;
    at(Place::Sweeping).await;
    let files = parts.sequencer.sweep(roots, nars.clone(), now).await?;
    drop(turn);
    let gone = nars.iter().zip(&files).filter_map(|(nar_hash, file)| Some((*nar_hash, (*file)?)));
    remove(parts.index, parts.blobs, gone.collect()).await?;
    Ok(files.iter().map(Option::is_some).collect())
}

/// Removes the files of NARs that are forgotten, once files [may go](Blobs::removals); uploads of the
/// same NARs do not wait so long, and what they have brought by then stays. A crash before the end
/// leaves notes, by which the next start does it.
///
/// # Errors
/// When the disk or the database fails.
pub async fn remove(
    index: &Index,
    blobs: &Blobs,
    gone: Vec<(NarHash, FileRecord)>,
) -> Result<(), Error> {
    if gone.is_empty() {
        return Ok(());
    }
    at(Place::Forgotten).await;
    let removing = blobs.removals().await;
    let nars: Vec<NarHash> = gone.iter().map(|(nar_hash, _)| *nar_hash).collect();
    let _turn = blobs.turn(&nars).await;
    let mut names = Vec::new();
    for ((nar_hash, file), back) in gone.iter().zip(index.blobs(&nars)?) {
        if back.is_none_or(|back| back.file.compression != file.compression) {
            names.push(nar_name(nar_hash, file.compression));
        }
    }
    blobs.remove(names.clone(), &removing).await?;
    at(Place::Removed).await;
    index.clear_pending(&names)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use schema::compression::Compression;
    use schema::hash::FileHash;

    use super::*;
    use crate::index::{BlobRecord, Candidates};

    fn record(compression: Compression) -> FileRecord {
        FileRecord { compression, file_hash: FileHash::of(b"file"), file_size: 4 }
    }

    struct Scene {
        dir: tempfile::TempDir,
        index: Index,
        blobs: Blobs,
    }

    impl Scene {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let index = Index::open(&dir.path().join("index")).unwrap();
            let blobs = Blobs::open(&dir.path().join("blobs")).unwrap();
            Self { dir, index, blobs }
        }

        fn leave(&self, nar_hash: &NarHash, compression: Compression) -> std::path::PathBuf {
            let name = nar_name(nar_hash, compression);
            self.index.note_pending(&name).unwrap();
            let path = self.dir.path().join("blobs").join(name);
            std::fs::write(&path, b"file").unwrap();
            path
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_file_goes_while_somebody_must_find_it() {
        let scene = Scene::new();
        let nar_hash = NarHash::of(b"nar");
        let file = scene.leave(&nar_hash, Compression::Zstd);
        let held = tokio::task::block_in_place(|| scene.blobs.no_removals());
        let gone = vec![(nar_hash, record(Compression::Zstd))];
        let mut removing = pin!(remove(&scene.index, &scene.blobs, gone));
        let waits = poll_fn(|context| Poll::Ready(removing.as_mut().poll(context).is_pending()));
        assert!(waits.await);
        // Who uploads the same NAR does not wait for that.
        drop(scene.blobs.turn(&[nar_hash]).await);
        assert!(file.exists());
        drop(held);
        removing.await.unwrap();
        assert!(!file.exists());
        assert_eq!(scene.index.pending().unwrap(), [""; 0]);
    }

    #[tokio::test]
    async fn what_has_come_back_stays() {
        let scene = Scene::new();
        let nar_hash = NarHash::of(b"nar");
        let files = [Compression::Zstd, Compression::Xz].map(|it| scene.leave(&nar_hash, it));
        let mut batch = scene.index.batch();
        let back = BlobRecord {
            nar_size: 3,
            file: record(Compression::Zstd),
            stored_at: 1,
            candidates: Candidates::default(),
        };
        batch.put_blob(&nar_hash, &back).unwrap();
        batch.commit().unwrap();
        let gone = [Compression::Zstd, Compression::Xz].map(|it| (nar_hash, record(it)));
        remove(&scene.index, &scene.blobs, gone.to_vec()).await.unwrap();
        assert_eq!(files.map(|file| file.exists()), [true, false]);
    }
}
