//! NARs that come when they are asked for: somebody who mirrors listens for wishes, and what it uploads
//! goes to those who wait at the same time as to the disk.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use schema::compression::Compression;
use schema::hash::NarHash;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, timeout};

/// Askers that wait at a time.
const MAX_WAITING: usize = 256;
/// Wishes that a listener may be behind.
const WISHES: usize = 1024;
/// Pieces that wait for one asker.
const AHEAD: usize = 8;
/// For how long, in all, an upload waits for an asker; then it goes on without.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is waited for.
pub(super) struct Wishes {
    waiting: Mutex<HashMap<Wish, Vec<mpsc::Sender<Step>>>>,
    listeners: broadcast::Sender<NarHash>,
}

type Wish = (NarHash, Compression);

/// What comes to somebody who waits.
#[derive(Debug)]
pub enum Step {
    /// The next bytes of the file.
    Piece(Bytes),
    /// The NAR is here now.
    Stored,
}

/// Those who waited for a NAR when its upload began.
#[derive(Default)]
pub(super) struct Audience {
    askers: Vec<Asker>,
    /// The last piece stays back until all before it is known to be right: whoever has a file whole has
    /// a good one.
    held: Option<Bytes>,
}

struct Asker {
    steps: mpsc::Sender<Step>,
    /// So much of the patience with it is left.
    patience: Duration,
}

impl Wishes {
    pub(super) fn new() -> Self {
        Self { waiting: Mutex::default(), listeners: broadcast::channel(WISHES).0 }
    }

    /// Waits for a NAR's file. Nothing, if nobody listens who could bring it, or too many wait.
    pub(super) fn wish(
        &self,
        nar_hash: NarHash,
        compression: Compression,
    ) -> Option<mpsc::Receiver<Step>> {
        let mut waiting = self.lock();
        waiting.retain(|_, askers| {
            askers.retain(|asker| !asker.is_closed());
            !askers.is_empty()
        });
        if waiting.values().map(Vec::len).sum::<usize>() >= MAX_WAITING {
            return None;
        }
        let (asker, steps) = mpsc::channel(AHEAD);
        waiting.entry((nar_hash, compression)).or_default().push(asker);
        // Said once more for each who waits: a listener may have failed before.
        self.listeners.send(nar_hash).ok().map(|_| steps)
    }

    /// Every wish from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<NarHash> {
        self.listeners.subscribe()
    }

    /// Those to whom an upload goes that begins now.
    pub(super) fn audience(&self, nar_hash: NarHash, compression: Compression) -> Audience {
        let askers = self.lock().remove(&(nar_hash, compression)).unwrap_or_default();
        let askers = askers.into_iter().map(|steps| Asker { steps, patience: PATIENCE });
        Audience { askers: askers.collect(), held: None }
    }

    /// A NAR is here: whoever waits for it need not wait for bytes.
    pub(super) fn stored(&self, nar_hash: &NarHash) {
        self.lock().retain(|(waited_for, _), askers| {
            let is_it = waited_for == nar_hash;
            if is_it {
                askers.iter().for_each(|asker| drop(asker.try_send(Step::Stored)));
            }
            !is_it
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Wish, Vec<mpsc::Sender<Step>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Audience {
    /// Passes on a piece; at the speed of the slowest, but not for ever.
    pub(super) async fn tell(&mut self, piece: &Bytes) {
        if !self.askers.is_empty()
            && let Some(held) = self.held.replace(piece.clone())
        {
            self.send(held).await;
        }
    }

    /// All of it is right, and durable.
    pub(super) async fn whole(mut self) {
        if let Some(held) = self.held.take() {
            self.send(held).await;
        }
        self.known();
    }

    /// Their NAR is here.
    pub(super) fn known(&mut self) {
        for asker in self.askers.drain(..) {
            let _ = asker.steps.try_send(Step::Stored);
        }
    }

    async fn send(&mut self, piece: Bytes) {
        let mut still = Vec::with_capacity(self.askers.len());
        for mut asker in self.askers.drain(..) {
            let began = Instant::now();
            let sending = asker.steps.send(Step::Piece(piece.clone()));
            if let Ok(Ok(())) = timeout(asker.patience, sending).await {
                asker.patience = asker.patience.saturating_sub(began.elapsed());
                still.push(asker);
            }
        }
        self.askers = still;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZSTD: Compression = Compression::Zstd;

    fn nar() -> NarHash {
        NarHash::of(b"nar")
    }

    #[tokio::test]
    async fn the_last_piece_comes_only_once_all_is_right() {
        let wishes = Wishes::new();
        assert!(wishes.wish(nar(), ZSTD).is_none(), "nobody listens");
        let mut listener = wishes.listen();
        let mut steps = wishes.wish(nar(), ZSTD).unwrap();
        assert_eq!(listener.recv().await.unwrap(), nar());
        let mut audience = wishes.audience(nar(), ZSTD);
        for piece in [&b"one"[..], b"two"] {
            audience.tell(&Bytes::from_static(piece)).await;
        }
        assert!(matches!(steps.recv().await, Some(Step::Piece(piece)) if *piece == *b"one"));
        assert!(steps.try_recv().is_err(), "the last is held back");
        audience.whole().await;
        assert!(matches!(steps.recv().await, Some(Step::Piece(piece)) if *piece == *b"two"));
        assert!(matches!(steps.recv().await, Some(Step::Stored)), "and that it was right");
        assert!(steps.recv().await.is_none());
    }

    #[tokio::test]
    async fn what_fails_ends_without_its_last_piece_and_what_is_stored_is_told() {
        let wishes = Wishes::new();
        let _listener = wishes.listen();
        let mut steps = wishes.wish(nar(), ZSTD).unwrap();
        let mut audience = wishes.audience(nar(), ZSTD);
        audience.tell(&Bytes::from_static(b"all")).await;
        drop(audience);
        assert!(steps.recv().await.is_none());
        let mut steps = wishes.wish(nar(), ZSTD).unwrap();
        let mut other = wishes.wish(NarHash::of(b"other"), ZSTD).unwrap();
        wishes.stored(&nar());
        assert!(matches!(steps.recv().await, Some(Step::Stored)));
        assert!(other.try_recv().is_err());
    }
}
