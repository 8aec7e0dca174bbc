//! What a push is about, and whether it can succeed at all.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Result;
use schema::claim::{Claim, Dialect};
use schema::hash::NarHash;
use schema::key::SecretKey;
use schema::store_path::{StoreDir, StorePath};

use crate::exit::Failure;
use crate::output::bytes;
use crate::remote::Remote;
use crate::store::{PathInfo, Store};

/// A closure.
pub(in crate::command) struct Plan {
    /// Each path once.
    pub(in crate::command) closure: Vec<PathInfo>,
}

impl Plan {
    /// Finds the closure of `tops`.
    pub(in crate::command) fn new(store: &Store, tops: &[StorePath]) -> Result<Self> {
        Ok(Self { closure: store.closure(tops)? })
    }

    /// Each NAR once: different paths may have the same.
    pub(in crate::command) fn nar_hashes(&self) -> Vec<NarHash> {
        self.nars().map(Claim::nar_hash).collect()
    }

    /// What all the NARs take, uncompressed.
    pub(super) fn nar_bytes(&self) -> u64 {
        self.nars().map(Claim::nar_size).sum()
    }

    /// One claim for each of these NARs.
    pub(super) fn claims_of(&self, hashes: &[NarHash]) -> Vec<Claim> {
        let wanted: HashSet<NarHash> = hashes.iter().copied().collect();
        self.nars().filter(|claim| wanted.contains(&claim.nar_hash())).cloned().collect()
    }

    fn nars(&self) -> impl Iterator<Item = &Claim> {
        let mut seen = HashSet::new();
        let claims = self.closure.iter().map(|info| &info.claim);
        claims.filter(move |claim| seen.insert(claim.nar_hash()))
    }
}

/// Finds out before anything is sent what would be refused after it.
pub(in crate::command) async fn preflight(
    remote: &Remote<'_>,
    key: &SecretKey,
    key_file: &Path,
    store: &Store,
    plan: &Plan,
) -> Result<()> {
    let info = remote.info().await?;
    if info.store_dir != *store.dir() && *store.dir() != StoreDir::guix() {
        let message =
            format!("the pool serves {}, but these paths are in {}", info.store_dir, store.dir());
        return Err(Failure::no(message).hint("choose another pool with --server").into());
    }
    if let Some(claim) = plan.nars().find(|claim| claim.nar_size() > info.max_nar_size) {
        return Err(Failure::no(format!(
            "the NAR of {} has {}, the pool takes up to {}",
            claim.path(),
            bytes(claim.nar_size()),
            bytes(info.max_nar_size)
        ))
        .hint("its operator can raise max_nar_size")
        .into());
    }
    if key.public().dialect() == Dialect::Guix && *store.dir() != StoreDir::guix() {
        let message =
            format!("{} is a key of Guix's, and {} is no store of Guix's", key.name(), store.dir());
        return Err(Failure::no(message).hint("sign with a key of Nix's").into());
    }
    known_signer(remote, key, key_file).await
}

/// Finds out whether the pool keeps what this key signs.
pub(in crate::command) async fn known_signer(
    remote: &Remote<'_>,
    key: &SecretKey,
    key_file: &Path,
) -> Result<()> {
    let signers = remote.signers().await?;
    if signers.iter().any(|signer| signer.public_key == key.public()) {
        return Ok(());
    }
    Err(unknown_signer(
        remote,
        key,
        key_file,
        signers.iter().any(|other| other.name == *key.name()),
    ))
}

fn unknown_signer(
    remote: &Remote<'_>,
    key: &SecretKey,
    key_file: &Path,
    name_taken: bool,
) -> anyhow::Error {
    let (name, server) = (key.name(), remote.server());
    let failure = if name_taken {
        Failure::no(format!("at {server}, the name {name} belongs to another key"))
            .hint("names are for ever: make a key with another one, `pool key generate NAME`")
    } else {
        Failure::no(format!("{server} does not know the signer {name}"))
            .hint(format!("`pool signer enrol {}` makes it known", key_file.display()))
    };
    failure.into()
}
