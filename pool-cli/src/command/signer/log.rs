//! `pool signer log`: all that ever happened to the keys of a pool, verified.

use std::fmt::Display;

use anyhow::{Context, Result};
use schema::api::Info;
use schema::hash::{KeyId, TreeHash};
use schema::key_event::{KeyEntry, KeyEvent, RevokeReason};
use schema::signers::{Applied, Signers};
use schema::tlog::bundle;
use schema::tlog::checkpoint::SignedCheckpoint;
use schema::tlog::edge::Edge;
use schema::tlog::merkle::leaf_hash;
use schema::tlog::note::{SignatureKind, VerifierKey};
use schema::tlog::tile::bundles_of;
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::{Output, time};
use crate::remote::Remote;

/// The name of a pool's keys log, which everything signed for it begins with.
pub(super) fn origin(info: &Info) -> String {
    format!("{}/keys", info.origin)
}

/// Reads the log to its end, checks it against what the pool signed, and prints it.
pub(super) async fn run(remote: &Remote<'_>, output: &Output) -> Result<Exit> {
    let info = remote.info().await?;
    let name = origin(&info).parse().context("the pool's origin names no log")?;
    let key = VerifierKey::new(name, SignatureKind::Ed25519, info.public_key.point()?.clone());
    let wrong = |why: &dyn Display| {
        let message = format!("the keys log of {} is not in order: {why}", remote.server());
        Failure::no(message).lasting()
    };
    let checkpoint = remote.log_file("keys", "checkpoint").await?;
    let checkpoint = SignedCheckpoint::open(&checkpoint, &key).map_err(|why| wrong(&why))?;
    let mut replay = Replay::new(&info);
    for address in bundles_of(0, checkpoint.size()) {
        let file = remote.log_file("keys", &format!("tile/{}", address.path())).await?;
        replay.take(&file, address.width()).map_err(|why| wrong(&why))?;
    }
    replay.compare(checkpoint.root()).map_err(|why| wrong(&why))?;
    output.result(&replay.json()?, || replay.text());
    Ok(Exit::Yes)
}

/// A log, as far as it was read.
struct Replay {
    signers: Signers,
    edge: Edge,
    entries: Vec<KeyEntry>,
}

impl Replay {
    fn new(info: &Info) -> Self {
        let signers = Signers::new(&origin(info), info.public_key.clone());
        Self { signers, edge: Edge::new(), entries: Vec::new() }
    }

    /// The next bundle, each entry of which must be what the rules allow there.
    fn take(&mut self, file: &[u8], width: u16) -> Result<(), String> {
        let read = bundle::parse(file).map_err(|why| why.to_string())?;
        if read.len() != usize::from(width) {
            return Err(format!("a bundle of {} entries should have {width}", read.len()));
        }
        for bytes in read {
            let at = |why: &dyn Display| format!("entry {}: {why}", self.entries.len());
            let entry = KeyEntry::parse(bytes).map_err(|why| at(&why))?;
            if let Applied::Already { index, .. } =
                self.signers.apply(&entry).map_err(|why| at(&why))?
            {
                return Err(at(&format!("the event of entry {index} once more")));
            }
            self.edge.push(leaf_hash(bytes));
            self.entries.push(entry);
        }
        Ok(())
    }

    /// That what was read is what the pool signed.
    fn compare(&self, root: &TreeHash) -> Result<(), String> {
        if self.edge.root() == *root {
            Ok(())
        } else {
            Err("its entries are not those that the checkpoint is over".to_owned())
        }
    }

    fn json(&self) -> Result<Vec<Value>> {
        let value = |(index, entry): (usize, &KeyEntry)| {
            let mut value: Value = serde_json::from_slice(&entry.to_json())?;
            value["index"] = json!(index);
            Ok(value)
        };
        self.entries.iter().enumerate().map(value).collect()
    }

    fn text(&self) -> String {
        if self.entries.is_empty() {
            return "nothing happened yet; `pool signer enrol KEYFILE` begins".to_owned();
        }
        let lines = self.entries.iter().enumerate();
        lines.map(|(index, entry)| line(index, entry, &self.signers)).collect()
    }
}

fn line(index: usize, entry: &KeyEntry, signers: &Signers) -> String {
    let name = |id: &KeyId| {
        signers.by_id(id).map_or_else(|| id.to_string(), |it| it.key.name().to_string())
    };
    let what = match entry.signed.event() {
        KeyEvent::Enrol { key } => format!("{key} is a signer"),
        KeyEvent::Rotate { key, .. } => format!("{} is now {key}", key.name()),
        KeyEvent::Delegate { root, key, names, not_after } => {
            format!("{key} may attest {names} for {} until {}", name(root), time(*not_after))
        }
        KeyEvent::Revoke { key, reason: RevokeReason::Retired } => {
            format!("{} is retired ({key})", name(key))
        }
        KeyEvent::Revoke { key, reason: RevokeReason::Compromised { from } } => {
            format!("{} is compromised, its entries from {from} on are void ({key})", name(key))
        }
    };
    let (at, size) = (time(entry.logged_at), entry.attestations);
    format!("{index}  {at}, at {size} attestations: {what}\n")
}

#[cfg(test)]
mod tests;
