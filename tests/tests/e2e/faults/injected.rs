//! Every write, sync, rename and new file of the pool may fail.

use std::path::Path;

use pool_server::index::Index;
use reqwest::Method;
use rustix::io::Errno;
use schema::compression::Compression;
use schema::nar_batch::Record;
use tests::cli::Cli;
use tests::client::{Answer, Client};
use tests::deadline::eventually;
use tests::faults::{Fault, Faults};
use tests::nar::zstd;
use tests::random::Random;
use tests::run::{long, seed};
use tests::server::Server;

use super::load::{Owed, Piece, Refused, read_one, signer};

const FAULTS: [Fault; 5] = [
    Fault::Not(Errno::IO),
    Fault::Half(Errno::IO),
    Fault::Not(Errno::NOSPC),
    Fault::Half(Errno::NOSPC),
    Fault::Short,
];
/// The server is killed and started again after so many faults.
const KILL_EVERY: u64 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_write_fails_nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (faults, owed) = (Faults::under(&data), Owed::default());
    let mut random = Random::new(seed());
    let mut server = Server::start_with(&faults, &data, &[]);
    Client::admin(&server).enrol(&signer().public()).await;
    faults.fail(0, 0, Fault::Short);
    assert_eq!(script(&Client::admin(&server), &owed, "without faults").await, []);
    let (changes, _) = faults.mend();
    assert!(changes > 20, "the library sees the changes of files: {changes}");
    let (mut injected, mut refusals) = (0, 0);
    let rounds = if long() { changes * FAULTS.len() as u64 } else { 20 };
    for round in 0..rounds {
        let fault = FAULTS[(round % FAULTS.len() as u64) as usize];
        let first = match long() {
            true => round / FAULTS.len() as u64 + 1,
            false => random.within(1..changes + 1),
        };
        faults.fail(first, random.one_of(&[1, 1, 3, u64::MAX / 2]), fault);
        let client = Client::admin(&server);
        let refused = script(&client, &owed, &format!("round {round}")).await;
        let (_, failed) = faults.mend();
        injected += u64::from(failed > 0);
        refusals += refused.len();
        if fault == Fault::Short {
            assert_eq!(refused, [], "a short write is gone on with: {first}");
        }
        recovers(&client, &owed, round).await;
        if round % KILL_EVERY == KILL_EVERY - 1 {
            server.kill();
            server = Server::start_with(&faults, &data, &[]);
            check(&server, &owed, dir.path()).await;
        }
    }
    println!(
        "{injected} of {rounds} rounds had faults at one of {changes} changes, {refusals} requests \
         were refused, {:?} acknowledged, {} halts",
        owed.counts(),
        server.log().matches("nothing is written any more for now").count()
    );
    assert!(injected > rounds / 2 && refusals > 0);
    check(&server, &owed, dir.path()).await;
    server.stop();
}

/// Does all kinds of things that write. Answers with what was refused.
async fn script(client: &Client, owed: &Owed, name: &str) -> Vec<Refused> {
    let piece = |what: &str, len| Piece::new(&format!("{name}: {what}"), len);
    let mut refused = Vec::new();
    for (what, len) in [("small", 1000), ("medium", 300_000), ("large", 9 << 20)] {
        refused.extend(owed.push(client, &piece(what, len)).await.err());
    }
    let batch = [piece("one", 500), piece("other", 5000)];
    refused.extend(owed.upload_batch(client, &batch).await.err());
    for piece in &batch {
        refused.extend(owed.attest(client, piece).await.err());
    }
    refused
}

impl Owed {
    async fn upload_batch(&self, client: &Client, pieces: &[Piece]) -> Result<(), Refused> {
        let mut body = Vec::new();
        for piece in pieces {
            let (nar_hash, file) = (piece.nar_hash(), zstd(&piece.nar));
            let compression = Compression::Zstd;
            Record { nar_hash, compression, file: &file }.encode_to(&mut body).unwrap();
        }
        super::load::send(client, Method::POST, "/api/v1/nars", body).await?;
        pieces.iter().for_each(|piece| self.is_uploaded(piece));
        Ok(())
    }
}

async fn recovers(client: &Client, owed: &Owed, round: u64) {
    let piece = Piece::new(&format!("after round {round}"), 2000);
    eventually("a push to be taken", async || owed.push(client, &piece).await.is_ok()).await;
    owed.read(client).await;
    assert_eq!(client.get("/readyz").await.text(), "ready\n");
}

async fn check(server: &Server, owed: &Owed, dir: &Path) {
    owed.audit(&Client::admin(server)).await;
    let cli = Cli::new(&dir.join("home"), server, &server.admin_token());
    cli.run(&["ledger", "audit"]).ok();
    let staging = std::fs::read_dir(server.data().join("blobs/staging")).unwrap();
    assert_eq!(staging.count(), 0, "nothing is left of what was not finished");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_may_not_be_written_to_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (faults, owed) = (Faults::under(&data), Owed::default());
    let server = Server::start_with(&faults, &data, &["--lease", "20d"]);
    let client = Client::admin(&server);
    client.enrol(&signer().public()).await;
    let [old, new] = ["old", "new"].map(|name| Piece::new(name, 5000));
    owed.push(&client, &old).await.unwrap();

    faults.fail(1, u64::MAX / 2, Fault::Not(Errno::ROFS));
    let read_only = Err(Refused::Problem(503, "storage_read_only".to_owned()));
    for _ in 0..3 {
        assert_eq!(owed.upload(&client, &new).await, read_only);
        assert_eq!(owed.attest(&client, &new).await, read_only);
        // Nobody was promised this yet, and now it cannot be written down.
        read_one(&client, &old.path, &old.nar_hash()).await;
    }
    let refused = Answer::to(client.request(Method::PUT, "/log/x.drv").body("log")).await;
    assert_ne!(refused.status, 500, "{}", refused.text());
    let ready = client.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert!(ready.text().starts_with("ready\ndegraded: nothing is written"), "{}", ready.text());
    assert_eq!(client.metric("narpool_storage_writable").await, 0.0);

    assert!(faults.mend().1 > 0);
    eventually("a push to be taken", async || owed.push(&client, &new).await.is_ok()).await;
    owed.audit(&client).await;
    assert_eq!(client.metric("narpool_storage_writable").await, 1.0);
    server.stop();
    let lease = Index::open(&data.join("index")).unwrap().lease(&old.nar_hash()).unwrap();
    let days = (lease.unwrap().until - pool_server::clock::now()) / (24 * 3600);
    assert!((19..26).contains(&days), "what was promised is written down later: {days}");
}
