//! What the clients have tried, and what the server has acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use schema::api::AttestItem;
use schema::hash::{FileHash, NarHash};
use schema::key::KeyName;
use schema::store_path::{BaseName, StorePath};
use tokio::sync::watch;

/// Kept by the clients together.
#[derive(Default)]
pub(super) struct Notes {
    owed: Mutex<Owed>,
    acknowledged: watch::Sender<u64>,
    ended: AtomicBool,
}

/// What must be there, and what may be.
#[derive(Clone, Default)]
pub(super) struct Owed {
    /// NARs that anybody tried to upload.
    pub(super) offered: BTreeSet<NarHash>,
    /// NARs that were acknowledged.
    pub(super) nars: BTreeMap<NarHash, u64>,
    /// Names of files that were acknowledged, and the NARs in them.
    pub(super) aliases: BTreeMap<FileHash, NarHash>,
    /// Build logs that were acknowledged.
    pub(super) logs: BTreeMap<BaseName, String>,
    /// Everything that anybody tried to attest. Each signer says one thing of a path.
    pub(super) tried: BTreeMap<(StorePath, KeyName), AttestItem>,
    /// Those that were acknowledged, with their index in the ledger where that was told.
    pub(super) attested: BTreeMap<(StorePath, KeyName), Option<u64>>,
}

impl Notes {
    /// Notes what is about to be tried, or what the server has said by the way.
    pub(super) fn note<T>(&self, note: impl FnOnce(&mut Owed) -> T) -> T {
        note(&mut self.owed.lock().unwrap())
    }

    /// Notes what was acknowledged.
    pub(super) fn acknowledge(&self, note: impl FnOnce(&mut Owed)) {
        self.note(note);
        self.acknowledged.send_modify(|count| *count += 1);
    }

    /// Waits until this many more acknowledgements have come.
    pub(super) async fn acknowledged(&self, more: u64) {
        let enough = *self.acknowledged.borrow() + more;
        self.acknowledged.subscribe().wait_for(|count| *count >= enough).await.unwrap();
    }

    /// From now on, requests must be answered.
    pub(super) fn server_is_up(&self) {
        self.ended.store(false, Ordering::SeqCst);
    }

    /// From now on, they may fail.
    pub(super) fn server_is_ended(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// A request failed, which it may only do when the server is ended.
    pub(super) fn blame_the_end(&self, error: &reqwest::Error) {
        assert!(self.ended.load(Ordering::SeqCst), "nobody ended the server, and yet: {error:?}");
    }
}

impl Owed {
    /// An attestation was acknowledged at this index of the ledger, for good.
    pub(super) fn attested_at(&mut self, item: &AttestItem, index: u64) {
        let before = self.attested.insert(key(item), Some(index)).flatten();
        assert!(
            before.is_none_or(|before| before == index),
            "{}: {before:?}, now {index}",
            item.store_path
        );
    }
}

/// Who says it of what.
pub(super) fn key(item: &AttestItem) -> (StorePath, KeyName) {
    (item.store_path.clone(), item.signature.name().clone())
}

impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note(|owed| {
            let bytes: u64 = owed.nars.values().sum();
            write!(
                f,
                "{} NARs ({} MB), {} attestations and {} logs acknowledged, {} attestations tried",
                owed.nars.len(),
                bytes / 1_000_000,
                owed.attested.len(),
                owed.logs.len(),
                owed.tried.len()
            )
        })
    }
}
