//! Files that the kernel sends by itself: sendfile(2) under an HTTP library that knows only bytes.
//!
//! A large answer costs twice the processor time when its bytes pass through this process. So a
//! [`FileBody`] gives the library blank bytes in their place, and tells the connection, through
//! its [`Outlet`], which part of which file each run of blanks stands for. The connection knows
//! blanks by where they lie in memory, and sends the file instead.
//!
//! That is sound only where the very slices of a body arrive at the socket, in their order: in
//! HTTP/1, without TLS. So a request has an outlet only there; and a run of blanks that is not
//! exactly the one announced next breaks the connection rather than ever being sent.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs::File;
use std::future::{Ready, ready};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum_server::accept::Accept;
use bytes::Bytes;
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};
use rustix::fs::{Advice, fadvise, sendfile};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tower::Service;

use super::connection::Connection;

/// Below this many bytes, reading and writing is the cheaper way.
pub const WORTHWHILE: u64 = 1 << 20;

/// What is announced at once, and read ahead when the page cache does not have it.
const RUN: usize = 1 << 20;

/// Never read, so no memory stands behind it.
static BLANKS: LazyLock<&'static [u8]> = LazyLock::new(|| Box::leak(vec![0; RUN].into()));

/// Leads from a request to its connection. Requests whose answer may be sent by the kernel have
/// one among their extensions.
#[derive(Clone, Default)]
pub struct Outlet(Arc<Mutex<VecDeque<Run>>>);

/// What the next blanks stand for.
struct Run {
    file: Arc<File>,
    at: u64,
    left: usize,
}

impl Outlet {
    /// An answer with the bytes of `file` from `start` up to `end`, which lie within it.
    #[must_use]
    pub fn body(&self, file: Arc<File>, start: u64, end: u64) -> FileBody {
        // Only advice: a file system that takes none sends all the same.
        let _ = fadvise(&file, start, None, Advice::Sequential);
        FileBody { outlet: self.clone(), file, at: start, end, warming: None }
    }

    /// Sends what `parts` begin with, of which the part at `blanks` is the first blank one: what
    /// it stands for, or the bytes before it.
    pub(super) fn send(
        &self,
        socket: &TcpStream,
        parts: &[IoSlice<'_>],
        blanks: usize,
    ) -> io::Result<usize> {
        if blanks > 0 {
            // A header and such, which the kernel is told to hold for what follows.
            let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
            return Ok(sendmsg(
                socket,
                &parts[..blanks],
                &mut SendAncillaryBuffer::default(),
                flags,
            )?);
        }
        self.send_run(socket, parts[0].len())
    }

    fn send_run(&self, socket: &TcpStream, len: usize) -> io::Result<usize> {
        let mut runs = self.runs();
        let run = runs.front_mut().filter(|run| run.left == len).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "blanks that nobody announced")
        })?;
        let sent = sendfile(socket, &run.file, Some(&mut run.at), len)?;
        if sent == 0 {
            // Never finish an answer that promised more: the client must see it break.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        run.left -= sent;
        if run.left == 0 {
            runs.pop_front();
        }
        Ok(sent)
    }

    fn runs(&self) -> MutexGuard<'_, VecDeque<Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of these is the first that stands for a part of a file.
pub(super) fn first_blanks(parts: &[IoSlice<'_>]) -> Option<usize> {
    let blanks = BLANKS.as_ptr_range();
    parts.iter().position(|part| !part.is_empty() && blanks.contains(&part.as_ptr()))
}

/// Part of a file, which the kernel sends by itself.
pub struct FileBody {
    outlet: Outlet,
    file: Arc<File>,
    at: u64,
    end: u64,
    warming: Option<JoinHandle<io::Result<()>>>,
}

impl FileBody {
    /// Whether the next run could be sent without waiting for a disk, by its first and last byte.
    /// What cannot be told is taken as it comes.
    fn is_cached(&self, len: usize) -> bool {
        let mut byte = [0];
        [self.at, self.at + len as u64 - 1].into_iter().all(|at| {
            let mut parts = [IoSliceMut::new(&mut byte)];
            !matches!(
                preadv2(&self.file, &mut parts, at, ReadWriteFlags::NOWAIT),
                Err(Errno::AGAIN)
            )
        })
    }

    /// Reads a run into the page cache, on a thread that may wait for the disk.
    fn warm(&self, len: usize) -> JoinHandle<io::Result<()>> {
        let (file, at) = (Arc::clone(&self.file), self.at);
        tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; 128 << 10];
            for at in (at..at + len as u64).step_by(bytes.len()) {
                file.read_at(&mut bytes, at)?;
            }
            Ok(())
        })
    }
}

impl Body for FileBody {
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
        let len = usize::try_from(this.end - this.at).map_or(RUN, |rest| rest.min(RUN));
        if this.warming.is_none() && !this.is_cached(len) {
            this.warming = Some(this.warm(len));
        }
        if let Some(warming) = &mut this.warming {
            let warmed = ready!(Pin::new(warming).poll(context));
            this.warming = None;
            if let Err(error) = warmed.map_err(io::Error::other).flatten() {
                return Poll::Ready(Some(Err(error)));
            }
        }
        let run = Run { file: Arc::clone(&this.file), at: this.at, left: len };
        this.outlet.runs().push_back(run);
        this.at += len as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&BLANKS[..len])))))
    }

    fn is_end_stream(&self) -> bool {
        self.at == self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}

/// Gives each request of a connection without TLS its outlet.
#[derive(Clone)]
pub(super) struct Plain;

impl<S> Accept<Connection, S> for Plain {
    type Stream = Connection;
    type Service = WithOutlet<S>;
    type Future = Ready<io::Result<(Connection, WithOutlet<S>)>>;

    fn accept(&self, connection: Connection, service: S) -> Self::Future {
        let outlet = connection.outlet().clone();
        ready(Ok((connection, WithOutlet { service, outlet })))
    }
}

/// See [`Plain`].
#[derive(Clone)]
pub(super) struct WithOutlet<S> {
    service: S,
    outlet: Outlet,
}

impl<S, B> Service<Request<B>> for WithOutlet<S>
where
    S: Service<Request<B>, Error = Infallible>,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        // HTTP/2 cuts bodies into frames of its own.
        if request.version() <= Version::HTTP_11 {
            request.extensions_mut().insert(self.outlet.clone());
        }
        self.service.call(request)
    }
}

#[cfg(test)]
mod tests;
