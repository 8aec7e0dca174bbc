use super::*;
use crate::index::{BlobRecord, Candidates};
use schema::attestation::Signed;
use schema::claim::Claim;
use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};
use schema::key::SecretKey;
use schema::store_path::HashPart;

struct Bench {
    index: Arc<Index>,
    signers: Arc<RwLock<Arc<Signers>>>,
    sequencer: Sequencer,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap())
    }

    fn open(dir: tempfile::TempDir) -> Self {
        let index = Arc::new(Index::open(dir.path()).unwrap());
        let key = SecretKey::from_seed("pool".parse().unwrap(), &[9; 32]);
        let table = Signers::replay(&index.key_events().unwrap(), &key.public()).unwrap();
        let signers = Arc::new(RwLock::new(Arc::new(table)));
        let metrics = Arc::new(Metrics::install());
        let sequencer =
            Sequencer::start(Arc::clone(&index), key, Arc::clone(&signers), metrics).unwrap();
        Self { index, signers, sequencer, dir }
    }

    async fn reopen(self) -> Self {
        let Self { index, signers, sequencer, dir } = self;
        sequencer.stop().await;
        assert_eq!(Arc::strong_count(&index), 1, "the sequencer holds on to the database");
        drop((index, signers));
        Self::open(dir)
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

fn vouched(path: u64, nar: &str) -> Vouched {
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
    Kept { nar_hash: NarHash::of(nar.as_bytes()), record, listing: None }
}

#[tokio::test]
async fn a_repeat_is_told_where_it_stands() {
    let bench = Bench::new();
    let first = bench
        .sequencer
        .attest(vec![vouched(1, "a"), vouched(2, "b"), vouched(1, "a")])
        .await
        .unwrap();
    assert_eq!(
        first,
        [
            Standing { index: 0, new: true },
            Standing { index: 1, new: true },
            Standing { index: 0, new: false }
        ]
    );
    let again = bench.sequencer.attest(vec![vouched(2, "b")]).await.unwrap();
    assert_eq!(again, [Standing { index: 1, new: false }]);
    assert_eq!(bench.index.ledger_size().unwrap(), 2);
    let bench = bench.reopen().await;
    let after = bench.sequencer.attest(vec![vouched(1, "a"), vouched(3, "c")]).await.unwrap();
    assert_eq!(after, [Standing { index: 0, new: false }, Standing { index: 2, new: true }]);
    let entry = bench.index.entry(2).unwrap().unwrap();
    assert_eq!(entry.key_id, alice().public().id());
    assert!(entry.logged_at >= bench.index.entry(0).unwrap().unwrap().logged_at);
}

#[tokio::test]
async fn a_nar_and_its_claims_meet_in_either_order() {
    let bench = Bench::new();
    let file = |number| bench.index.path(&hash_part(number)).unwrap().unwrap().claims[0].file;
    bench
        .sequencer
        .attest(vec![vouched(1, "n"), vouched(2, "n"), vouched(3, "other")])
        .await
        .unwrap();
    assert_eq!(file(1), None);
    let stored = bench.sequencer.keep(vec![kept("n", "file")]).await.unwrap()[0];
    assert_eq!((file(1), file(2), file(3)), (Some(stored), Some(stored), None));
    bench.sequencer.attest(vec![vouched(4, "n")]).await.unwrap();
    assert_eq!(file(4), Some(stored));
}

#[tokio::test]
async fn claim_and_nar_meet_within_one_group() {
    let bench = Bench::new();
    let (attested, stored) = tokio::join!(
        bench.sequencer.attest(vec![vouched(1, "n")]),
        bench.sequencer.keep(vec![kept("n", "file")])
    );
    attested.unwrap();
    let record = bench.index.path(&hash_part(1)).unwrap().unwrap();
    assert_eq!(record.claims[0].file, Some(stored.unwrap()[0]));
}

#[tokio::test]
async fn the_first_file_of_a_nar_stays_and_the_second_is_an_alias() {
    let bench = Bench::new();
    let first = bench.sequencer.keep(vec![kept("n", "one")]).await.unwrap();
    let second = bench.sequencer.keep(vec![kept("n", "two")]).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(bench.index.alias(&FileHash::of(b"two")).unwrap(), Some(NarHash::of(b"n")));
}

#[tokio::test]
async fn more_than_a_group_is_logged_in_order() {
    let bench = Bench::new();
    let many: Vec<Vouched> = (0..600).map(|number| vouched(number, "n")).collect();
    let standings = bench.sequencer.attest(many).await.unwrap();
    assert!(standings.iter().enumerate().all(|(at, standing)| standing.index == at as u64));
}

#[tokio::test]
async fn a_signer_cannot_claim_without_end() {
    let bench = Bench::new();
    for number in 0..group::MAX_CLAIMS_PER_SIGNER {
        bench.sequencer.attest(vec![vouched(1, &format!("nar {number}"))]).await.unwrap();
    }
    let refused = bench.sequencer.attest(vec![vouched(1, "one more")]).await.unwrap_err();
    assert!(matches!(refused, Failure::Rejected(rejected) if rejected.code == "too_many_claims"));
}

#[tokio::test]
async fn enrolments_are_seen_at_once_and_after_a_restart() {
    let bench = Bench::new();
    let at = bench.sequencer.enrol(alice().public()).await.unwrap();
    assert_eq!(bench.sequencer.enrol(alice().public()).await.unwrap(), at);
    let named = |bench: &Bench| bench.signers.read().unwrap().named(alice().name()).cloned();
    assert_eq!(named(&bench).unwrap().enrolled_at, at);
    let bench = bench.reopen().await;
    assert_eq!(named(&bench).unwrap().enrolled_at, at);
}
