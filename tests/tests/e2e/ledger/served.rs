//! The ledger's files and answers over plain HTTP, checked with nothing but public keys.

use reqwest::Method;
use schema::api::{ClaimsRequest, ClaimsResponse, Lookup};
use schema::attestation::Entry;
use schema::hash::{ClaimId, MapKey};
use schema::tlog::bundle;
use schema::tlog::note::VerifierKey;
use schema::tlog::policy::Policy;
use schema::tlog::receipt::Receipt;
use schema::verifiable_map::{IndexLeaf, ListChain};
use tests::client::{Answer, Client};
use tests::nar::{attestation, file, key, path};
use tests::server::Server;

/// A policy that asks for no witnesses.
fn anybody() -> Policy {
    Policy::parse(b"quorum none\n").unwrap()
}

async fn vkey(client: &Client, log: &str) -> VerifierKey {
    client.get("/api/v1/info").await.json()["logs"][log].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn each_file_has_the_headers_of_its_kind() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let admin = Client::admin(&server);
    let alice = key("alice", 1);
    admin.enrol(&alice.public()).await;
    for number in 0..3 {
        admin.vouch(&alice, &path(&number.to_string(), "x"), &file(b"n"), &[]).await;
    }
    let log = "/ledger/attestations";
    let checkpoint = admin.get(&format!("{log}/checkpoint")).await;
    assert_eq!(checkpoint.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(checkpoint.header("cache-control"), "max-age=1");
    for file in ["tile/0/000.p/3", "tile/0/000.p/1", "tile/entries/000.p/3"] {
        let answer = admin.get(&format!("{log}/{file}")).await;
        assert_eq!(answer.status, 200, "{file}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert!(answer.header("cache-control").contains("immutable"), "{file}");
    }
    for absent in [
        "attestations/tile/0/000.p/4",
        "attestations/tile/0/000",
        "attestations/tile/0/001.p/1",
        "attestations/tile/1/000.p/1",
        "attestations/tile/0/000.p/0",
        "attestations/tile/0/000.p/256",
        "attestations/tile/0/0.p/3",
        "attestations/tile/00/000.p/3",
        "attestations/tile/entries/000.p/4",
        "others/checkpoint",
    ] {
        assert_eq!(admin.get(&format!("/ledger/{absent}")).await.status, 404, "{absent}");
    }
    let request = admin.request(Method::GET, &format!("{log}/tile/entries/000.p/3"));
    let zipped = Answer::to(request.header("accept-encoding", "gzip")).await;
    assert_eq!(zipped.header("content-encoding"), "gzip");
    assert_eq!(zipped.header("vary"), "accept-encoding");
    let plain = admin.get(&format!("{log}/tile/entries/000.p/3")).await;
    assert_eq!(bundle::parse(&plain.body).unwrap().len(), 3);
    let mut unzipped = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&zipped.body[..]);
    std::io::Read::read_to_end(&mut decoder, &mut unzipped).unwrap();
    assert_eq!(unzipped, plain.body);
}

#[tokio::test]
async fn a_receipt_comes_with_the_answer_and_proves_its_entry() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--origin", "pool.example"]);
    let admin = Client::admin(&server);
    let alice = key("alice", 1);
    admin.enrol(&alice.public()).await;
    let items = (0..300)
        .map(|number| attestation(&alice, &path(&number.to_string(), "x"), &file(b"n"), &[]));
    let answer = admin.attest(items.collect()).await.json();
    let log = vkey(&admin, "attestations").await;
    assert_eq!(log.name().as_str(), "pool.example/attestations");
    let entries = {
        let first = admin.get("/ledger/attestations/tile/entries/000").await.body;
        bundle::parse(&first).unwrap().into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    for index in [0, 1, 17, 255] {
        let text = answer["logged"][index]["receipt"].as_str().unwrap();
        let receipt = Receipt::parse(text.as_bytes()).unwrap();
        assert_eq!(receipt.index(), index as u64);
        let seen = receipt.verify(&entries[index], &log, &anybody()).unwrap();
        assert!(seen.size() >= 300);
        let other = entries[(index + 1) % 256].clone();
        assert!(receipt.verify(&other, &log, &anybody()).is_err());
    }
    let asked = admin.get("/api/v1/ledger/receipts/299").await;
    assert_eq!(Receipt::parse(&asked.body).unwrap().index(), 299);
    assert_eq!(admin.get("/api/v1/ledger/receipts/300").await.status, 404);
    let none = admin.request(Method::POST, "/api/v1/attestations?receipts=false");
    let again = vec![attestation(&alice, &path("0", "x"), &file(b"n"), &[])];
    let body = schema::api::AttestRequest { attestations: again };
    let without = Answer::to(none.json(&body)).await.json();
    assert_eq!(without["logged"][0], serde_json::json!({ "index": 0, "new": false }));
}

#[tokio::test]
async fn what_a_path_a_nar_or_a_key_has_is_proven_whole_and_what_it_lacks_absent() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let admin = Client::admin(&server);
    let (alice, bob) = (key("alice", 1), key("bob", 2));
    for signer in [&alice, &bob] {
        admin.enrol(&signer.public()).await;
    }
    let (nar, other) = (file(b"n"), file(b"other"));
    let one = path("1", "x");
    admin.vouch(&alice, &one, &nar, &[]).await;
    admin.vouch(&alice, &path("2", "x"), &nar, &[]).await;
    admin.vouch(&bob, &one, &other, &[]).await;
    let hash = schema::hash::NarHash::of(&nar);
    let cases: [(MapKey, &[u64]); 5] = [
        (MapKey::of_path(&one.key()), &[0, 2]),
        (MapKey::of_path(&path("3", "x").key()), &[]),
        (MapKey::of_nar(&hash), &[0, 1]),
        (MapKey::of_signer(&alice.public().id()), &[0, 1]),
        (MapKey::of_signer(&key("nobody", 9).public().id()), &[]),
    ];
    let log = vkey(&admin, "index").await;
    for (key, expected) in cases {
        let answer = admin.get(&format!("/ledger/index/lookup/{key}?size=3")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let lookup: Lookup = serde_json::from_value(answer.json()).unwrap();
        assert_eq!(lookup.indices, expected);
        let leaf: Vec<u8> = (0..80)
            .map(|at| u8::from_str_radix(&lookup.leaf[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let receipt = Receipt::parse(lookup.receipt.as_bytes()).unwrap();
        receipt.verify(&leaf, &log, &anybody()).unwrap();
        let leaf = IndexLeaf::parse(&leaf).unwrap();
        assert_eq!(leaf.size, 3);
        let verify =
            |list: &[u64]| lookup.proof.verify(&leaf.map, &key, &ListChain::of(list).unwrap());
        assert_eq!(verify(expected), Ok(()));
        assert!(verify(&[expected, &[7]].concat()).is_err(), "one too many");
        if let Some((_, shorter)) = expected.split_last() {
            assert!(verify(shorter).is_err(), "one withheld");
        }
    }
    let malformed = admin.get("/ledger/index/lookup/xyz").await;
    assert_eq!((malformed.status, malformed.problem().code.as_str()), (400, "key_malformed"));
}

#[tokio::test]
async fn claims_are_had_by_their_hash() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let admin = Client::admin(&server);
    let alice = key("alice", 1);
    admin.enrol(&alice.public()).await;
    admin.vouch(&alice, &path("1", "x"), &file(b"n"), &[]).await;
    let bundle = admin.get("/ledger/attestations/tile/entries/000.p/1").await.body;
    let entry = Entry::parse(bundle::parse(&bundle).unwrap()[0]).unwrap();
    let claim = admin.get(&format!("/api/v1/claims/{}", entry.claim)).await;
    assert_eq!(claim.status, 200);
    assert_eq!(ClaimId::of(&claim.body), entry.claim);
    assert!(alice.public().verifies(&claim.body, &entry.signature));
    let unknown = ClaimId::of(b"never said");
    let absent = admin.get(&format!("/api/v1/claims/{unknown}")).await;
    assert_eq!((absent.status, absent.problem().code.as_str()), (404, "no_claim"));
    let many = ClaimsRequest { claims: vec![unknown, entry.claim] };
    let answer = Answer::to(admin.request(Method::POST, "/api/v1/claims").json(&many)).await;
    let answer: ClaimsResponse = serde_json::from_value(answer.json()).unwrap();
    assert_eq!(answer.claims[0].text, None);
    assert_eq!(answer.claims[1].text.as_deref().map(str::as_bytes), Some(&claim.body[..]));
}

#[tokio::test]
async fn a_collected_claim_is_gone_and_its_entry_stays() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let admin = Client::admin(&server);
    let alice = key("alice", 1);
    admin.enrol(&alice.public()).await;
    admin.vouch(&alice, &path("1", "x"), &file(b"n"), &[]).await;
    let claim = attestation(&alice, &path("1", "x"), &file(b"n"), &[]);
    let claim = schema::claim::Claim::new(
        claim.store_path,
        claim.nar_hash,
        claim.nar_size,
        claim.references,
    )
    .unwrap()
    .id();
    server.stop();
    {
        let (options, index) = (rocksdb::Options::default(), dir.path().join("index"));
        let families = rocksdb::DB::list_cf(&options, &index).unwrap();
        let database = rocksdb::DB::open_cf(&options, &index, families).unwrap();
        database.delete_cf(database.cf_handle("claims").unwrap(), claim.as_bytes()).unwrap();
    }
    let server = Server::start(dir.path(), &[]);
    let admin = Client::admin(&server);
    let gone = admin.get(&format!("/api/v1/claims/{claim}")).await;
    assert_eq!((gone.status, gone.problem().code.as_str()), (410, "claim_collected"));
    let receipt = admin.get("/api/v1/ledger/receipts/0").await;
    let receipt = Receipt::parse(&receipt.body).unwrap();
    let bundle = admin.get("/ledger/attestations/tile/entries/000.p/1").await.body;
    let entry = bundle::parse(&bundle).unwrap()[0].to_vec();
    receipt.verify(&entry, &vkey(&admin, "attestations").await, &anybody()).unwrap();
    assert_eq!(Entry::parse(&entry).unwrap().claim, claim);
}
