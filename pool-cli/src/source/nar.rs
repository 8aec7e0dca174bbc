//! One NAR on its way: unpacked and checked while it passes, from whichever source gives it.
//!
//! Everything that has to wait, for the network or for the client, or to compute, does so on one
//! thread of its own. What is sent has the right hash, or is not sent whole:
//!
//! - The last piece is held back until the hash of all is right. So what a client has whole is right.
//! - A small NAR is held back altogether. Then a source that fails is replaced unseen.
//! - Of a large one, the next source takes over where the last one broke off, if its bytes up to there
//!   are the same. After a wrong hash nobody can: some of the wrong bytes are with the client.

use std::io::{self, BufRead, Cursor, Read};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use schema::claim::Claim;
use schema::compression::Compression;
use schema::hash::NarHash;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Fault, Fetched, Offer, Source};
use crate::decode::decode;

/// What is sent at a time.
const PIECE: usize = 64 << 10;
/// Pieces that wait for the client to take them.
const AHEAD: usize = 8;
/// What is held back of a large NAR.
const TAIL: u64 = 64 << 10;
/// A NAR up to this size is held back whole.
const SMALL: u64 = 1 << 20;
/// A client that takes nothing for so long is gone. Nix stops taking while its disk is busy.
const CLIENT_GONE: Duration = Duration::from_secs(300);

/// Which NAR.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Its hash.
    pub(crate) hash: NarHash,
    /// Its size, unpacked, in bytes.
    pub(crate) size: u64,
    /// For people: the name of the path.
    pub(crate) name: String,
}

impl Wanted {
    /// The one that a claim is about.
    pub(crate) fn of(claim: &Claim) -> Self {
        let name = claim.path().base().as_str().to_owned();
        Self { hash: claim.nar_hash(), size: claim.nar_size(), name }
    }

    /// No packed NAR is longer than this, in bytes: a file that is has something else in it, perhaps
    /// without end.
    pub(crate) fn longest_file(&self) -> u64 {
        self.size.saturating_mul(2).saturating_add(SMALL)
    }

    /// How much of it may be sent before its hash is known.
    fn sendable(&self) -> u64 {
        if self.size <= SMALL { 0 } else { self.size - TAIL }
    }
}

/// A NAR as it reaches the client: its first piece is there.
pub(crate) struct Nar {
    first: Option<Bytes>,
    rest: Receiver<Result<Bytes, Undeliverable>>,
    /// Bytes that are still to come.
    left: u64,
}

/// Nobody gave it.
#[derive(Debug, Default)]
pub(crate) struct Undeliverable {
    /// Who was asked, and what was wrong: a line for each.
    pub(crate) asked: Vec<String>,
    /// Asking again soon may be worth it.
    pub(crate) passes: bool,
}

impl Undeliverable {
    fn add(&mut self, source: &Source, why: &str) {
        self.asked.push(format!("{}: {why}", source.address()));
    }
}

impl Nar {
    /// Asks for a NAR: what was fetched ahead, if it was, then everybody in turn. Returns when there
    /// is something to send, which for a small NAR is all of it.
    pub(crate) async fn find(
        wanted: Wanted,
        fetched: Option<Fetched>,
        offers: Vec<Offer>,
    ) -> Result<Self, Undeliverable> {
        let (out, mut rest) = mpsc::channel(AHEAD);
        let left = wanted.size;
        let network = Handle::current();
        let course = Course::new(wanted, out, network);
        spawn_blocking(move || course.run(fetched, offers));
        match rest.recv().await {
            Some(Ok(first)) => Ok(Self { first: Some(first), rest, left }),
            Some(Err(undeliverable)) => Err(undeliverable),
            None => Err(Undeliverable::default()),
        }
    }

    /// The next piece; none at the end. An error is to end the connection.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Undeliverable>> {
        let piece = match self.first.take() {
            Some(first) => Ok(first),
            None => self.rest.recv().await?,
        };
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Some(piece)
    }

    /// Whether all of it was handed out.
    pub(crate) fn is_whole(&self) -> bool {
        self.left == 0
    }
}

/// How far one NAR is.
struct Course {
    wanted: Wanted,
    out: Sender<Result<Bytes, Undeliverable>>,
    network: Handle,
    /// Bytes that were sent, and the state of their hash.
    sent: u64,
    sent_hash: Sha256,
}

/// Why one source was not the last.
enum Stop {
    /// It was its fault.
    Fault(Fault),
    /// Its bytes are others than those that another source gave and that were sent. One of the two
    /// lied, and nobody knows yet which.
    Differs,
    /// The client is gone.
    Gone,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Course {
    fn new(wanted: Wanted, out: Sender<Result<Bytes, Undeliverable>>, network: Handle) -> Self {
        Self { wanted, out, network, sent: 0, sent_hash: Sha256::new() }
    }

    fn run(mut self, fetched: Option<Fetched>, offers: Vec<Offer>) {
        let mut failed = Undeliverable::default();
        let asked = fetched.as_ref().map(|fetched| Arc::clone(&fetched.source));
        let first = fetched.map(|fetched| (Arc::clone(&fetched.source), Attempt::Fetched(fetched)));
        let is_new =
            |offer: &Offer| !asked.as_ref().is_some_and(|it| Arc::ptr_eq(it, &offer.source));
        let others = offers.into_iter().filter(is_new);
        let others = others.map(|offer| (Arc::clone(&offer.source), Attempt::Ask(offer)));
        for (source, attempt) in first.into_iter().chain(others) {
            match self.attempt(attempt) {
                Ok(()) => return source.praise(),
                Err(Stop::Gone) => return,
                Err(Stop::Differs) => {
                    failed.add(&source, "it has other bytes than those sent so far")
                }
                Err(Stop::Fault(fault)) => {
                    source.blame(&self.wanted, &fault);
                    failed.add(&source, &fault.to_string());
                    failed.passes |= fault.passes();
                    if self.sent > 0 && fault == Fault::Swapped {
                        break;
                    }
                }
            }
        }
        let _ = self.out.blocking_send(Err(failed));
    }

    fn attempt(&mut self, attempt: Attempt) -> Result<(), Stop> {
        let fault = Arc::new(OnceLock::new());
        let mut nar = match attempt {
            Attempt::Fetched(fetched) => unpack(fetched.compression, Cursor::new(fetched.file))?,
            Attempt::Ask(offer) => {
                let packed = self.network.block_on(offer.open(self.wanted.longest_file()))?;
                let compression = packed.compression();
                unpack(compression, packed.reader(self.network.clone(), Arc::clone(&fault)))?
            }
        };
        let result = self.pass_on(&mut nar);
        // What the network did is the cause; what the decoder made of it is not.
        match (result, fault.get()) {
            (Err(Stop::Fault(_)), Some(fault)) => Err(Stop::Fault(fault.clone())),
            (result, _) => result,
        }
    }

    /// Passes on what was not sent yet. Never reads more than the size of the NAR, whatever is in
    /// the file.
    fn pass_on(&mut self, nar: &mut dyn Read) -> Result<(), Stop> {
        let (size, sendable) = (self.wanted.size, self.wanted.sendable());
        let mut hash = Sha256::new();
        let mut at = 0;
        let mut held = Vec::new();
        while at < size {
            // A piece never crosses a border between what was sent, what may be, and what may not.
            let borders = [self.sent, sendable, size];
            let border = borders.into_iter().find(|border| at < *border).unwrap_or(size);
            let piece = read_piece(nar, border - at)?;
            hash.update(&piece);
            let was_sent = at < self.sent;
            at += piece.len() as u64;
            if at > sendable {
                held.push(Bytes::from(piece));
            } else if !was_sent {
                self.send(piece)?;
                (self.sent, self.sent_hash) = (at, hash.clone());
            } else if at == self.sent
                && hash.clone().finalize() != self.sent_hash.clone().finalize()
            {
                return Err(Stop::Differs);
            }
        }
        if hash.finalize().as_slice() != self.wanted.hash.as_bytes() {
            return Err(Fault::Swapped.into());
        }
        for piece in held {
            self.send(piece)?;
        }
        // The client has all of it. Reading the file to its end lets the connection be used again.
        let _ = nar.read(&mut [0]);
        Ok(())
    }

    fn send(&self, piece: impl Into<Bytes>) -> Result<(), Stop> {
        let sending = self.out.send(Ok(piece.into()));
        match self.network.block_on(async { timeout(CLIENT_GONE, sending).await }) {
            Ok(Ok(())) => Ok(()),
            _ => Err(Stop::Gone),
        }
    }
}

/// Where the next attempt takes the file from.
enum Attempt {
    Fetched(Fetched),
    Ask(Offer),
}

fn unpack(
    compression: Compression,
    file: impl BufRead + Send + 'static,
) -> Result<Box<dyn Read + Send>, Fault> {
    decode(compression, file).map_err(|error| Fault::Unreadable(format!("{error:#}")))
}

/// As many bytes as a piece has, or up to the border.
fn read_piece(nar: &mut dyn Read, left: u64) -> Result<Vec<u8>, Fault> {
    let len = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
    let mut piece = vec![0; len];
    nar.read_exact(&mut piece).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Fault::Truncated,
        _ => Fault::Unreadable(error.to_string()),
    })?;
    Ok(piece)
}
