//! The file of a NAR, passed on as it comes. Where the connection breaks off or stalls, another one
//! goes on from there, if the source can do that.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use reqwest::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, RANGE,
};
use reqwest::{Response, StatusCode, Url};
use schema::compression::Compression;
use tokio::time::sleep;

use super::{Fault, Packed, Upstream};

/// Connections that may break off one after the other without bringing much.
const TRIES: u32 = 5;
/// What is much, in bytes.
const MUCH: u64 = 1 << 20;
/// Before the first further connection; doubled before each other one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// What is known of a file before it comes, by the source's word.
pub(super) struct PackedFile {
    /// Of the file.
    pub(super) compression: Compression,
    /// Of the file, in bytes.
    pub(super) size: Option<u64>,
    /// No file of this NAR is longer, in bytes.
    pub(super) longest: u64,
}

/// A file on its way.
pub(crate) struct Download {
    upstream: Arc<Upstream>,
    url: Url,
    compression: Compression,
    packed: Packed,
    /// By which the source tells whether it still has the same file.
    etag: Option<HeaderValue>,
    /// Whether the source may be able to go on in the midst of it.
    ranges: bool,
    /// No file of this NAR is longer, in bytes.
    longest: u64,
    /// Its size in bytes, by the source's word.
    size: Option<u64>,
    /// Bytes passed on.
    at: u64,
    /// Where this connection began, and those before it that brought little.
    began: u64,
    tries: u32,
}

impl Download {
    pub(super) fn new(
        upstream: Arc<Upstream>,
        url: Url,
        response: Response,
        file: PackedFile,
    ) -> Self {
        let header = |name| response.headers().get(name);
        // A weak one says that two files mean the same, and not that their bytes are the same.
        let etag = header(ETAG).filter(|etag| !etag.as_bytes().starts_with(b"W/")).cloned();
        let ranges = header(ACCEPT_RANGES).is_none_or(|ranges| ranges.as_bytes() != b"none");
        let PackedFile { compression, size, longest } = file;
        let size = response.content_length().or(size);
        let packed = Packed::new(response, compression, upstream.source.pace, longest);
        let (at, began, tries) = (0, 0, 0);
        Self { upstream, url, compression, packed, etag, ranges, longest, size, at, began, tries }
    }

    /// Whether the source says how long it is.
    pub(crate) fn has_size(&self) -> bool {
        self.size.is_some()
    }

    /// The rest of it. What ends it early is told to `fault` as well: who takes the pieces may have
    /// words of its own for that.
    pub(crate) fn pieces(
        self,
        fault: impl Fn(Fault) + Send + 'static,
    ) -> impl Stream<Item = Result<Bytes, Fault>> + Send + 'static {
        try_unfold((self, fault), async |(mut download, tell)| match download.next().await {
            Ok(piece) => Ok(piece.map(|piece| (piece, (download, tell)))),
            Err(fault) => {
                tell(fault.clone());
                Err(fault)
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            match self.packed.next().await {
                Ok(Some(piece)) => {
                    self.at += piece.len() as u64;
                    self.upstream.count(piece.len());
                    return Ok(Some(piece));
                }
                Ok(None) if self.size.is_none_or(|size| self.at >= size) => return Ok(None),
                // Without a length on the wire, this is how it looks.
                Ok(None) | Err(Fault::Truncated) => self.resume(Fault::Truncated).await?,
                // As when a wire is cut that nobody hears of. Who stalls at once is given up.
                Err(Fault::Stalled) if self.at > self.began => self.resume(Fault::Stalled).await?,
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Goes on from where it broke off, over a new connection. If it cannot, the fault stays.
    async fn resume(&mut self, fault: Fault) -> Result<(), Fault> {
        if self.at == 0 || !self.ranges {
            return Err(fault);
        }
        if self.at - self.began >= MUCH {
            self.tries = 0;
        }
        self.began = self.at;
        while self.tries < TRIES {
            sleep(FIRST_PAUSE * 2_u32.pow(self.tries)).await;
            self.tries += 1;
            if let Ok(response) = self.ask_for_rest().await {
                if !self.goes_on(&response) {
                    return Err(fault);
                }
                let (pace, room) = (self.upstream.source.pace, self.longest - self.at);
                self.packed = Packed::new(response, self.compression, pace, room);
                return Ok(());
            }
        }
        Err(fault)
    }

    async fn ask_for_rest(&self) -> Result<Response, Fault> {
        let source = &self.upstream.source;
        let mut request = source.get(self.url.clone());
        request = request.header(RANGE, format!("bytes={}-", self.at));
        request = request.header(ACCEPT_ENCODING, "identity");
        if let Some(etag) = &self.etag {
            request = request.header(IF_RANGE, etag.clone());
        }
        source.pace.wait(request.send()).await
    }

    /// Whether an answer is the rest of the same file, by its head. If it is not after all, the pool
    /// finds that the hash is wrong.
    fn goes_on(&self, response: &Response) -> bool {
        let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let from = range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-'));
        let size = from.and_then(|(_, rest)| rest.split_once('/')?.1.parse::<u64>().ok());
        let same = |sizes: (u64, u64)| sizes.0 == sizes.1;
        response.status() == StatusCode::PARTIAL_CONTENT
            && from.is_some_and(|(from, _)| from.parse() == Ok(self.at))
            && size.zip(self.size).is_none_or(same)
    }
}
