//! Those who want something of the pool at the same time.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use schema::api::{DeletionRequest, PinRequest};
use schema::claim::Dialect;
use schema::compression::Compression;

use super::faulty::Faulty;
use super::stage::{self, Act};
use super::world::{GRACE, LEASE, Subject, key, somebody};
use crate::assemble::view::View;
use crate::clock;
use crate::gc::How;
use crate::pool::Pool;
use crate::rejected::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    /// Asks for the narinfo.
    Narinfo,
    /// Asks for the NAR.
    Nar,
    /// Brings the NAR, and says nothing of it.
    Put,
    /// Another signer vouches for the path.
    Attest,
    /// Asks whether the NAR is missing, brings it then, and vouches: as `pool push` does.
    Push,
    /// The same as stock Nix does it: looks whether the NAR is here, and puts the narinfo in the end.
    Copy,
    /// Pins the path.
    Pin,
    /// Takes the path down.
    Delete,
    /// Takes it down at once.
    Remove,
    /// Collects.
    Collect,
    /// Lets all promises end that are given until then.
    Clock,
    /// Does one of these with two steps swapped.
    Faulty(Faulty),
}

impl Actor {
    pub(super) fn act(self, pool: &Arc<Pool>, subject: &Arc<Subject>) -> (String, Act) {
        let (pool, subject) = (Arc::clone(pool), Arc::clone(subject));
        let act: Act = match self {
            Self::Narinfo => Box::pin(narinfo(pool, subject)),
            Self::Nar => Box::pin(nar(pool, subject)),
            Self::Put => Box::pin(async move {
                let _ = put(&pool, &subject).await;
            }),
            Self::Attest => Box::pin(async move {
                let _ = attest(&pool, &subject).await;
            }),
            Self::Push => Box::pin(push(pool, subject)),
            Self::Copy => Box::pin(copy(pool, subject)),
            Self::Pin => Box::pin(pin(pool, subject)),
            Self::Delete => Box::pin(delete(pool, subject, false)),
            Self::Remove => Box::pin(delete(pool, subject, true)),
            Self::Collect => Box::pin(collect(pool)),
            Self::Clock => Box::pin(async { stage::put_ahead(LEASE + LEASE / 2) }),
            Self::Faulty(faulty) => faulty.act(pool, subject),
        };
        (format!("{self:?}"), act)
    }
}

async fn narinfo(pool: Arc<Pool>, subject: Arc<Subject>) {
    let asked = clock::now();
    let text = pool.narinfo(&View::Default, Dialect::Nix, &subject.hash_part()).await.unwrap();
    if let Ok(text) = text {
        subject.promised(&text, asked);
    }
}

/// Whatever has become of it: it is not here, or it is what it should be.
async fn nar(pool: Arc<Pool>, subject: Arc<Subject>) {
    let digits = subject.nar_hash().to_nix32();
    match pool.nar(&digits, Compression::None).await {
        Ok(found) => assert_eq!(found.file.len(), subject.nar.len() as u64),
        Err(Failure::Rejected(rejected)) => assert_eq!(rejected.code, "no_nar"),
        Err(Failure::Error(error)) => panic!("{error}"),
    }
}

/// What became of an upload.
#[derive(PartialEq, Eq)]
enum Put {
    Stored,
    /// It is to be sent again.
    Again,
    /// It is not to be here, or the pool has crashed.
    Refused,
}

async fn put(pool: &Arc<Pool>, subject: &Subject) -> Put {
    let pieces = [Ok::<_, io::Error>(Bytes::from(subject.nar.clone()))];
    match pool.receive(stream::iter(pieces), subject.declared(), &somebody()).await {
        Ok(_) => {
            subject.tell(|told| told.stored = told.stored.max(Some(clock::now() + GRACE / 2)));
            Put::Stored
        }
        Err(Failure::Rejected(it)) if it.code == "nar_removed" => Put::Again,
        Err(Failure::Rejected(it)) => {
            assert_eq!(it.code, "nar_deleted");
            Put::Refused
        }
        Err(Failure::Error(error)) => {
            assert!(error.to_string().contains("stopped"), "{error}");
            Put::Refused
        }
    }
}

async fn attest(pool: &Arc<Pool>, subject: &Subject) -> bool {
    match pool.attest(vec![subject.word_of(&key("bob"))], false, &somebody()).await {
        Ok(_) => true,
        Err(Failure::Rejected(it)) => {
            assert_eq!(it.code, "path_deleted");
            false
        }
        Err(Failure::Error(error)) => panic!("{error}"),
    }
}

async fn push(pool: Arc<Pool>, subject: Arc<Subject>) {
    let is_missing = !pool.missing(&[subject.nar_hash()]).await.unwrap().is_empty();
    if (!is_missing || bring(&pool, &subject).await) && attest(&pool, &subject).await {
        subject.tell(|told| told.pushed = true);
    }
}

async fn copy(pool: Arc<Pool>, subject: Arc<Subject>) {
    let digits = subject.nar_hash().to_nix32();
    let is_missing = match pool.nar_that_stays(&digits, Compression::None).await {
        Ok(_) => false,
        Err(Failure::Rejected(rejected)) => rejected.code == "no_nar",
        Err(Failure::Error(error)) => panic!("{error}"),
    };
    complete(&pool, &subject, is_missing).await;
}

/// Brings the NAR if it is missing, and puts the narinfo.
pub(super) async fn complete(pool: &Arc<Pool>, subject: &Subject, is_missing: bool) {
    if is_missing && !bring(pool, subject).await {
        return;
    }
    let narinfo = subject.narinfo_by(&key("bob"));
    let hash_part = subject.hash_part();
    match pool.merge_narinfo(&View::Default, &hash_part, narinfo.as_bytes(), &somebody()).await {
        Ok(_) => subject.tell(|told| told.pushed = true),
        Err(Failure::Rejected(it)) if it.code == "path_deleted" => {}
        Err(Failure::Rejected(_)) => subject.tell(|told| told.turned_away = true),
        Err(Failure::Error(error)) => panic!("{error}"),
    }
}

async fn bring(pool: &Arc<Pool>, subject: &Subject) -> bool {
    let mut stored = Put::Again;
    while stored == Put::Again {
        stored = put(pool, subject).await;
    }
    stored == Put::Stored
}

async fn pin(pool: Arc<Pool>, subject: Arc<Subject>) {
    let request = PinRequest { paths: vec![subject.path()], keep_last: 1, keep_days: 0 };
    match pool.pin("kept", request).await {
        Ok(_) => subject.tell(|told| told.pinned = true),
        Err(Failure::Rejected(it)) => assert!(["path_missing", "path_deleted"].contains(&it.code)),
        Err(Failure::Error(error)) => panic!("{error}"),
    }
}

async fn delete(pool: Arc<Pool>, subject: Arc<Subject>, now: bool) {
    subject.tell(|told| (told.deleted, told.removed) = (true, now));
    let request = DeletionRequest { path: subject.path(), reason: "no licence".to_owned(), now };
    pool.delete(request).await.unwrap();
}

async fn collect(pool: Arc<Pool>) {
    let how = How { dry_run: false, gently: false };
    let collecting = tokio::task::spawn_blocking(move || pool.collect_now(how, &mut drop));
    if let Ok(collected) = collecting.await {
        collected.unwrap();
    }
}
