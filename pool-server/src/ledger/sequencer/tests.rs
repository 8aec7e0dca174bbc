use std::path::Path;

use super::*;
use crate::config::Config;
use crate::index::{BlobRecord, Candidates, LogId};
use crate::ledger::Ledger;
use crate::ledger::shown::Published;
use schema::attestation::{Entry, Signed};
use schema::claim::Claim;
use schema::compression::Compression;
use schema::guix::ecdsa::EcdsaSecret;
use schema::hash::{FileHash, NarHash};
use schema::key::SecretKey;
use schema::key_event::{KeyEvent, RevokeReason};
use schema::store_path::HashPart;
use schema::tlog::note::VerifierKey;

pub(super) struct Bench {
    index: Arc<Index>,
    ledger: Ledger,
    dir: Option<tempfile::TempDir>,
}

impl Bench {
    /// A ledger of which alice is a signer.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bench = {
            let bench = Self::reopened(dir.path());
            Self { dir: Some(dir), ..bench }
        };
        bench.enrol_alice().await;
        bench
    }

    /// The ledger in a directory that somebody else clears away.
    pub(super) fn reopened(data: &Path) -> Self {
        let index = Arc::new(Index::open(&data.join("index")).unwrap());
        let config = Config { data: data.to_owned(), ..Config::default() };
        let metrics = Arc::new(Metrics::install());
        let ledger = Ledger::open(&index, &config, &metrics).unwrap();
        Self { index, ledger, dir: None }
    }

    async fn reopen(self) -> Self {
        let dir = self.close().await.unwrap();
        {
            let bench = Self::reopened(dir.path());
            Self { dir: Some(dir), ..bench }
        }
    }

    pub(super) async fn close(self) -> Option<tempfile::TempDir> {
        let Self { index, ledger, dir } = self;
        ledger.close().await;
        drop(ledger);
        assert_eq!(Arc::strong_count(&index), 1, "the ledger holds on to the database");
        dir
    }

    pub(super) async fn enrol_alice(&self) {
        self.ledger.enrol(alice().public()).await.unwrap();
    }

    pub(super) fn published(&self) -> Arc<Published> {
        self.ledger.shown(LogId::Attestations).published()
    }

    pub(super) fn log_key(&self) -> VerifierKey {
        self.ledger.identity().log_key(LogId::Attestations).unwrap()
    }

    pub(super) async fn attest(&self, vouched: Vec<Vouched>) -> Result<Vec<Standing>, Failure> {
        self.ledger.sequencer().attest(vouched).await
    }

    async fn keep(&self, kept: Vec<Kept>) -> Result<Vec<FileRecord>, Failure> {
        self.ledger.sequencer().keep(kept).await
    }

    pub(super) fn entry(&self, index: u64) -> Entry {
        let entries = self.index.log_entries(LogId::Attestations, index, 1).unwrap();
        Entry::parse(&entries[0]).unwrap()
    }
}

fn alice() -> SecretKey {
    SecretKey::from_seed("alice".parse().unwrap(), &[1; 32])
}

fn hash_part(number: u64) -> HashPart {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    HashPart::from_bytes(bytes)
}

pub(super) fn vouched(path: u64, nar: &str) -> Vouched {
    let path = format!("/nix/store/{}-x", hash_part(path));
    let claim =
        Claim::new(path.parse().unwrap(), NarHash::of(nar.as_bytes()), 112, Vec::new()).unwrap();
    let signature = alice().sign(claim.signed_bytes().as_bytes());
    let attestation = Signed::new(claim, signature).verify(&alice().public()).unwrap();
    Vouched { attestation, deriver: None, content_address: None }
}

fn kept(nar: &str, file: &str) -> Kept {
    let file = FileRecord {
        compression: Compression::Zstd,
        file_hash: FileHash::of(file.as_bytes()),
        file_size: file.len() as u64,
    };
    let record =
        BlobRecord { nar_size: 112, file, stored_at: 1, candidates: Candidates::default() };
    Kept { nar_hash: NarHash::of(nar.as_bytes()), record, listing: None, leased_until: 0 }
}

#[tokio::test]
async fn a_repeat_is_told_where_it_stands() {
    let bench = Bench::new().await;
    let first =
        bench.attest(vec![vouched(1, "a"), vouched(2, "b"), vouched(1, "a")]).await.unwrap();
    assert_eq!(
        first,
        [
            Standing { index: 0, new: true },
            Standing { index: 1, new: true },
            Standing { index: 0, new: false }
        ]
    );
    let again = bench.attest(vec![vouched(2, "b")]).await.unwrap();
    assert_eq!(again, [Standing { index: 1, new: false }]);
    assert_eq!(bench.index.log_size(LogId::Attestations).unwrap(), 2);
    let bench = bench.reopen().await;
    let after = bench.attest(vec![vouched(1, "a"), vouched(3, "c")]).await.unwrap();
    assert_eq!(after, [Standing { index: 0, new: false }, Standing { index: 2, new: true }]);
    let entry = bench.entry(2);
    assert_eq!(entry.key_id, alice().public().id());
    assert!(entry.logged_at >= bench.entry(0).logged_at);
}

#[tokio::test]
async fn a_nar_and_its_claims_meet_in_either_order() {
    let bench = Bench::new().await;
    let file = |number| bench.index.path(&hash_part(number)).unwrap().unwrap().claims[0].file;
    bench.attest(vec![vouched(1, "n"), vouched(2, "n"), vouched(3, "other")]).await.unwrap();
    assert_eq!(file(1), None);
    let stored = bench.keep(vec![kept("n", "file")]).await.unwrap()[0];
    assert_eq!((file(1), file(2), file(3)), (Some(stored), Some(stored), None));
    bench.attest(vec![vouched(4, "n")]).await.unwrap();
    assert_eq!(file(4), Some(stored));
}

#[tokio::test]
async fn claim_and_nar_meet_within_one_group() {
    let bench = Bench::new().await;
    let (attested, stored) =
        tokio::join!(bench.attest(vec![vouched(1, "n")]), bench.keep(vec![kept("n", "file")]));
    attested.unwrap();
    let record = bench.index.path(&hash_part(1)).unwrap().unwrap();
    assert_eq!(record.claims[0].file, Some(stored.unwrap()[0]));
}

#[tokio::test]
async fn the_first_file_of_a_nar_stays_and_the_second_is_an_alias() {
    let bench = Bench::new().await;
    let first = bench.keep(vec![kept("n", "one")]).await.unwrap();
    let second = bench.keep(vec![kept("n", "two")]).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(bench.index.alias(&FileHash::of(b"two")).unwrap(), Some(NarHash::of(b"n")));
}

#[tokio::test]
async fn more_than_a_group_is_logged_in_order() {
    let bench = Bench::new().await;
    let many: Vec<Vouched> = (0..600).map(|number| vouched(number, "n")).collect();
    let standings = bench.attest(many).await.unwrap();
    assert!(standings.iter().enumerate().all(|(at, standing)| standing.index == at as u64));
}

#[tokio::test]
async fn a_signer_cannot_claim_without_end() {
    let bench = Bench::new().await;
    for number in 0..group::MAX_CLAIMS_PER_SIGNER {
        bench.attest(vec![vouched(1, &format!("nar {number}"))]).await.unwrap();
    }
    let refused = bench.attest(vec![vouched(1, "one more")]).await.unwrap_err();
    assert!(matches!(refused, Failure::Rejected(rejected) if rejected.code == "too_many_claims"));
}

#[tokio::test]
async fn one_thing_is_kept_in_so_many_words_and_then_the_latest_stands_for_it() {
    let bench = Bench::new().await;
    let secret = EcdsaSecret::from_bytes(&[7; 32]).unwrap();
    let gina = SecretKey::of_guix("gina-1".parse().unwrap(), secret);
    bench.ledger.enrol(gina.public()).await.unwrap();
    let worded = |number: u64| {
        let nix = vouched(1, "n").attestation.claim().clone();
        let path = format!("/gnu/store/{}", nix.path().base());
        let claim = Claim::new(path.parse().unwrap(), nix.nar_hash(), 112, Vec::new()).unwrap();
        let deriver = format!("{}-x.drv", hash_part(number)).parse().unwrap();
        let claim = claim.in_guix(Some(&deriver));
        let signature = gina.sign(claim.signed_bytes().as_bytes());
        let attestation = Signed::new(claim, signature).verify(&gina.public()).unwrap();
        Vouched { attestation, deriver: None, content_address: None }
    };
    let kept = group::MAX_WORDINGS as u64;
    for number in 0..kept {
        let standing = &bench.attest(vec![worded(number)]).await.unwrap()[0];
        assert_eq!((standing.index, standing.new), (number, true));
    }
    let standings = bench.attest(vec![worded(kept), worded(0)]).await.unwrap();
    let told: Vec<_> = standings.iter().map(|it| (it.index, it.new)).collect();
    assert_eq!(told, [(kept - 1, false), (0, false)]);
    // They are one thing: there is room for others.
    for number in 1..group::MAX_CLAIMS_PER_SIGNER {
        bench.attest(vec![vouched(1, &format!("nar {number}"))]).await.unwrap();
    }
}

#[tokio::test]
async fn enrolments_are_seen_at_once_and_after_a_restart() {
    let bench = Bench::new().await;
    let bob = SecretKey::from_seed("bob".parse().unwrap(), &[2; 32]).public();
    let first = bench.ledger.enrol(bob.clone()).await.unwrap();
    let again = bench.ledger.enrol(bob.clone()).await.unwrap();
    assert_eq!((first.index, first.new), (1, true));
    assert_eq!((again.index, again.logged_at, again.new), (1, first.logged_at, false));
    let enrolled_at = |bench: &Bench| bench.ledger.signers().named(bob.name()).unwrap().enrolled_at;
    assert_eq!(enrolled_at(&bench), first.logged_at);
    let bench = bench.reopen().await;
    assert_eq!(enrolled_at(&bench), first.logged_at);
}

#[tokio::test]
async fn a_key_adds_nothing_from_the_entry_after_its_end() {
    let bench = Bench::new().await;
    bench.attest(vec![vouched(1, "a")]).await.unwrap();
    let origin = format!("{}/keys", bench.ledger.identity().origin());
    let revoke = KeyEvent::Revoke { key: alice().public().id(), reason: RevokeReason::Retired };
    let signed = revoke.sign(&origin, &[&alice()]).unwrap();
    let (revoked, late) = tokio::join!(
        bench.ledger.sequencer().key_event(signed),
        bench.attest(vec![vouched(2, "b")])
    );
    revoked.unwrap();
    let late = late.unwrap_err();
    assert!(matches!(late, Failure::Rejected(rejected) if rejected.code == "key_revoked"));
    let again = bench.attest(vec![vouched(1, "a")]).await.unwrap();
    assert_eq!(again, [Standing { index: 0, new: false }], "what was logged before stays");
}
