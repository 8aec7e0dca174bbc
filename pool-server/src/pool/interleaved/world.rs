//! A pool with one NAR that matters, and what must hold of it at all times.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schema::api::AttestItem;
use schema::claim::{Claim, Dialect};
use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};
use schema::key::SecretKey;
use schema::narinfo::{Delivery, NarInfo};
use schema::store_path::{HashPart, StorePath};

use super::actors::Actor;
use super::explore::{Explorer, Move};
use super::stage;
use crate::assemble::view::View;
use crate::blobs::nar_name;
use crate::clock;
use crate::config::{Config, Quota};
use crate::gc::How;
use crate::index::{Listing, PathRecord, UnlistedRecord, Why};
use crate::ingest::Declared;
use crate::ledger::sequencer::Unneeded;
use crate::pool::Pool;
use crate::quota::Account;

pub(super) const LEASE: u64 = 1000;
pub(super) const GRACE: u64 = 100;
/// After it everything is forgotten that nobody promised.
const LONG: u64 = 1_000_000;

/// How things stand when a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Nobody has brought the NAR; its path is attested.
    Absent,
    /// It is shown, and nobody has asked for it for long.
    Idle,
    /// It is not shown, and its promise has ended: the next collection sweeps it.
    Due,
}

/// What people were told, by which the pool is held to its word.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Files that narinfos named, and until when they are promised.
    pub(super) promises: Vec<(FileHash, u64)>,
    /// Until when an upload stays that was acknowledged.
    pub(super) stored: Option<u64>,
    /// Whether a pin was acknowledged.
    pub(super) pinned: bool,
    /// Whether somebody who did as they should was told that the path is attested and its NAR here.
    pub(super) pushed: bool,
    /// Whether somebody who did the same was told that the NAR is not here.
    pub(super) turned_away: bool,
    /// Whether the path was to be taken down: whatever it says then, it goes.
    pub(super) deleted: bool,
    /// Whether that was to be at once, whatever was promised.
    pub(super) removed: bool,
}

/// What one run is about.
pub(super) struct Subject {
    pub(super) number: u64,
    pub(super) nar: Vec<u8>,
    pub(super) told: Mutex<Told>,
}

pub(super) struct World {
    dir: tempfile::TempDir,
    pub(super) pool: Option<Arc<Pool>>,
    number: u64,
}

impl Subject {
    fn new(number: u64) -> Self {
        let mut nar = Vec::new();
        let contents = number.to_string();
        nix_archive::nar::encode_regular(&mut nar, contents.as_bytes(), false).unwrap();
        Self { number, nar, told: Mutex::default() }
    }

    pub(super) fn nar_hash(&self) -> NarHash {
        NarHash::of(&self.nar)
    }

    pub(super) fn path(&self) -> StorePath {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&self.number.to_be_bytes());
        format!("/nix/store/{}-x", HashPart::from_bytes(bytes)).parse().unwrap()
    }

    pub(super) fn hash_part(&self) -> HashPart {
        self.path().base().hash_part()
    }

    pub(super) fn declared(&self) -> Declared {
        Declared {
            compression: Some(Compression::None),
            nar_hash: Some(self.nar_hash()),
            ..Declared::default()
        }
    }

    fn claim(&self) -> Claim {
        Claim::new(self.path(), self.nar_hash(), self.nar.len() as u64, Vec::new()).unwrap()
    }

    pub(super) fn word_of(&self, key: &SecretKey) -> AttestItem {
        let claim = self.claim();
        AttestItem::new(&claim, key.sign(claim.signed_bytes().as_bytes()))
    }

    pub(super) fn narinfo_by(&self, key: &SecretKey) -> String {
        let claim = self.claim();
        let signatures = vec![key.sign(claim.signed_bytes().as_bytes())];
        let url = format!("nar/{}.nar", self.nar_hash().to_nix32());
        let (compression, file_hash, file_size) = (Compression::None, None, None);
        let delivery = Delivery { url, compression, file_hash, file_size };
        NarInfo { claim, delivery, deriver: None, content_address: None, signatures }.print_nix()
    }

    pub(super) fn tell(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A narinfo was told to somebody who asked for it then.
    pub(super) fn promised(&self, narinfo: &str, asked: u64) {
        let narinfo = NarInfo::parse_nix(narinfo.as_bytes()).unwrap();
        let file_hash = narinfo.delivery.file_hash.unwrap();
        self.tell(|told| told.promises.push((file_hash, asked + LEASE)));
    }
}

pub(super) fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(name.parse().unwrap(), &[name.as_bytes()[0]; 32])
}

/// Whose token has no limits.
pub(super) fn somebody() -> Account {
    Account { id: "somebody".into(), limits: Quota::default() }
}

impl World {
    pub(super) async fn new() -> Self {
        // In memory, where there is such a place: what is tried is the order, not the disk.
        let memory = tempfile::tempdir_in("/dev/shm");
        let dir = memory.or_else(|_| tempfile::tempdir()).unwrap();
        let pool = open(&dir).await;
        for name in ["alice", "bob"] {
            pool.ledger.enrol(key(name).public()).await.unwrap();
        }
        Self { dir, pool: Some(pool), number: 0 }
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        self.pool.as_ref().unwrap()
    }

    pub(super) async fn close(mut self) {
        self.shut().await;
    }

    async fn shut(&mut self) {
        let pool = self.pool.take().unwrap();
        pool.close().await;
        assert_eq!(Arc::strong_count(&pool), 1, "somebody holds on to the pool");
    }

    /// Plays one run through, and checks everything at each step.
    pub(super) async fn run(
        &mut self,
        start: Start,
        actors: &[Actor],
        explorer: &mut Explorer,
    ) -> Result<(), String> {
        self.number += 1;
        let subject = Arc::new(Subject::new(self.number));
        self.set_up(start, &subject).await;
        let acts = actors.iter().map(|actor| actor.act(self.pool(), &subject)).collect();
        let tasks = stage::begin(acts).await;
        let mut crashed = false;
        loop {
            let ready = stage::ready().await;
            self.check(&subject)?;
            if ready.is_empty() {
                assert!(!stage::is_stuck(), "nobody can go on");
                break;
            }
            match explorer.choose(&ready) {
                Move::LetOn(number) => stage::let_on(number),
                Move::Crash => {
                    stage::crash();
                    crashed = true;
                    break;
                }
            }
        }
        for task in tasks {
            let end = task.await;
            assert!(crashed || end.is_ok(), "{end:?}");
        }
        if crashed {
            self.shut().await;
            self.pool = Some(open(&self.dir).await);
        }
        self.check_aftermath(&subject).await
    }

    async fn set_up(&self, start: Start, subject: &Arc<Subject>) {
        let pool = self.pool();
        if start != Start::Absent {
            let body = futures_util::stream::iter([Ok::<_, String>(subject.nar.clone().into())]);
            pool.receive(body, subject.declared(), &somebody()).await.unwrap();
        }
        pool.attest(vec![subject.word_of(&key("alice"))], false, &somebody()).await.unwrap();
        stage::put_ahead(LONG);
        if start == Start::Due {
            pool.narinfo(&View::Default, Dialect::Nix, &subject.hash_part())
                .await
                .unwrap()
                .unwrap();
            stage::put_ahead(LEASE + LEASE / 2);
            let nar_hash = subject.nar_hash();
            let leased_until = pool.index.lease(&nar_hash).unwrap().unwrap().until;
            let detail = "nobody asked for it".to_owned();
            let why = UnlistedRecord { why: Why::Collected, detail, at: clock::now() };
            let sequencer = pool.ledger.sequencer();
            let roots = sequencer.roots().await.unwrap();
            let nars = vec![Unneeded { nar_hash, leased_until }];
            assert_eq!(sequencer.unlist(roots, nars, why).await.unwrap(), [true]);
        }
    }

    /// What must hold at all times.
    pub(super) fn check(&self, subject: &Subject) -> Result<(), String> {
        let pool = self.pool();
        let nar_hash = subject.nar_hash();
        let blob = pool.index.blob(&nar_hash).unwrap();
        if let Some(blob) = &blob {
            let file =
                self.dir.path().join("blobs").join(nar_name(&nar_hash, blob.file.compression));
            let bytes = std::fs::read(&file).map_err(|_| "a record has no file".to_owned())?;
            check(bytes == subject.nar, "the file of a record is another NAR")?;
        }
        let listed = pool.index.listing_state(&nar_hash).unwrap() == Listing::Listed;
        let record = pool.index.path(&subject.hash_part()).unwrap().unwrap_or_default();
        check(listed || named(&record).is_none(), "a path names a NAR that is not shown")?;
        let deleted = pool.index.deletion(&subject.hash_part()).unwrap().is_some();
        let names_it = named(&record) == blob.as_ref().map(|blob| blob.file.file_hash);
        check(!listed || names_it || deleted, "a NAR is shown, and its path does not name it")?;
        let told = subject.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        let here = blob.map(|blob| blob.file.file_hash);
        for (file_hash, until) in &told.promises {
            let kept = here == Some(*file_hash) || *until < now || told.removed;
            check(kept, "a NAR is gone that a narinfo promised")?;
        }
        let stored = told.stored.is_some_and(|until| until >= now) && !told.removed;
        check(!stored || here.is_some(), "a NAR is gone that was just stored")?;
        check(!told.turned_away, "a NAR is gone that need not be brought")?;
        check(!told.pinned || (listed && here.is_some()) || told.deleted, "a pinned NAR is gone")?;
        check(!told.pushed || listed || told.deleted, "a path was pushed, and is not shown")
    }

    /// A promise is kept to its last second, and then what nobody needs goes, with nothing left of it.
    async fn check_aftermath(&mut self, subject: &Arc<Subject>) -> Result<(), String> {
        self.check(subject)?;
        let (until, pinned) = {
            let told = subject.told.lock().unwrap_or_else(PoisonError::into_inner);
            (told.promises.iter().map(|(_, until)| *until).max(), told.pinned && !told.deleted)
        };
        if let Some(ahead) = until.and_then(|until| until.checked_sub(clock::now() + 2)) {
            stage::put_ahead(ahead);
            self.collect().await?;
            self.check(subject)?;
        }
        subject.tell(|told| (told.pushed, told.stored) = (false, None));
        stage::put_ahead(LONG);
        self.collect().await?;
        self.check(subject)?;
        let nar_hash = subject.nar_hash();
        let here = self.pool().index.blob(&nar_hash).unwrap().is_some();
        let pinned_by_crash = !self.pool().index.pins(None).unwrap().is_empty();
        check(here == pinned || pinned_by_crash, "what nobody needs is still here")?;
        check(self.pool().index.pending().unwrap().is_empty(), "something is still to be removed")?;
        if here {
            self.pool().unpin("kept", None).await.unwrap();
            self.collect().await?;
        }
        let files = std::fs::read_dir(self.dir.path().join("blobs/nar")).unwrap().count();
        check(files == 0, "a file is left that nobody knows")
    }

    async fn collect(&self) -> Result<(), String> {
        let pool = Arc::clone(self.pool());
        let how = How { dry_run: false, gently: false };
        let collecting = tokio::task::spawn_blocking(move || {
            pool.collect_now(how, &mut drop)?;
            pool.collect_now(how, &mut drop)
        });
        collecting.await.unwrap().map(drop).map_err(|error| error.to_string())
    }
}

async fn open(dir: &tempfile::TempDir) -> Arc<Pool> {
    let config = Config {
        data: dir.path().to_owned(),
        lease: Duration::from_secs(LEASE),
        upload_grace: Duration::from_secs(GRACE),
        collect_after: Some(Duration::from_secs(1)),
        gc_interval: Duration::ZERO,
        ..Config::default()
    };
    Pool::open(&config).await.unwrap()
}

fn named(record: &PathRecord) -> Option<FileHash> {
    record.claims.iter().find_map(|claim| claim.file).map(|file| file.file_hash)
}

fn check(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}
