//! A NAR that is too large to be held: cut into frames while it is dumped, packed on all cores, and
//! handed to the upload in order.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, anyhow};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use schema::claim::Claim;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::workers::{Pending, Workers};
use crate::compress::FRAME;
use crate::nar::{Meter, mismatch};
use crate::output::Counter;
use crate::store::Store;

/// Bounds the frames in memory, whatever number of NARs they belong to.
pub(super) struct Frames {
    workers: Workers,
    shared: Arc<Semaphore>,
    /// Buffers to use again.
    spare: Mutex<Vec<Vec<u8>>>,
    in_flight: usize,
}

/// A part of the upload.
pub(super) enum Piece {
    /// The next frame, and the right to have it in memory.
    Frame { packed: Pending<Bytes>, len: usize, permit: OwnedSemaphorePermit },
    /// The NAR was dumped to its end and is the right one. Without this the upload must not end.
    End,
}

/// How a dump ended.
pub(super) enum Dumped {
    /// All of it was handed over.
    Whole,
    /// The upload ended before.
    Unwanted,
    /// It could not be read, or is not what it should be.
    Failed(anyhow::Error),
}

impl Frames {
    /// Lets `in_flight` frames be in memory, and one more for each NAR.
    pub(super) fn new(workers: Workers, in_flight: usize) -> Arc<Self> {
        let shared = Arc::new(Semaphore::new(in_flight));
        Arc::new(Self { workers, shared, spare: Mutex::default(), in_flight })
    }

    /// A channel for the pieces of one NAR.
    pub(super) fn channel(&self) -> (mpsc::Sender<Piece>, mpsc::Receiver<Piece>) {
        mpsc::channel(self.in_flight + 2)
    }

    fn buffer(&self) -> Vec<u8> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| Vec::with_capacity(FRAME))
    }

    fn take_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// The pieces as the body of a request.
pub(super) fn body(
    pieces: mpsc::Receiver<Piece>,
    counter: Arc<Counter>,
) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    stream::try_unfold((pieces, counter), async |(mut pieces, counter)| {
        match pieces.recv().await {
            Some(Piece::Frame { packed, len, permit }) => {
                let packed = packed.done().await?;
                drop(permit);
                counter.advance(len as u64);
                Ok(Some((packed, (pieces, counter))))
            }
            Some(Piece::End) => Ok(None),
            // An error makes the connection break off, so that nothing looks complete.
            None => Err(anyhow!("the dump was given up")),
        }
    })
}

/// Dumps the NAR of `claim` into `pieces`. Blocks.
pub(super) fn dump(
    store: &Store,
    claim: &Claim,
    frames: Arc<Frames>,
    pieces: mpsc::Sender<Piece>,
    runtime: &Handle,
) -> Dumped {
    let mut out = Framer::new(frames, pieces, claim.nar_size(), runtime);
    if let Err(error) = store.dump(claim, &mut out) {
        return match out.stopped {
            Some(Stopped::Unwanted) => Dumped::Unwanted,
            Some(Stopped::TooLong) => Dumped::Failed(store.mismatch(claim)),
            None => Dumped::Failed(error),
        };
    }
    out.finish(claim)
}

enum Stopped {
    Unwanted,
    TooLong,
}

struct Framer<'a> {
    frames: Arc<Frames>,
    /// Lets this NAR go on when others hold all that is shared: they may be waiting for it.
    own: Arc<Semaphore>,
    pieces: mpsc::Sender<Piece>,
    runtime: &'a Handle,
    /// The frame being filled. A full one stays here until it is known not to be the last.
    current: Option<(Vec<u8>, OwnedSemaphorePermit)>,
    meter: Meter,
    size: u64,
    stopped: Option<Stopped>,
}

impl<'a> Framer<'a> {
    fn new(
        frames: Arc<Frames>,
        pieces: mpsc::Sender<Piece>,
        size: u64,
        runtime: &'a Handle,
    ) -> Self {
        let own = Arc::new(Semaphore::new(1));
        let meter = Meter::default();
        Self { frames, own, pieces, runtime, current: None, meter, size, stopped: None }
    }

    fn finish(mut self, claim: &Claim) -> Dumped {
        if let Some((frame, _)) = &self.current {
            self.meter.update(frame);
        }
        let found = std::mem::take(&mut self.meter).finish();
        if found != (claim.nar_hash(), claim.nar_size()) {
            return Dumped::Failed(mismatch(claim, found).into());
        }
        let whole = self.submit() && self.pieces.blocking_send(Piece::End).is_ok();
        if whole { Dumped::Whole } else { Dumped::Unwanted }
    }

    /// Has the current frame packed and sent. False if nobody wants it any more.
    fn submit(&mut self) -> bool {
        let Some((frame, permit)) = self.current.take() else { return true };
        let len = frame.len();
        let frames = Arc::clone(&self.frames);
        let packed = self.frames.workers.submit(move |worker| {
            let packed = worker.compressor.pack(&frame);
            frames.take_back(frame);
            packed
        });
        self.pieces.blocking_send(Piece::Frame { packed, len, permit }).is_ok()
    }

    fn permit(&self) -> Option<OwnedSemaphorePermit> {
        let (own, shared) = (Arc::clone(&self.own), Arc::clone(&self.frames.shared));
        let permit = async {
            tokio::select! {
                biased;
                permit = own.acquire_owned() => permit,
                permit = shared.acquire_owned() => permit,
            }
        };
        self.runtime.block_on(permit).ok()
    }

    /// Makes sure that there is room in the current frame.
    fn make_room(&mut self) -> Result<(), Stopped> {
        if let Some((frame, _)) = &self.current {
            if frame.len() < FRAME {
                return Ok(());
            }
            self.meter.update(frame);
            if self.meter.len() >= self.size {
                return Err(Stopped::TooLong);
            }
            if !self.submit() {
                return Err(Stopped::Unwanted);
            }
        }
        let permit = self.permit().ok_or(Stopped::Unwanted)?;
        self.current = Some((self.frames.buffer(), permit));
        Ok(())
    }
}

impl Write for Framer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(why) = self.make_room() {
            self.stopped = Some(why);
            return Err(io::Error::other("the upload stopped"));
        }
        let Some((frame, _)) = &mut self.current else { return Ok(0) };
        let taken = bytes.len().min(FRAME - frame.len());
        frame.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
