//! Sends a packed NAR from a file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use schema::claim::Claim;
use schema::compression::Compression;
use tokio::task::spawn_blocking;

use crate::remote::{Remote, Trouble};

/// What is sent at a time.
const PIECE: usize = 256 << 10;

/// Sends the NAR of `claim`, unless the pool has it. Whether this brought it there.
pub(super) async fn send(
    remote: &Remote<'_>,
    claim: &Claim,
    compression: Compression,
    packed: File,
) -> Result<bool> {
    let hash = claim.nar_hash();
    if remote.missing(&[hash]).await?.is_empty() {
        return Ok(false);
    }
    let packed = Arc::new(packed);
    let sent = remote
        .patiently(async || {
            let sent = remote.stream_nar(hash, compression, pieces(Arc::clone(&packed))).await;
            sent.map_err(|trouble: Trouble| trouble.about(format!("sending {}", claim.path())))
        })
        .await?;
    Ok(sent.new)
}

/// All of a file. An attempt that was given up may still read it beside the next one, so that none has
/// a place in it that another could move.
fn pieces(file: Arc<File>) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    stream::try_unfold((file, 0), async |(file, at)| {
        let (file, piece) = spawn_blocking(move || {
            let piece = piece(&file, at);
            (file, piece)
        })
        .await
        .context("reading a temporary file")?;
        let piece = piece.context("reading a temporary file")?;
        let next = at + piece.len() as u64;
        Ok((!piece.is_empty()).then_some((piece, (file, next))))
    })
}

fn piece(file: &File, at: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; PIECE];
    loop {
        match file.read_at(&mut piece, at) {
            Ok(len) => {
                piece.truncate(len);
                return Ok(piece.into());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_file_is_sent_whole_as_often_as_it_takes() {
        let bytes: Vec<u8> = (0..PIECE * 2 + 7).map(|at| (at % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let file = Arc::new(file);
        for _ in 0..2 {
            let sent: Vec<Bytes> = pieces(Arc::clone(&file)).try_collect().await.unwrap();
            assert_eq!(sent.len(), 3);
            assert!(sent.concat() == bytes);
        }
    }
}
