//! Walking through a NAR in a thread of its own, so that two can be walked side by side.

use std::io::{self, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::{Context, Result, bail};
use nix_archive::nar::{Error, Event, decode_events_reader};
use schema::hash::NarHash;

use super::Meter;

/// Bytes of a file that are passed on together.
pub(crate) const PIECE: usize = 64 << 10;
/// Pieces and nodes that may wait to be looked at.
const WAITING: usize = 16;

/// A NAR that is being read. Its hash is checked once it has been read to the end.
pub(crate) struct Walk {
    steps: Receiver<Result<Step>>,
    ahead: Option<Step>,
}

/// A file, directory or symlink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// The names on the way to it, with a zero byte between them: in this spelling, the order of
    /// nodes in a NAR is the order of bytes.
    pub(crate) path: Vec<u8>,
    /// What it is.
    pub(crate) kind: Kind,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The nodes in it follow.
    Directory,
    /// To there.
    Symlink(Vec<u8>),
    /// Its contents follow.
    Regular { executable: bool },
}

enum Step {
    Node(Node),
    Piece(Vec<u8>),
    End,
}

impl Walk {
    /// Starts to read `nar`, which ought to have this hash and size.
    pub(crate) fn start(nar: impl Read + Send + 'static, hash: NarHash, size: u64) -> Self {
        let (sender, steps) = sync_channel(WAITING);
        std::thread::spawn(move || {
            let end = walk(nar, hash, size, &sender).map(|()| Step::End);
            // Who started the walk may not want its end.
            let _ = sender.send(end);
        });
        Self { steps, ahead: None }
    }

    /// The next node; none at the end. What is left of the contents of the one before is skipped.
    pub(crate) fn node(&mut self) -> Result<Option<&Node>> {
        while let Step::Piece(_) = self.peek()? {
            self.ahead = None;
        }
        Ok(match self.peek()? {
            Step::Node(node) => Some(node),
            Step::Piece(_) | Step::End => None,
        })
    }

    /// The same, and goes on to what follows.
    pub(crate) fn take_node(&mut self) -> Result<Option<Node>> {
        self.node()?;
        Ok(match self.ahead.take() {
            Some(Step::Node(node)) => Some(node),
            other => {
                self.ahead = other;
                None
            }
        })
    }

    /// The next piece of the contents of the node that was taken: [`PIECE`] bytes, or fewer in the
    /// last one.
    pub(crate) fn piece(&mut self) -> Result<Option<Vec<u8>>> {
        self.peek()?;
        Ok(match self.ahead.take() {
            Some(Step::Piece(piece)) => Some(piece),
            other => {
                self.ahead = other;
                None
            }
        })
    }

    fn peek(&mut self) -> Result<&Step> {
        let step = match self.ahead.take() {
            Some(step) => step,
            None => self.steps.recv().context("reading a NAR was given up")??,
        };
        Ok(self.ahead.insert(step))
    }
}

fn walk(nar: impl Read, hash: NarHash, size: u64, steps: &SyncSender<Result<Step>>) -> Result<()> {
    let mut names = Vec::new();
    let unwanted = || Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
    checked(nar, hash, size, |reader| {
        decode_events_reader(reader, |event| {
            let send = |step| steps.send(Ok(step)).map_err(|_| unwanted());
            let node = |names: &[Vec<u8>], name: Option<&[u8]>, kind| {
                let names = names.iter().map(Vec::as_slice).chain(name);
                let names: Vec<&[u8]> = names.filter(|name| !name.is_empty()).collect();
                Step::Node(Node { path: names.join(&0), kind })
            };
            match event {
                Event::DirectoryStart { name } => {
                    send(node(&names, name, Kind::Directory))?;
                    names.push(name.unwrap_or_default().to_vec());
                }
                Event::DirectoryEnd { .. } => drop(names.pop()),
                Event::Symlink { name, target } => {
                    send(node(&names, name, Kind::Symlink(target.to_vec())))?;
                }
                Event::Regular { name, executable, mut contents } => {
                    send(node(&names, name, Kind::Regular { executable }))?;
                    loop {
                        let mut piece = Vec::with_capacity(PIECE);
                        contents.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
                        if piece.is_empty() {
                            break;
                        }
                        send(Step::Piece(piece))?;
                    }
                }
            }
            Ok(())
        })
    })
}

/// Lets `read` read a whole NAR, and sees that it has this hash.
pub(super) fn checked(
    nar: impl Read,
    hash: NarHash,
    size: u64,
    read: impl FnOnce(&mut BufReader<Metered<io::Take<Box<dyn Read + '_>>>>) -> Result<(), Error>,
) -> Result<()> {
    let nar: Box<dyn Read + '_> = Box::new(nar);
    // One byte more shows that it is too long.
    let nar = Metered { reader: nar.take(size.saturating_add(1)), meter: Meter::default() };
    let mut reader = BufReader::with_capacity(PIECE, nar);
    let done = read(&mut reader).with_context(|| format!("reading the NAR {hash}"));
    let (found, len) = reader.into_inner().meter.finish();
    done?;
    if (found, len) != (hash, size) {
        bail!("the NAR {hash} ({size} bytes) is not what was sent: that is {found} ({len} bytes)");
    }
    Ok(())
}

/// Measures what is read through it.
pub(super) struct Metered<R> {
    reader: R,
    meter: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.reader.read(buffer)?;
        self.meter.update(&buffer[..len]);
        Ok(len)
    }
}
