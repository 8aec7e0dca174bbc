//! What stays and what goes.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use reqwest::Method;
use schema::api::{
    Deletion, DeletionRequest, Deletions, GcRequest, Pin, PinRequest, Pins, Unpinned,
};
use schema::store_path::HashPart;

use super::lines::{Bounds, Lines};
use super::{ANSWER_TIMEOUT, Remote, answer, attempt};
use crate::exit::Failure;

/// A collection of a large pool takes its time, and tells of each NAR.
const COLLECTION: Bounds =
    Bounds { line: 64 << 10, answer: 1 << 40, time: Duration::from_hours(24 * 7) };

impl Remote<'_> {
    /// Has the pool collect now, or say what it would.
    pub(crate) async fn collect(&self, request: &GcRequest) -> Result<Lines> {
        let body = Bytes::from(serde_json::to_vec(request).context("writing JSON")?);
        let response = self
            .patiently(async || {
                let sent = self.json("/api/v1/gc").body(body.clone()).send().await;
                let response = sent.map_err(|error| attempt::unreachable(self.server(), error))?;
                answer::accepted(response).await
            })
            .await?;
        Ok(Lines::of(response, "collection", self.server(), COLLECTION))
    }

    /// Has paths stay.
    pub(crate) async fn pin(&self, name: &str, request: &PinRequest) -> Result<Pin> {
        self.tell(&format!("/api/v1/pins/{}", plain(name)?), request).await
    }

    /// Every revision of every pin.
    pub(crate) async fn pins(&self) -> Result<Vec<Pin>> {
        let answer: Pins = self.ask("/api/v1/pins").await?;
        Ok(answer.pins)
    }

    /// Forgets a pin, or one revision of it. Answers with how many there were.
    pub(crate) async fn unpin(&self, name: &str, revision: Option<u64>) -> Result<usize> {
        let revision = revision.map(|it| format!("?revision={it}")).unwrap_or_default();
        let answer: Unpinned =
            self.undo(&format!("/api/v1/pins/{}{revision}", plain(name)?)).await?;
        Ok(answer.revisions)
    }

    /// Takes a path down.
    pub(crate) async fn delete(&self, request: &DeletionRequest) -> Result<Deletion> {
        self.tell("/api/v1/deletions", request).await
    }

    /// Lets a path be there again.
    pub(crate) async fn undelete(&self, hash_part: HashPart) -> Result<Deletion> {
        self.undo(&format!("/api/v1/deletions/{hash_part}")).await
    }

    /// The page of what was taken down that comes after this path.
    pub(crate) async fn deletions(&self, after: Option<HashPart>) -> Result<Deletions> {
        let after_text = after.map(|after| format!("?after={after}")).unwrap_or_default();
        let page: Deletions = self.ask(&format!("/api/v1/deletions{after_text}")).await?;
        let last = page.deletions.last().map(|it| it.path.base().hash_part());
        if page.more && last.is_none_or(|last| Some(last) <= after) {
            let message = format!("the deletions of {} do not come to an end", self.server());
            return Err(Failure::could_not_tell(message).into());
        }
        Ok(page)
    }

    async fn undo<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.patiently(async || {
            self.send(self.request(Method::DELETE, path).timeout(ANSWER_TIMEOUT)).await
        })
        .await
    }
}

/// A name that may stand in an address: what else it may be is the pool's to say.
fn plain(name: &str) -> Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@".contains(&byte);
    if !name.is_empty() && name.bytes().all(plain) {
        return Ok(name);
    }
    let message = format!("{name:?} is not the name of a pin");
    Err(Failure::no(message).hint("it has letters, digits and . _ - + @").into())
}
