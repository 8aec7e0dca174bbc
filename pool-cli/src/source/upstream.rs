//! A binary cache, or `guix publish`, that paths are imported from: its narinfos are read with the
//! signatures in them, and its NARs' files are passed on as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use reqwest::header::ACCEPT_ENCODING;
use reqwest::{RequestBuilder, Response, StatusCode, redirect};
use schema::api::NarFound;
use schema::cache_info::CacheInfo;
use schema::store_path::{HashPart, StoreDir};

use super::download::PackedFile;
use super::{Download, Fault, Kind, Pace, Source, Told, Wanted, near_or_certified};
use crate::credentials::Access;
use crate::exit::Failure;
use crate::output::Output;

/// How `guix publish` begins to say that it is packing what was asked for. Newer ones have a header
/// for it, too.
const BAKING: &[u8] = b"We're baking it";
const BAKING_HEADER: &str = "x-baking";

/// A source of imports. It is never shown a token.
pub(crate) struct Upstream {
    pub(super) source: Source,
    dir: StoreDir,
    came: AtomicU64,
}

impl Upstream {
    /// Asks the source at an address which store it is of.
    pub(crate) async fn open(
        access: &Access,
        pace: Pace,
        output: &'static Output,
    ) -> Result<Arc<Self>> {
        let access = Access { token: None, ..access.clone() };
        let source = Source::new(&access, near_or_certified(), Kind::Cache, (pace, output))?;
        let dir = store_dir(&source).await.map_err(|why| {
            let message = format!("{} does not say which store it is of: {why}", source.address());
            let hint = "is this the address of a binary cache or of `guix publish`? Its \
                        nix-cache-info must name the StoreDir";
            Failure::could_not_tell(message).hint(hint)
        })?;
        Ok(Arc::new(Self { source, dir, came: AtomicU64::new(0) }))
    }

    /// A pool whose NARs are known by their hashes. It is shown the token that is for it.
    pub(crate) fn of_pool(
        access: &Access,
        pace: Pace,
        output: &'static Output,
    ) -> Result<Arc<Self>> {
        let source = Source::new(access, redirect::Policy::none(), Kind::Pool, (pace, output))?;
        Ok(Arc::new(Self { source, dir: StoreDir::nix(), came: AtomicU64::new(0) }))
    }

    /// Its address, without a final slash.
    pub(crate) fn address(&self) -> &str {
        self.source.address()
    }

    /// The store that its paths are in.
    pub(crate) fn dir(&self) -> &StoreDir {
        &self.dir
    }

    /// Bytes of narinfos and NARs that came of it so far, whatever became of them.
    pub(crate) fn bytes_came(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }

    /// What it says of the path with this hash part.
    pub(crate) async fn told(&self, part: HashPart) -> Result<Told, Fault> {
        let url = self.source.address_of(&format!("{part}.narinfo"))?;
        let response = ask(&self.source, self.source.get(url)).await?;
        let text = self.source.narinfo(response).await?;
        self.count(text.len());
        Told::read(&text, &self.dir, part)
    }

    /// Asks for the file of a NAR.
    pub(crate) async fn download(self: &Arc<Self>, told: &Told) -> Result<Download, Fault> {
        let file = PackedFile {
            compression: told.delivery.compression,
            size: told.file_size(),
            longest: Wanted::of(&told.claim).longest_file(),
        };
        self.download_at(&told.delivery.url, file).await
    }

    /// Asks a pool for the file that it keeps of a NAR.
    pub(crate) async fn download_file(self: &Arc<Self>, nar: &NarFound) -> Result<Download, Fault> {
        let NarFound { nar_hash, compression, file_size, .. } = *nar;
        let url = format!("nar/{}.nar{}", nar_hash.to_nix32(), compression.suffix());
        let file = PackedFile { compression, size: Some(file_size), longest: file_size };
        self.download_at(&url, file).await
    }

    async fn download_at(self: &Arc<Self>, url: &str, file: PackedFile) -> Result<Download, Fault> {
        let url = self.source.address_of(url)?;
        // So that the place of a byte in what comes is its place in the file.
        let request = self.source.get(url.clone()).header(ACCEPT_ENCODING, "identity");
        let response = ask(&self.source, request).await?;
        Ok(Download::new(Arc::clone(self), url, response, file))
    }

    pub(super) fn count(&self, bytes: usize) {
        self.came.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

async fn store_dir(source: &Source) -> Result<StoreDir, Fault> {
    let response = ask(source, source.get(source.address_of("nix-cache-info")?)).await?;
    let text = source.narinfo(response).await?;
    let info = CacheInfo::parse(&String::from_utf8_lossy(&text));
    info.map(|info| info.store_dir).map_err(|why| Fault::Malformed(why.to_string()))
}

/// Asks, which is to be by GET: `guix publish` knows no other method.
async fn ask(source: &Source, request: RequestBuilder) -> Result<Response, Fault> {
    let response = source.pace.wait(request.send()).await?;
    match response.status() {
        StatusCode::OK => Ok(response),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(absence(source, response).await),
        // Object stores whose listing is private say so of what is not there. Nix knows that, too.
        StatusCode::FORBIDDEN => Err(Fault::Absent),
        status => Err(Fault::Unavailable(format!("it answers with {status}"))),
    }
}

async fn absence(source: &Source, mut response: Response) -> Fault {
    if response.headers().contains_key(BAKING_HEADER) {
        return Fault::Baking;
    }
    match source.pace.wait(response.chunk()).await {
        Ok(Some(body)) if body.starts_with(BAKING) => Fault::Baking,
        _ => Fault::Absent,
    }
}
