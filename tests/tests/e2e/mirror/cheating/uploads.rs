//! Somebody with a token who brings entries by hand, as the protocol does not like it.

use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;

use reqwest::Method;
use schema::hash::TreeHash;
use schema::tlog::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use schema::tlog::fork::{AddFork, ForkProof, fork_proof};
use schema::tlog::merkle::{Nodes, leaf_hash, node_hash, root};
use schema::tlog::mirror::{AddEntries, MirrorInfo, Package, packages};
use schema::tlog::note::NoteSigner;
use schema::tlog::proof::{ConsistencyProof, consistency};
use schema::tlog::subtree::subtree_consistency;
use schema::tlog::witness::AddCheckpoint;
use serde_json::json;
use tests::client::{Answer, Client};
use tests::double::Shown;
use tests::nar::key;
use tests::wire::{Request, Wire};

use super::super::scene::Pool;
use super::story::{SEED, ledger, report_of, shown};

const CONFLICT: &str = "text/x.tlog.mirror-info";

/// A tree with all its leaves at hand.
struct Tree(Vec<TreeHash>);

impl Nodes for Tree {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<TreeHash, Infallible> {
        let Some(below) = level.checked_sub(1) else { return Ok(self.0[index as usize]) };
        Ok(node_hash(&self.node(below, 2 * index)?, &self.node(below, 2 * index + 1)?))
    }
}

/// Who brings one log.
pub(super) struct Uploader {
    client: Client,
    origin: Origin,
    entries: Vec<Vec<u8>>,
    tree: Tree,
}

impl Uploader {
    /// One with a token to upload at `to`, who has the log as it is shown.
    pub(super) fn of(to: &Pool, shown: &Shown, log: &str) -> Self {
        let entries = shown.logs[log].clone();
        let tree = Tree(entries.iter().map(|entry| leaf_hash(entry)).collect());
        let client = Client::with_token(to.server(), &to.server().token("upload"));
        let origin = format!("{}/{log}", shown.origin).parse().unwrap();
        Self { client, origin, entries, tree }
    }

    fn signed(&self, size: u64, seed: u8) -> SignedCheckpoint {
        let name = self.origin.as_str().parse().unwrap();
        let signer = NoteSigner::new(name, Arc::new(key("pool-1", seed))).unwrap();
        let Ok(root) = root(size, &self.tree);
        let checkpoint = Checkpoint::new(self.origin.clone(), size, root).unwrap();
        SignedCheckpoint::sign(checkpoint, &signer).unwrap()
    }

    async fn post(&self, route: &str, body: Vec<u8>) -> Answer {
        Answer::to(self.client.request(Method::POST, &format!("/mirror/{route}")).body(body)).await
    }

    pub(super) async fn add_checkpoint(&self, old: u64, size: u64) -> Answer {
        self.add_signed(old, size, SEED).await
    }

    async fn add_signed(&self, old: u64, size: u64, seed: u8) -> Answer {
        let proof = consistency(old, size, &self.tree);
        let proof = proof.unwrap_or(ConsistencyProof::from_hashes(Vec::new()).unwrap());
        let body = AddCheckpoint::new(old, proof, self.signed(size, seed)).unwrap().to_string();
        self.post("add-checkpoint?from=http://a.example", body.into_bytes()).await
    }

    async fn add_fork(&self, old: u64, size: u64, proof: ForkProof) -> Answer {
        let body = AddFork::new(old, proof, self.signed(size, SEED)).unwrap().to_string();
        self.post("add-fork?from=http://a.example", body.into_bytes()).await
    }

    /// The first `count` packages of an upload.
    pub(super) fn body(&self, start: u64, end: u64, count: usize) -> Vec<u8> {
        let head = AddEntries::new(self.origin.clone(), start, end, Vec::new()).unwrap();
        let mut body = head.encode();
        for range in packages(start, end).take(count) {
            let entries = &self.entries[range.start() as usize..range.end() as usize];
            let proof = subtree_consistency(range.subtree(), end, &self.tree).unwrap();
            body.extend(Package::encode(entries, &proof).unwrap());
        }
        body
    }

    pub(super) async fn add_entries(&self, body: Vec<u8>) -> Answer {
        self.post("add-entries", body).await
    }
}

fn info(answer: &Answer) -> (u16, u64, u64) {
    assert_eq!(answer.header("content-type"), CONFLICT, "{answer:?}");
    let info = MirrorInfo::parse(&answer.body).unwrap();
    (answer.status, info.size(), info.next_entry())
}

/// A mirror that knows a ledger's keys and what it is about, and has no attestation of it.
async fn began(shown: &Shown) -> (Pool, Uploader) {
    let b = Pool::start(&[]);
    let body = json!({ "origin": shown.origin, "public_key": shown.public_key });
    let request = b.admin().request(Method::POST, "/api/v1/ledgers");
    assert_eq!(Answer::to(request.json(&body)).await.status, 200);
    let keys = Uploader::of(&b, shown, "keys");
    let size = shown.logs["keys"].len() as u64;
    assert_eq!(keys.add_checkpoint(0, size).await.status, 200);
    let answer = keys.add_entries(keys.body(0, size, 1)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let texts: Vec<&String> = shown.claims.iter().filter_map(|it| it.text.as_ref()).collect();
    let request = b.admin().request(Method::POST, "/api/v1/claims/texts");
    assert_eq!(Answer::to(request.json(&json!({ "texts": texts }))).await.status, 200);
    let words = Uploader::of(&b, shown, "attestations");
    (b, words)
}

#[tokio::test]
async fn entries_come_in_order_and_up_to_a_checkpoint() {
    let shown = shown(&ledger("up.example", 700));
    let (b, words) = began(&shown).await;
    let next = async || report_of(&b, "up.example", "attestations").await.next;
    // Before any checkpoint, and up to none.
    let answer = words.add_entries(words.body(0, 700, 9)).await;
    assert_eq!(info(&answer), (409, 0, 0));
    let answer = words.add_checkpoint(0, 700).await;
    assert_eq!((answer.status, answer.text()), (200, String::new()));
    for (start, end) in [(0, 699), (0, 256), (1, 700), (256, 700), (700, 700)] {
        let answer = words.add_entries(words.body(start, end, 9)).await;
        assert_eq!(info(&answer), (409, 700, 0), "{start} to {end}");
    }
    // Cut off before anything was whole, and right behind.
    let whole = words.body(0, 700, 3);
    let one = words.body(0, 700, 1).len();
    for len in [0, 1, 40, one - 1] {
        assert_eq!(words.add_entries(whole[..len].to_vec()).await.status, 400, "{len}");
    }
    assert_eq!(next().await, 0);
    assert_eq!(info(&words.add_entries(whole[..one + 7].to_vec()).await), (202, 700, 256));
    assert_eq!(next().await, 256);
    // The same once more, and on from the midst of a package.
    assert_eq!(info(&words.add_entries(words.body(0, 700, 1)).await), (202, 700, 256));
    assert_eq!(info(&words.add_entries(words.body(100, 700, 2)).await), (202, 700, 512));
    // The connection is lost, and the client is not there to hear of it.
    assert_eq!(report_of(&b, "up.example", "attestations").await.size, None);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&words.body(512, 700, 9)).unwrap();
    let request = words.client.request(Method::POST, "/mirror/add-entries");
    let request = request.header("content-encoding", "gzip").body(gzip.finish().unwrap());
    let answer = Answer::to(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().starts_with("\u{2014} "), "{}", answer.text());
    assert_eq!(report_of(&b, "up.example", "attestations").await.size, Some(700));
    let address = report_of(&b, "up.example", "attestations").await.address;
    for path in ["tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/001", "tile/entries/002.p/188"]
    {
        let served = b.admin().get(&format!("{address}/{path}")).await;
        assert_eq!(served.body, shown.log("attestations").object(path).unwrap(), "{path}");
    }
}

#[tokio::test]
async fn what_is_not_proven_is_not_kept() {
    let shown = shown(&ledger("proof.example", 300));
    let (b, words) = began(&shown).await;
    words.add_checkpoint(0, 300).await;
    let whole = words.body(0, 300, 9);
    let one = words.body(0, 300, 1).len();
    // A bit of an entry, of the first proof, of the second package's entry.
    for (at, next) in [(60, 0), (one - 1, 0), (one + 20, 256), (whole.len() - 1, 256)] {
        let mut body = whole.clone();
        body[at] ^= 1;
        let answer = words.add_entries(body).await;
        assert_eq!(answer.status, 422, "{at}: {}", answer.text());
        assert_eq!(report_of(&b, "proof.example", "attestations").await.next, next, "{at}");
    }
    let garbage = words.client.request(Method::POST, "/mirror/add-entries");
    let garbage = garbage.header("content-encoding", "gzip").body(whole.clone());
    assert_eq!(Answer::to(garbage).await.status, 400);
    let brotli = words.client.request(Method::POST, "/mirror/add-entries");
    let brotli = brotli.header("content-encoding", "br").body(whole.clone());
    assert_eq!(Answer::to(brotli).await.status, 400);
    assert_eq!(words.add_entries(whole).await.status, 200);
}

/// The connection breaks while the second package comes: the first is kept.
#[tokio::test]
async fn a_connection_that_breaks_leaves_what_was_whole() {
    let shown = shown(&ledger("broken.example", 300));
    let (b, words) = began(&shown).await;
    words.add_checkpoint(0, 300).await;
    let (whole, one) = (words.body(0, 300, 9), words.body(0, 300, 1).len());
    let token = b.server().token("upload");
    let request = Request::new("POST", "/mirror/add-entries").token(&token);
    let head = request.body(whole[..one + 50].to_vec()).announcing(whole.len());
    let mut wire = Wire::open(b.server().address());
    wire.send(&head.to_bytes());
    drop(wire);
    tests::deadline::eventually("the first package is kept", async || {
        report_of(&b, "broken.example", "attestations").await.next == 256
    })
    .await;
    assert_eq!(report_of(&b, "broken.example", "attestations").await.size, None);
    assert_eq!(words.add_entries(words.body(256, 300, 9)).await.status, 200);
}

#[tokio::test]
async fn checkpoints_follow_each_other() {
    let shown = shown(&ledger("steps.example", 20));
    let (b, words) = began(&shown).await;
    let sized = |answer: &Answer| {
        assert_eq!(answer.header("content-type"), "text/x.tlog.size", "{answer:?}");
        (answer.status, answer.text())
    };
    assert_eq!(words.add_checkpoint(0, 10).await.status, 200);
    for (old, size) in [(0, 20), (9, 20), (11, 20), (0, 5), (5, 5)] {
        let answer = words.add_checkpoint(old, size).await;
        assert_eq!(sized(&answer), (409, "10\n".to_owned()), "{old} to {size}");
    }
    assert_eq!(words.add_signed(10, 20, SEED + 1).await.status, 403);
    // A tree that did not grow by this proof.
    let wrong = ConsistencyProof::from_hashes(vec![TreeHash::of(b"wrong"); 4]).unwrap();
    let body = AddCheckpoint::new(10, wrong, words.signed(20, SEED)).unwrap().to_string();
    let answer = words.post("add-checkpoint?from=http://a.example", body.into_bytes()).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    for garbage in ["", "old 10\n", "old 010\n\nno note\n"] {
        let answer = words.post("add-checkpoint?from=http://a.example", garbage.into()).await;
        assert_eq!(answer.status, 400, "{garbage:?}");
    }
    for source in ["?from=", "?from=ftp://a", "?from=http://a/", "?from=http://a&more=1"] {
        let body = AddCheckpoint::new(
            10,
            consistency(10, 20, &words.tree).unwrap(),
            words.signed(20, SEED),
        );
        let body = body.unwrap().to_string().into_bytes();
        let answer = words.post(&format!("add-checkpoint{source}"), body).await;
        assert_eq!(answer.status, 400, "{source}");
    }
    assert_eq!(report_of(&b, "steps.example", "attestations").await.pending, 10);
    // Who shows it need not be told: C2SP's clients do not.
    let proof = consistency(10, 15, &words.tree).unwrap();
    let body = AddCheckpoint::new(10, proof, words.signed(15, SEED)).unwrap().to_string();
    assert_eq!(words.post("add-checkpoint", body.into_bytes()).await.status, 200);
    assert_eq!(words.add_checkpoint(15, 20).await.status, 200);
}

#[tokio::test]
async fn what_proves_no_fork_changes_nothing() {
    let shown = shown(&ledger("whole.example", 20));
    let (b, words) = began(&shown).await;
    words.add_checkpoint(0, 12).await;
    words.add_entries(words.body(0, 12, 9)).await;
    let right = |old| fork_proof(old, 20, &words.tree).unwrap();
    let made_up = |count| ForkProof::from_hashes(vec![TreeHash::of(b"made up"); count]).unwrap();
    for (old, proof) in [
        (12, right(12)),
        (8, right(8)),
        (5, right(5)),
        (20, right(20)),
        (12, right(8)),
        (12, made_up(1)),
        (8, made_up(3)),
        (12, made_up(4)),
        (12, made_up(60)),
    ] {
        let answer = words.add_fork(old, 20, proof).await;
        assert_eq!(answer.status, 422, "{old}: {}", answer.text());
        assert!(report_of(&b, "whole.example", "attestations").await.fork.is_none(), "{old}");
    }
    assert_eq!(words.add_checkpoint(12, 20).await.status, 200);
    assert_eq!(words.add_entries(words.body(12, 20, 9)).await.status, 200);
}

#[tokio::test]
async fn strangers_and_strange_logs_are_refused() {
    let known = shown(&ledger("known.example", 3));
    let (b, words) = began(&known).await;
    let mut strange = Uploader::of(&b, &shown(&ledger("strange.example", 3)), "attestations");
    assert_eq!(strange.add_checkpoint(0, 3).await.status, 404);
    assert_eq!(strange.add_entries(strange.body(0, 3, 1)).await.status, 404);
    let fork = fork_proof(2, 3, &strange.tree).unwrap();
    assert_eq!(strange.add_fork(2, 3, fork).await.status, 404);
    strange = words;
    let mut tokens = vec![(Client::new(b.server()), 401)];
    for scopes in ["read", "attest"] {
        tokens.push((Client::with_token(b.server(), &b.server().token(scopes)), 403));
    }
    for (client, status) in tokens {
        strange.client = client;
        assert_eq!(strange.add_checkpoint(0, 3).await.status, status);
        assert_eq!(strange.add_entries(strange.body(0, 3, 1)).await.status, status);
        let fork = fork_proof(2, 3, &strange.tree).unwrap();
        assert_eq!(strange.add_fork(2, 3, fork).await.status, status);
        for (route, body) in [
            ("/api/v1/claims/texts", json!({ "texts": [] })),
            ("/api/v1/nars/elsewhere", json!({ "nars": [] })),
        ] {
            let request = strange.client.request(Method::POST, route);
            assert_eq!(Answer::to(request.json(&body)).await.status, status, "{route}");
        }
        assert_eq!(strange.client.get("/api/v1/nars/wanted").await.status, status);
    }
    let report = report_of(&b, "known.example", "attestations").await;
    assert_eq!((report.pending, report.next), (0, 0));
}

#[tokio::test]
async fn two_who_bring_the_same_both_succeed() {
    let shown = shown(&ledger("both.example", 700));
    let (b, words) = began(&shown).await;
    words.add_checkpoint(0, 700).await;
    let uploads = (0..4).map(|_| words.add_entries(words.body(0, 700, 9)));
    for answer in futures_util::future::join_all(uploads).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let report = report_of(&b, "both.example", "attestations").await;
    assert_eq!((report.size, report.next), (Some(700), 700));
    for path in ["tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/002.p/188"] {
        let served = b.admin().get(&format!("{}/{path}", report.address)).await;
        assert_eq!(served.body, shown.log("attestations").object(path).unwrap(), "{path}");
    }
}
