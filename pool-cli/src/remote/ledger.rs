//! The pool's logs, as files.

use anyhow::Result;
use bytes::Bytes;
use reqwest::Method;
use schema::api::{
    ClaimAnswer, ClaimsRequest, ClaimsResponse, KeyEventLogged, KeyEventRequest, Lookup,
};
use schema::hash::{ClaimId, MapKey};
use schema::tlog::receipt::MAX_RECEIPT_LEN;

use super::{ANSWER_TIMEOUT, Remote, answer, attempt};
use crate::exit::Failure;

/// A bundle of the longest entries that there are.
pub(super) const MAX_FILE: usize = 256 * (2 + u16::MAX as usize);

impl Remote<'_> {
    /// Says what happened to a key.
    pub(crate) async fn key_event(&self, request: &KeyEventRequest) -> Result<KeyEventLogged> {
        self.tell("/api/v1/keys/events", request).await
    }

    /// A file of a log, such as `checkpoint` or `tile/entries/000.p/5` of `keys`.
    pub(crate) async fn log_file(&self, log: &str, path: &str) -> Result<Bytes> {
        self.file(&format!("/ledger/{log}/{path}"), MAX_FILE).await
    }

    /// The proof that the attestation at `index` is in the ledger: the file of a receipt.
    pub(crate) async fn receipt(&self, index: u64) -> Result<Bytes> {
        self.file(&format!("/api/v1/ledger/receipts/{index}"), MAX_RECEIPT_LEN).await
    }

    /// What is known of these claims, of which one request may ask, in the order asked.
    pub(crate) async fn claims(&self, claims: &[ClaimId]) -> Result<Vec<ClaimAnswer>> {
        let mut known: Vec<ClaimAnswer> = Vec::with_capacity(claims.len());
        while known.len() < claims.len() {
            let rest = &claims[known.len()..];
            let request = ClaimsRequest { claims: rest.to_vec() };
            let answer: ClaimsResponse = self.tell("/api/v1/claims", &request).await?;
            let told = answer.claims.iter().map(|it| &it.claim);
            // It may end early, and then is asked for the rest.
            if answer.claims.is_empty() || !told.zip(rest).all(|(told, asked)| told == asked) {
                let message = format!("{} tells of other claims than asked for", self.server());
                return Err(Failure::could_not_tell(message).into());
            }
            known.extend(answer.claims);
        }
        known.truncate(claims.len());
        Ok(known)
    }

    /// The entries of a path, a NAR or a key, from one on.
    pub(crate) async fn lookup(&self, key: &MapKey, from: u64) -> Result<Lookup> {
        self.ask(&format!("/ledger/index/lookup/{key}?from={from}")).await
    }

    pub(super) async fn file(&self, path: &str, longest: usize) -> Result<Bytes> {
        self.patiently(async || {
            let request = self.request(Method::GET, path).timeout(ANSWER_TIMEOUT);
            let response = request.send().await;
            let response = response.map_err(|error| attempt::unreachable(self.server(), error))?;
            answer::file(response, longest).await
        })
        .await
    }
}
