//! The mirrors that the operator names, and how fresh each is, by its own announcements: the pool
//! never dials out to ask.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schema::api::{MirrorReport, Mirrors};
use schema::tlog::checkpoint::{CheckpointError, SignedCheckpoint, UnverifiedCheckpoint};
use schema::tlog::cosignature::{Cosignature, CosignatureError};
use schema::tlog::note::NoteError;

use super::Pool;
use crate::clock;
use crate::config::Mirror;
use crate::index::LogId;
use crate::rejected::{Error, Failure, Rejected};

/// How far a mirror's clock may be ahead of this one, in seconds. What is further ahead would outdo
/// all that the mirror says later.
const CLOCKS_DIFFER: u64 = 300;

/// What the mirrors have told since the pool was started: a restart forgets it, and they tell again.
pub(super) struct Announced(Mutex<Vec<Option<Freshness>>>);

/// How far a mirror is. The larger and then the later is the newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Freshness {
    size: u64,
    time: u64,
}

impl Announced {
    /// Nothing yet.
    pub(super) fn new(mirrors: &[Mirror]) -> Self {
        Self(Mutex::new(vec![None; mirrors.len()]))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Freshness>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// Which mirrors there are, and how fresh.
    #[must_use]
    pub fn mirrors(&self) -> Mirrors {
        let published = self.shown(LogId::Attestations).published().size();
        let known = self.announced.lock().clone();
        let mirrors = self.config.mirrors.iter().zip(known);
        Mirrors { mirrors: mirrors.map(|(it, known)| report(it, known, published)).collect() }
    }

    /// Takes a mirror's word for how far it is: the file of a checkpoint that it cosigned. What is no
    /// newer than what is known changes nothing. Answers with what is known of the mirror then.
    ///
    /// # Errors
    /// A checkpoint of another log, one that this pool has not published, or one that no mirror
    /// cosigned.
    pub async fn announce_mirror(self: &Arc<Self>, note: String) -> Result<MirrorReport, Failure> {
        let pool = Arc::clone(self);
        let taken = tokio::task::spawn_blocking(move || pool.take_announcement(&note));
        taken.await.map_err(|error| Error::Index(format!("announcing stopped: {error}")))?
    }

    fn take_announcement(&self, note: &str) -> Result<MirrorReport, Failure> {
        let key = self.ledger.identity().log_key(LogId::Attestations)?;
        let checkpoint =
            UnverifiedCheckpoint::parse(note.as_bytes()).and_then(|it| it.verify(&key));
        let checkpoint = checkpoint.map_err(not_ours)?;
        let cosignatures = self.cosignatures(&checkpoint)?;
        self.check_published(&checkpoint)?;
        let mut told = None;
        for Cosignature { witness, time } in cosignatures {
            let mirror = self.config.mirrors.iter().position(|it| it.key == *witness);
            let Some(at) = mirror else { continue };
            let newer = Freshness { size: checkpoint.size(), time };
            let mut announced = self.announced.lock();
            announced[at] = announced[at].max(Some(newer));
            told = told.or(Some(at));
        }
        let at = told.ok_or_else(no_mirror)?;
        Ok(self.mirrors().mirrors.swap_remove(at))
    }

    /// Those by configured mirrors.
    fn cosignatures(&self, it: &SignedCheckpoint) -> Result<Vec<Cosignature<'_>>, Rejected> {
        let keys = self.config.mirrors.iter().map(|mirror| &mirror.key);
        let cosignatures = it.cosignatures(keys).map_err(badly_cosigned)?;
        let latest = clock::now() + CLOCKS_DIFFER;
        match cosignatures.iter().find(|it| it.time > latest) {
            Some(Cosignature { witness, time }) => {
                let detail = format!("{} says that it is {time} seconds past 1970", witness.name());
                Err(Rejected::unprocessable("from_the_future", detail)
                    .hint("set the mirror's clock, or this pool's"))
            }
            None => Ok(cosignatures),
        }
    }

    /// That this pool has shown this very tree to its readers.
    fn check_published(&self, checkpoint: &SignedCheckpoint) -> Result<(), Failure> {
        let log = self.shown(LogId::Attestations);
        let (published, size) = (log.published(), checkpoint.size());
        if size > published.size() {
            let detail = format!("the log has {} entries, not {size}", published.size());
            return Err(Rejected::unprocessable("not_published", detail)
                .hint("announce a checkpoint that /ledger/attestations/checkpoint has shown")
                .into());
        }
        if log.root(size, &published)? != *checkpoint.root() {
            tracing::error!(size, "this pool's key has signed another tree than this pool keeps");
            let detail = format!("the first {size} entries of the log have another root");
            return Err(Rejected::unprocessable("other_root", detail)
                .hint("the log's key signed both: show the two checkpoints to the operator")
                .into());
        }
        Ok(())
    }

    /// Everything that is counted, in Prometheus' text format.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let published = self.shown(LogId::Attestations).published().size();
        for MirrorReport { key, behind, .. } in self.mirrors().mirrors {
            // Of one that has told nothing, nothing is known to be there.
            self.metrics.mirror_behind(key.name().as_str(), behind.unwrap_or(published));
        }
        self.count_room();
        if let Ok(waiting) = self.waiting_nars() {
            self.metrics.scrub.waiting.set(waiting as f64);
        }
        self.metrics.render()
    }
}

fn report(mirror: &Mirror, known: Option<Freshness>, published: u64) -> MirrorReport {
    MirrorReport {
        url: mirror.url.clone(),
        key: mirror.key.clone(),
        size: known.map(|known| known.size),
        seen_at: known.map(|known| known.time),
        behind: known.map(|known| published.saturating_sub(known.size)),
    }
}

fn not_ours(error: CheckpointError) -> Rejected {
    let detail = error.to_string();
    match error {
        CheckpointError::OtherLog { .. } => Rejected::not_found("other_log", detail)
            .hint("announce a checkpoint of this pool's attestations log"),
        CheckpointError::Note(NoteError::NotSigned | NoteError::BadSignature(_)) => {
            Rejected::forbidden("not_signed_by_log", detail)
                .hint("leave the log's own signature in the checkpoint; /api/v1/info has its key")
        }
        _ => Rejected::unprocessable("checkpoint_malformed", detail)
            .hint("send the file of a checkpoint: origin, size, root, an empty line, signatures"),
    }
}

fn badly_cosigned(error: CosignatureError) -> Rejected {
    Rejected::forbidden("bad_cosignature", error.to_string())
        .hint("cosign these very bytes, with the key that the operator of this pool knows")
}

fn no_mirror() -> Rejected {
    Rejected::forbidden("not_a_mirror", "no mirror that this pool knows has cosigned it")
        .hint("its operator names mirrors by the key `mirrors`: URL VKEY")
}
