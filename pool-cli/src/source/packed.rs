//! A packed NAR as it comes over the network, watched for stalling.

use std::future::Future;
use std::io::{self, BufRead, Read};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use reqwest::Response;
use schema::compression::Compression;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::Fault;

/// How slow a source may be before it counts as stalled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Without any byte, or any answer.
    pub(crate) silence: Duration,
    /// The time over which its speed is measured: that which was spent waiting for it.
    pub(crate) window: Duration,
    /// Bytes that must come in that time.
    pub(crate) floor: u64,
}

/// About 2 KiB a second at least. Many NARs may share one slow line, so this is not for speed: it
/// is so that a source cannot hold up an installation for ever by a byte now and then.
impl Default for Pace {
    fn default() -> Self {
        Self { silence: Duration::from_secs(20), window: Duration::from_secs(30), floor: 64 << 10 }
    }
}

impl Pace {
    /// Waits for `answer`, but not for too long.
    pub(super) async fn wait<T>(
        self,
        answer: impl Future<Output = reqwest::Result<T>>,
    ) -> Result<T, Fault> {
        let late = || Fault::Unavailable("it did not answer in time".to_owned());
        let answer = timeout(self.silence, answer).await.map_err(|_| late())?;
        answer.map_err(|error| Fault::Unavailable(root_cause(&error.without_url())))
    }
}

/// The last of the causes is the one that tells something: "connection refused".
fn root_cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .last()
        .map_or_else(String::new, ToString::to_string)
}

/// A NAR's file, of which the answer's head has come.
pub(crate) struct Packed {
    response: Response,
    compression: Compression,
    pace: Pace,
    /// Bytes that may still come.
    left: u64,
    waited: Duration,
    came: u64,
}

impl Packed {
    /// `longest` is the most that is read of it, in bytes.
    pub(super) fn new(
        response: Response,
        compression: Compression,
        pace: Pace,
        longest: u64,
    ) -> Self {
        Self { response, compression, pace, left: longest, waited: Duration::ZERO, came: 0 }
    }

    /// How it is packed, by the source's word.
    pub(super) fn compression(&self) -> Compression {
        self.compression
    }

    /// Its size in bytes, by the source's word.
    pub(super) fn len(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next bytes; none at its end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let start = Instant::now();
        let piece = timeout(self.pace.silence, self.response.chunk()).await;
        let piece = piece.map_err(|_| Fault::Stalled)?.map_err(|_| Fault::Truncated)?;
        // Only the time in which we waited for it: a client that takes its time is no fault of it.
        self.waited += start.elapsed();
        let len = piece.as_ref().map_or(0, |piece| piece.len() as u64);
        self.left = self.left.checked_sub(len).ok_or_else(too_long)?;
        self.came = self.came.saturating_add(len);
        if self.waited >= self.pace.window {
            if self.came < self.pace.floor && piece.is_some() {
                return Err(Fault::Stalled);
            }
            (self.waited, self.came) = (Duration::ZERO, 0);
        }
        Ok(piece)
    }

    /// All of it.
    pub(super) async fn whole(mut self) -> Result<Bytes, Fault> {
        let mut file = BytesMut::new();
        while let Some(piece) = self.next().await? {
            file.extend_from_slice(&piece);
        }
        Ok(file.freeze())
    }

    /// For decoders, on a thread that may wait. What is wrong with the source is told to `fault`:
    /// decoders do not pass on every error as they got it.
    pub(super) fn reader(self, network: Handle, fault: Arc<OnceLock<Fault>>) -> PackedReader {
        PackedReader { packed: self, network, piece: Bytes::new(), fault }
    }
}

fn too_long() -> Fault {
    Fault::Unreadable("it is longer than any file of this NAR".to_owned())
}

/// See [`Packed::reader`].
pub(super) struct PackedReader {
    packed: Packed,
    network: Handle,
    piece: Bytes,
    fault: Arc<OnceLock<Fault>>,
}

impl BufRead for PackedReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() {
            match self.network.block_on(self.packed.next()) {
                Ok(Some(piece)) => self.piece = piece,
                Ok(None) => break,
                Err(fault) => {
                    let error = io::Error::other(fault.to_string());
                    // An earlier one is as true.
                    let _ = self.fault.set(fault);
                    return Err(error);
                }
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, amount: usize) {
        self.piece.advance(amount);
    }
}

impl Read for PackedReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let len = ready.len().min(into.len());
        into[..len].copy_from_slice(&ready[..len]);
        self.consume(len);
        Ok(len)
    }
}
