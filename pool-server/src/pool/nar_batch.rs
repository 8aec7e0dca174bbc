//! Many small NARs on their way out.

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use schema::hash::NarHash;
use schema::nar_batch::{BatchError, MAX_BATCH_LEN, MAX_RECORDS, Record};

use super::Pool;
use super::mirror::check_count;
use crate::rejected::{Error, Failure};

impl Pool {
    /// The files of these NARs, of those that are here, until they are too many for one batch.
    ///
    /// # Errors
    /// Too many hashes, or a failing database or disk.
    pub async fn nar_batch(self: &Arc<Self>, nar_hashes: Vec<NarHash>) -> Result<Bytes, Failure> {
        check_count(nar_hashes.len())?;
        let pool = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || pool.read_batch(&nar_hashes));
        let batch = reading.await.map_err(|error| Error::Blobs(format!("reading: {error}")))?;
        Ok(batch?.into())
    }

    fn read_batch(&self, nar_hashes: &[NarHash]) -> Result<Vec<u8>, Error> {
        let (mut batch, mut records, mut file) = (Vec::new(), 0, Vec::new());
        for &nar_hash in nar_hashes {
            let Some(blob) = self.index.blob(&nar_hash)? else { continue };
            let len = usize::try_from(blob.file.file_size).unwrap_or(usize::MAX);
            if records == MAX_RECORDS || batch.len().saturating_add(len) > MAX_BATCH_LEN {
                break;
            }
            let Some((kept, opened)) = self.open_nar(&nar_hash)? else { continue };
            if kept != blob.file {
                continue;
            }
            let compression = kept.compression;
            file.resize(len, 0);
            opened.into_file().read_exact_at(&mut file, 0).map_err(Error::io("read a NAR"))?;
            match (Record { nar_hash, compression, file: &file }).encode_to(&mut batch) {
                Ok(()) => records += 1,
                Err(BatchError::TooLong(_)) => break,
                Err(error) => return Err(Error::Damaged(error.to_string())),
            }
        }
        Ok(batch)
    }
}
