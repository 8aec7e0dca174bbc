//! Asking for a NAR's file: at a pool, which told where it lies, or at a binary cache, whose
//! narinfo tells that and is believed in nothing else.

use bytes::BytesMut;
use reqwest::{Response, StatusCode, Url};
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::narinfo::MAX_NARINFO_LEN;
use schema::store_path::StorePath;

use super::{Fault, Offer, Packed, Place, Source, Told, may_lead};

impl Offer {
    /// Asks for the file, of which at most `longest` bytes will be read.
    pub(super) async fn open(&self, longest: u64) -> Result<Packed, Fault> {
        match &self.place {
            Place::File { url, compression } => self.source.file(url, *compression, longest).await,
            Place::Narinfo(path, hash) => {
                let (url, compression) = self.source.delivery(path, *hash).await?;
                self.source.file(&url, compression, longest).await
            }
        }
    }
}

impl Source {
    async fn file(
        &self,
        url: &str,
        compression: Compression,
        longest: u64,
    ) -> Result<Packed, Fault> {
        let response = self.ask(self.address_of(url)?).await?;
        Ok(Packed::new(response, compression, self.pace, longest))
    }

    /// Where a cache has the NAR with this hash, if that is the one it has for this path.
    async fn delivery(
        &self,
        path: &StorePath,
        hash: NarHash,
    ) -> Result<(String, Compression), Fault> {
        let part = path.base().hash_part();
        let response = self.ask(self.address_of(&format!("{part}.narinfo"))?).await?;
        let told = Told::read(&self.narinfo(response).await?, path.dir(), part)?;
        if told.claim.nar_hash() != hash {
            return Err(Fault::Absent);
        }
        Ok((told.delivery.url, told.delivery.compression))
    }

    /// The text of a narinfo, or of another short answer.
    pub(super) async fn narinfo(&self, mut response: Response) -> Result<BytesMut, Fault> {
        let mut text = BytesMut::new();
        while let Some(piece) = self.pace.wait(response.chunk()).await? {
            if text.len() + piece.len() > MAX_NARINFO_LEN {
                return Err(Fault::Unavailable("its narinfo is too long".to_owned()));
            }
            text.extend_from_slice(&piece);
        }
        Ok(text)
    }

    /// Relative addresses are pasted to the source's own, as Nix does.
    pub(super) fn address_of(&self, url: &str) -> Result<Url, Fault> {
        let pasted = format!("{}/{url}", self.address());
        let absolute = Url::parse(url).or_else(|_| Url::parse(&pasted));
        absolute
            .ok()
            .filter(|url| may_lead(&self.address, url))
            .ok_or_else(|| Fault::Unavailable(format!("it points to {url:?}")))
    }

    pub(super) async fn ask(&self, url: Url) -> Result<Response, Fault> {
        let response = self.pace.wait(self.get(url).send()).await?;
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(Fault::Absent),
            status => Err(Fault::Unavailable(format!("it answers with {status}"))),
        }
    }
}
