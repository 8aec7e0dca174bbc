//! A long answer on its way out, piece by piece, from a thread of its own.

use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

/// Pieces that wait for the network.
const WAITING: usize = 4;
/// For an asker that takes no more bytes.
const STALLED: Duration = Duration::from_secs(30);

/// Where the pieces go, and one of the turns that are there for such answers, for as long as this one
/// is written.
pub(super) struct Pieces<E> {
    sender: mpsc::Sender<Result<Bytes, E>>,
    until: Instant,
    _turn: OwnedSemaphorePermit,
}

/// Whoever asked is gone, or was too slow.
pub(super) struct Gone;

impl<E> Pieces<E> {
    /// An answer that may take `longest`, so that nobody keeps a turn by taking a byte now and then.
    pub(super) fn new(
        turn: OwnedSemaphorePermit,
        longest: Duration,
    ) -> (Self, mpsc::Receiver<Result<Bytes, E>>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self { sender, until: Instant::now() + longest, _turn: turn }, receiver)
    }

    /// Waits, in a thread that may, until there is room for the piece.
    pub(super) fn send(&self, piece: Bytes) -> Result<(), Gone> {
        let until = self.until.min(Instant::now() + STALLED);
        let sent = tokio::time::timeout_at(until, self.sender.send(Ok(piece)));
        match Handle::current().block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    /// Ends the answer with an error.
    pub(super) fn fail(&self, error: E) {
        // If there is no room, whoever reads sees the end missing.
        let _ = self.sender.try_send(Err(error));
    }
}
