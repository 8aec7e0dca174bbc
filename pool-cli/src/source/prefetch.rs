//! Files fetched before they are asked for.
//!
//! A package manager asks for the narinfos of a whole closure first, from the top down, and then
//! for the NARs, from the bottom up and few at a time; each would cost it a round trip. So small
//! files are fetched as soon as their narinfo was shown: those shown last first, and those shown
//! first make room for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use schema::claim::Claim;
use schema::compression::Compression;
use schema::hash::NarHash;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::{Fault, Offer, Source, Sources, Wanted};
use crate::judge::Allowed;

/// Paths that may wait; of more, the oldest are forgotten.
const MAX_WANTS: usize = 16 << 10;

/// How much is fetched ahead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Size of the largest file, in bytes.
    pub(crate) file: u64,
    /// Bytes of all files that are kept or being fetched.
    pub(crate) total: u64,
    /// Files that are being fetched.
    pub(crate) at_once: usize,
    /// How long a file is kept; and after how long without a question an installation is over.
    pub(crate) keep: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file: 4 << 20, total: 64 << 20, at_once: 16, keep: Duration::from_secs(120) }
    }
}

/// A packed NAR in memory. Its bytes are not checked yet.
pub(crate) struct Fetched {
    pub(super) source: Arc<Source>,
    pub(super) compression: Compression,
    pub(super) file: Bytes,
}

/// What is fetched ahead.
pub(crate) struct Prefetch {
    sources: Arc<Sources>,
    limits: Limits,
    shelf: Mutex<Shelf>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stock {
    /// Bytes kept, or set aside for what is being fetched.
    pub(crate) bytes: u64,
    /// Files that were there when they were asked for.
    pub(crate) taken: u64,
    /// Files that were fetched for nothing.
    pub(crate) dropped: u64,
}

#[derive(Default)]
struct Shelf {
    /// In the order in which the narinfos were shown.
    wants: Vec<Want>,
    fetching: usize,
    stock: Stock,
    /// When somebody last asked for anything.
    asked: Option<Instant>,
}

struct Want {
    allowed: Arc<Allowed>,
    /// How much memory it needs, at most.
    size: u64,
    state: State,
}

enum State {
    Waiting,
    /// Somebody may wait for it.
    Fetching(Option<oneshot::Sender<Fetched>>),
    /// Until it has been kept for long enough.
    Ready(Fetched, Instant),
}

impl Prefetch {
    /// Nothing yet.
    pub(crate) fn new(sources: Arc<Sources>, limits: Limits) -> Arc<Self> {
        Arc::new(Self { sources, limits, shelf: Mutex::default() })
    }

    /// A narinfo was shown, so its NAR may be asked for.
    pub(crate) fn want(self: &Arc<Self>, allowed: &Arc<Allowed>) {
        let Some(size) = self.size_of(allowed) else { return };
        let want = Want { allowed: Arc::clone(allowed), size, state: State::Waiting };
        self.lock().add(want);
        self.go_on();
    }

    /// How much room the file needs; nothing, if it is too large.
    fn size_of(&self, allowed: &Allowed) -> Option<u64> {
        if allowed.files.is_empty() {
            // A cache may have it, and tells when it is asked.
            return Some(longest(&allowed.claim).min(self.limits.file));
        }
        let sizes = allowed.files.iter().map(|(_, file)| file.file_size);
        sizes.filter(|size| *size <= self.limits.file).max()
    }

    /// The file of a NAR, if it was fetched; waits for it, if it is being fetched.
    pub(crate) async fn take(self: &Arc<Self>, hash: NarHash) -> Option<Fetched> {
        let taken = self.lock().take(hash);
        let fetched = match taken? {
            Taken::Ready(fetched) => Some(fetched),
            Taken::Soon(fetched) => fetched.await.ok(),
        };
        self.go_on();
        fetched
    }

    /// How much there is.
    pub(crate) fn stock(&self) -> Stock {
        self.lock().stock
    }

    /// Fetches what there is room for.
    fn go_on(self: &Arc<Self>) {
        while let Some((allowed, size)) = self.lock().start(&self.limits) {
            let prefetch = Arc::clone(self);
            tokio::spawn(async move {
                let hash = allowed.claim.nar_hash();
                let fetched = prefetch.fetch(&allowed, size).await;
                drop(allowed);
                let until = Instant::now() + prefetch.limits.keep;
                prefetch.lock().put(hash, fetched, until);
                prefetch.go_on();
                sleep_until(until).await;
                prefetch.lock().forget(hash);
                prefetch.go_on();
            });
        }
    }

    /// From the first source only: who asks for the NAR itself asks the others.
    async fn fetch(&self, allowed: &Allowed, size: u64) -> Option<Fetched> {
        let offer = self.sources.of(allowed).into_iter().next()?;
        match fetch_from(&offer, &allowed.claim, size).await {
            Ok(fetched) => fetched,
            Err(fault) => {
                offer.source.blame(&Wanted::of(&allowed.claim), &fault);
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing, if the file does not say its size, or is larger than the room that it has.
async fn fetch_from(offer: &Offer, claim: &Claim, size: u64) -> Result<Option<Fetched>, Fault> {
    let packed = offer.open(longest(claim)).await?;
    if packed.len().is_none_or(|len| len > size) {
        return Ok(None);
    }
    let (source, compression) = (Arc::clone(&offer.source), packed.compression());
    Ok(Some(Fetched { source, compression, file: packed.whole().await? }))
}

fn longest(claim: &Claim) -> u64 {
    Wanted::of(claim).longest_file()
}

enum Taken {
    Ready(Fetched),
    Soon(oneshot::Receiver<Fetched>),
}

impl Shelf {
    fn add(&mut self, want: Want) {
        self.asked = Some(Instant::now());
        match self.place_of(want.allowed.claim.nar_hash()) {
            // Shown again: it is among the last ones now.
            Some(at) if matches!(self.wants[at].state, State::Waiting) => {
                drop(self.wants.remove(at))
            }
            Some(_) => return,
            None => {}
        }
        if self.wants.len() >= MAX_WANTS {
            let oldest = self.wants.iter().position(|want| matches!(want.state, State::Waiting));
            oldest.map(|at| self.wants.remove(at));
        }
        self.wants.push(want);
    }

    fn take(&mut self, hash: NarHash) -> Option<Taken> {
        self.asked = Some(Instant::now());
        let at = self.place_of(hash)?;
        if let State::Fetching(waiting) = &mut self.wants[at].state {
            if waiting.is_some() {
                return None;
            }
            let (sender, receiver) = oneshot::channel();
            *waiting = Some(sender);
            return Some(Taken::Soon(receiver));
        }
        let want = self.wants.remove(at);
        match want.state {
            State::Ready(fetched, _) => {
                self.stock.bytes -= want.size;
                self.stock.taken += 1;
                Some(Taken::Ready(fetched))
            }
            // It is about to be fetched by whoever asks.
            State::Waiting | State::Fetching(_) => None,
        }
    }

    /// What to fetch next, if there is room: the newest, for which older ones may have to go.
    fn start(&mut self, limits: &Limits) -> Option<(Arc<Allowed>, u64)> {
        if self.asked.is_none_or(|asked| asked.elapsed() >= limits.keep) {
            // Nobody installs: they only wanted to know.
            self.wants.retain(|want| !matches!(want.state, State::Waiting));
        }
        if self.fetching >= limits.at_once {
            return None;
        }
        let at = self.wants.iter().rposition(|want| matches!(want.state, State::Waiting))?;
        let size = self.wants[at].size;
        while self.stock.bytes + size > limits.total {
            let older = self.wants[..at].iter_mut();
            let mut ready = older.filter(|want| matches!(want.state, State::Ready(..)));
            let oldest = ready.next()?;
            oldest.state = State::Waiting;
            self.stock.bytes -= oldest.size;
            self.stock.dropped += 1;
        }
        self.stock.bytes += size;
        self.fetching += 1;
        let want = &mut self.wants[at];
        want.state = State::Fetching(None);
        Some((Arc::clone(&want.allowed), size))
    }

    /// What came of fetching.
    fn put(&mut self, hash: NarHash, fetched: Option<Fetched>, until: Instant) {
        self.fetching -= 1;
        let Some(at) = self.place_of(hash) else { return };
        let want = &mut self.wants[at];
        let reserved = want.size;
        let Some(fetched) = fetched else {
            self.stock.bytes -= reserved;
            self.wants.remove(at);
            return;
        };
        want.size = fetched.file.len() as u64;
        self.stock.bytes = self.stock.bytes - reserved + want.size;
        match std::mem::replace(&mut want.state, State::Waiting) {
            State::Fetching(Some(waiting)) => {
                self.stock.bytes -= want.size;
                self.wants.remove(at);
                match waiting.send(fetched) {
                    Ok(()) => self.stock.taken += 1,
                    Err(_) => self.stock.dropped += 1,
                }
            }
            _ => want.state = State::Ready(fetched, until),
        }
    }

    /// It was kept for long enough.
    fn forget(&mut self, hash: NarHash) {
        let Some(at) = self.place_of(hash) else { return };
        if let State::Ready(_, until) = &self.wants[at].state
            && *until <= Instant::now()
        {
            self.stock.bytes -= self.wants[at].size;
            self.stock.dropped += 1;
            self.wants.remove(at);
        }
    }

    fn place_of(&self, hash: NarHash) -> Option<usize> {
        self.wants.iter().position(|want| want.allowed.claim.nar_hash() == hash)
    }
}

#[cfg(test)]
impl Prefetch {
    /// Files that are there.
    pub(super) fn ready(&self) -> usize {
        let ready = |want: &&Want| matches!(want.state, State::Ready(..));
        self.lock().wants.iter().filter(ready).count()
    }
}
