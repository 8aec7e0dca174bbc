//! Where signers disagree, and the NARs that they disagree about.

use std::fs::File;
use std::io::{Seek, Write};

use anyhow::{Context, Result};
use reqwest::Method;
use schema::api::{
    ChallengeAnswer, ChallengeRequest, ChallengeResponse, Divergences, FileReport, MAX_CHALLENGED,
};
use schema::hash::{FileHash, NarHash};
use schema::store_path::HashPart;
use sha2::{Digest, Sha256};

use super::{Remote, Trouble, answer, attempt};
use crate::exit::Failure;

impl Remote<'_> {
    /// The page of the feed of disagreements that begins at this index of the ledger.
    pub(crate) async fn divergences(&self, from: u64) -> Result<Divergences> {
        let page: Divergences = self.ask(&format!("/api/v1/divergence?from={from}")).await?;
        if page.more && page.next <= from {
            let message = format!("the feed of {} does not come to an end", self.server());
            return Err(Failure::could_not_tell(message).into());
        }
        Ok(page)
    }

    /// What is said of the paths with these hash parts, in the order asked.
    pub(crate) async fn challenge(&self, parts: &[HashPart]) -> Result<Vec<ChallengeAnswer>> {
        let mut known: Vec<ChallengeAnswer> = Vec::with_capacity(parts.len());
        while known.len() < parts.len() {
            let rest = &parts[known.len()..];
            let hash_parts = rest[..rest.len().min(MAX_CHALLENGED)].to_vec();
            let request = ChallengeRequest { hash_parts };
            let answer: ChallengeResponse = self.tell("/api/v1/divergence", &request).await?;
            let told = answer.answers.iter().map(|it| &it.hash_part);
            // It may end early, and then is asked for the rest.
            let asked = &request.hash_parts;
            if told.len() == 0 || told.len() > asked.len() || !told.zip(asked).all(|(a, b)| a == b)
            {
                let message = format!("{} tells of other paths than asked for", self.server());
                return Err(Failure::could_not_tell(message).into());
            }
            known.extend(answer.answers);
        }
        Ok(known)
    }

    /// Fetches the file in which the pool keeps a NAR, and sees that it is the one it told of. What
    /// the file holds is for the reader to check.
    pub(crate) async fn nar_file(&self, nar: NarHash, file: &FileReport) -> Result<File> {
        let address = format!("/nar/{}.nar{}", nar.to_nix32(), file.compression.suffix());
        self.patiently(async || {
            let response = self.request(Method::GET, &address).send().await;
            let response = response.map_err(|error| attempt::unreachable(self.server(), error))?;
            let mut fetched = tempfile::tempfile().context("making a temporary file")?;
            let (mut hasher, mut len) = (Sha256::new(), 0);
            answer::pieces(response, file.file_size, |piece| {
                hasher.update(piece);
                len += piece.len() as u64;
                Ok(fetched.write_all(piece).context("writing a temporary file")?)
            })
            .await?;
            let hash = FileHash::from_bytes(hasher.finalize().into());
            if (hash, len) != (file.file_hash, file.file_size) {
                let message =
                    format!("{} sends another file than it says at {address}", self.server());
                return Err(Trouble::Lasting(Failure::could_not_tell(message).into()));
            }
            fetched.rewind().context("reading a temporary file")?;
            Ok(fetched)
        })
        .await
    }
}
