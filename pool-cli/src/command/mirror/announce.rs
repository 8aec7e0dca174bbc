//! Telling a pool how far it is mirrored, so that it can tell others.

use tokio::time::{Duration, Instant};

use schema::evidence::LogKeys;
use schema::tlog::checkpoint::Origin;
use schema::tlog::mirror::origin_hash;

use super::Carrier;
use crate::exit::{self, Exit};

/// The same is announced again after so long: a pool that was restarted has forgotten.
const AGAIN: Duration = Duration::from_secs(300);

/// What was announced, and when.
pub(super) struct Announced {
    checkpoint: Vec<u8>,
    at: Instant,
    /// The pool lists no such mirror, and was told that.
    in_vain: bool,
}

impl Carrier {
    /// Announces the mirror's checkpoint of a ledger to its pool. A pool that does not list this mirror
    /// refuses, which is its right.
    pub(super) async fn announce(&mut self, number: usize, keys: &LogKeys) {
        let origin = origin_hash(&Origin::from(keys.attestations().name()));
        let Ok(checkpoint) = self.target.file_at(&format!("/mirror/{origin}"), "checkpoint").await
        else {
            return;
        };
        if let Some(before) = self.announced.get(keys.origin())
            && (before.checkpoint == *checkpoint || before.in_vain)
            && before.at.elapsed() < AGAIN
        {
            return;
        }
        let text = String::from_utf8_lossy(&checkpoint).into_owned();
        let in_vain = match self.sources[number].remote.announce(text).await {
            Ok(()) => false,
            Err(error) => {
                if exit::of(&error) == Exit::No && !self.announced.contains_key(keys.origin()) {
                    self.output.note(&format!("not listed among the mirrors: {error:#}"));
                }
                true
            }
        };
        let announced = Announced { checkpoint: checkpoint.to_vec(), at: Instant::now(), in_vain };
        self.announced.insert(keys.origin().to_owned(), announced);
    }
}
