//! Reading a NAR's file: what the page cache has is read at once, and only a read that would
//! wait for the disk goes to a thread of its own.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use rustix::io::{Errno, ReadWriteFlags};
use tokio::task::JoinHandle;

use crate::rejected::Error;

/// Bytes per read: large enough to make system calls rare, small enough to stay in a core's cache.
const CHUNK: usize = 128 << 10;

/// An open file of a NAR.
pub struct NarFile {
    file: Arc<File>,
    len: u64,
}

impl NarFile {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::file("open", path))?;
        let len = file.metadata().map_err(Error::file("stat", path))?.len();
        Ok(Self { file: Arc::new(file), len })
    }

    /// The file's size in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The open file itself, for whoever can do better than to read it.
    #[must_use]
    pub fn into_file(self) -> Arc<File> {
        self.file
    }

    /// The bytes from `start` up to `end`, which the caller took from within the file.
    #[must_use]
    pub fn body(self, start: u64, end: u64) -> NarBody {
        NarBody { file: self.file, at: start, end, chunk: Chunk::default(), waiting: None }
    }
}

/// Part of a NAR's file, as the body of an answer.
pub struct NarBody {
    file: Arc<File>,
    at: u64,
    end: u64,
    chunk: Chunk,
    waiting: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl NarBody {
    fn wanted(&self) -> usize {
        usize::try_from(self.end - self.at).map_or(CHUNK, |rest| rest.min(CHUNK))
    }

    fn took(&mut self, bytes: Bytes) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if bytes.is_empty() {
            // Never finish an answer that promised more: the client must see it break.
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        self.at += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn wait_for_disk(&mut self) -> &mut JoinHandle<io::Result<Vec<u8>>> {
        let (file, at, len) = (Arc::clone(&self.file), self.at, self.wanted());
        self.waiting.get_or_insert_with(|| {
            tokio::task::spawn_blocking(move || {
                let mut bytes = vec![0; len];
                let read = file.read_at(&mut bytes, at)?;
                bytes.truncate(read);
                Ok(bytes)
            })
        })
    }
}

impl Body for NarBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.at == this.end {
            return Poll::Ready(None);
        }
        if this.waiting.is_none() {
            let wanted = this.wanted();
            match this.chunk.read_cached(&this.file, this.at, wanted) {
                Ok(bytes) => return this.took(bytes),
                Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR) => {}
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
        }
        let read = ready!(Pin::new(this.wait_for_disk()).poll(context));
        this.waiting = None;
        match read {
            Ok(Ok(bytes)) => this.took(bytes.into()),
            Ok(Err(error)) => Poll::Ready(Some(Err(error))),
            Err(error) => Poll::Ready(Some(Err(io::Error::other(error)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.at == self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}

/// A buffer that is read into again once the connection has sent what it held.
#[derive(Default)]
struct Chunk(Arc<Vec<u8>>);

impl Chunk {
    fn read_cached(&mut self, file: &File, at: u64, wanted: usize) -> rustix::io::Result<Bytes> {
        if Arc::get_mut(&mut self.0).is_none_or(|buffer| buffer.len() < wanted) {
            self.0 = Arc::new(vec![0; wanted]);
        }
        let Some(buffer) = Arc::get_mut(&mut self.0) else { return Err(Errno::AGAIN) };
        let mut parts = [IoSliceMut::new(&mut buffer[..wanted])];
        let read = rustix::io::preadv2(file, &mut parts, at, ReadWriteFlags::NOWAIT)?;
        Ok(Bytes::from_owner(Filled { buffer: Arc::clone(&self.0), len: read }))
    }
}

struct Filled {
    buffer: Arc<Vec<u8>>,
    len: usize,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}
