//! How far the ledger was followed, and what is still to be signed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use schema::api::MAX_CLAIMS;
use schema::attestation::Entry;
use schema::claim::Claim;
use schema::hash::{ClaimId, KeyId, MapKey};
use schema::key::PublicKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::remote::Remote;

/// What is kept in a file between runs. None of it is trusted: it only says where to look.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// Of each builder, how many of its entries were seen.
    seen: BTreeMap<KeyId, u64>,
    /// Claims that were not allowed when they were seen.
    open: BTreeSet<ClaimId>,
}

pub(super) struct Progress {
    path: PathBuf,
    kept: Kept,
}

impl Progress {
    /// What one key's countersigning in one pool has come to.
    pub(super) fn open(dir: &Path, key: &PublicKey, server: &str) -> Result<Self> {
        let digest = Sha256::digest(format!("{key}\n{server}"));
        let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = dir.join(format!("{name}.json"));
        let about = || format!("reading {}", path.display());
        let kept = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(about)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Kept::default(),
            Err(error) => return Err(error).with_context(about),
        };
        Ok(Self { path, kept })
    }

    /// The claims of a builder that are to be looked at: about `most` new ones, and those left open.
    pub(super) async fn news(
        &mut self,
        remote: &Remote<'_>,
        builder: &PublicKey,
        most: usize,
    ) -> Result<BTreeMap<ClaimId, Claim>> {
        let from = self.kept.seen.get(&builder.id()).copied().unwrap_or(0);
        let lookup = remote.lookup(&MapKey::of_signer(&builder.id()), from).await?;
        let indices: Vec<u64> = lookup.indices.into_iter().take(most).collect();
        let entries = remote.entries(&indices).await?;
        let parse = |bytes: &Vec<u8>| Entry::parse(bytes).context("reading the ledger");
        let mut ids: BTreeSet<ClaimId> = std::mem::take(&mut self.kept.open);
        for bytes in &entries {
            ids.insert(parse(bytes)?.claim);
        }
        self.kept.seen.insert(builder.id(), from + indices.len() as u64);
        let ids: Vec<ClaimId> = ids.into_iter().collect();
        let mut claims = BTreeMap::new();
        for some in ids.chunks(MAX_CLAIMS) {
            for answer in remote.claims(some).await? {
                let text = answer.text.filter(|text| ClaimId::of(text.as_bytes()) == answer.claim);
                let Some(text) = text else { continue };
                let claim = Claim::parse(text.as_bytes()).context("reading a claim")?;
                claims.insert(answer.claim, claim);
            }
        }
        Ok(claims)
    }

    /// Keeps all that, durably; these claims are open still.
    pub(super) fn keep(&mut self, open: Vec<ClaimId>) -> Result<()> {
        self.kept.open = open.into_iter().collect();
        let about = || format!("writing {}", self.path.display());
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir).with_context(about)?;
        file.write_all(&serde_json::to_vec(&self.kept)?).with_context(about)?;
        file.as_file().sync_all().with_context(about)?;
        file.persist(&self.path).with_context(about)?;
        Ok(())
    }
}
