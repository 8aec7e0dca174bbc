//! What is pushed while something fails, what was acknowledged of it, and whether that is there.

use std::sync::Mutex;

use reqwest::Method;
use schema::api::{AttestItem, AttestRequest, AttestResponse};
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::key::SecretKey;
use schema::narinfo::NarInfo;
use schema::store_path::{BaseName, StorePath};
use serde_json::from_value;
use tests::client::{Answer, Client};
use tests::nar::{attestation, file, key, noise, path, unpack, zstd};

/// Whose key signs everything.
pub(super) fn signer() -> SecretKey {
    key("alice", 1)
}

/// A path and its NAR.
pub(super) struct Piece {
    pub(super) path: StorePath,
    pub(super) nar: Vec<u8>,
}

impl Piece {
    /// The piece of this name, whose file has `len` bytes.
    pub(super) fn new(name: &str, len: usize) -> Self {
        let seed = NarHash::of(name.as_bytes());
        let seed = u64::from_be_bytes(*seed.as_bytes().first_chunk().unwrap());
        Self { path: path(name, "piece"), nar: file(&noise(seed, len)) }
    }

    pub(super) fn nar_hash(&self) -> NarHash {
        NarHash::of(&self.nar)
    }

    fn item(&self) -> AttestItem {
        attestation(&signer(), &self.path, &self.nar, &[])
    }
}

/// What the pool has acknowledged.
#[derive(Default)]
pub(super) struct Owed(Mutex<Acknowledged>);

#[derive(Default, Clone)]
struct Acknowledged {
    /// NARs, each with the path that it is to have.
    nars: Vec<(NarHash, StorePath)>,
    attested: Vec<(AttestItem, u64)>,
}

impl Owed {
    pub(super) fn counts(&self) -> (usize, usize) {
        let owed = self.0.lock().unwrap();
        (owed.nars.len(), owed.attested.len())
    }

    /// Uploads and attests a piece. Answers with the first status that was not 200.
    pub(super) async fn push(&self, client: &Client, piece: &Piece) -> Result<(), Refused> {
        self.upload(client, piece).await?;
        self.attest(client, piece).await
    }

    pub(super) async fn upload(&self, client: &Client, piece: &Piece) -> Result<(), Refused> {
        let path = format!(
            "/api/v1/nars/{}?compression={}",
            piece.nar_hash().to_nix32(),
            Compression::Zstd
        );
        send(client, Method::PUT, &path, zstd(&piece.nar)).await?;
        self.is_uploaded(piece);
        Ok(())
    }

    pub(super) fn is_uploaded(&self, piece: &Piece) {
        self.0.lock().unwrap().nars.push((piece.nar_hash(), piece.path.clone()));
    }

    pub(super) async fn attest(&self, client: &Client, piece: &Piece) -> Result<(), Refused> {
        let item = piece.item();
        let request = AttestRequest { attestations: vec![item.clone()] };
        let body = serde_json::to_vec(&request).unwrap();
        let answer = send(client, Method::POST, "/api/v1/attestations", body).await?;
        let answer: AttestResponse = from_value(answer.json()).unwrap();
        self.0.lock().unwrap().attested.push((item, answer.logged[0].index));
        Ok(())
    }

    /// Attests a hundred paths with many references, of which there are no NARs.
    pub(super) async fn say_much(&self, client: &Client) {
        let name = format!("{} attested", self.counts().1);
        let references: Vec<BaseName> =
            (0..100).map(|at| path(&format!("{name}, {at}"), "reference").base().clone()).collect();
        let item = |at| {
            let path = path(&format!("{name}: {at}"), "much");
            attestation(&signer(), &path, &file(name.as_bytes()), &references)
        };
        let attestations: Vec<AttestItem> = (0..100).map(item).collect();
        let body = serde_json::to_vec(&AttestRequest { attestations: attestations.clone() });
        let Ok(answer) = send(client, Method::POST, "/api/v1/attestations", body.unwrap()).await
        else {
            return;
        };
        let answer: AttestResponse = from_value(answer.json()).unwrap();
        let logged = attestations.into_iter().zip(answer.logged);
        self.0.lock().unwrap().attested.extend(logged.map(|(item, logged)| (item, logged.index)));
    }

    /// Everything that was acknowledged is there, and as it was.
    pub(super) async fn audit(&self, client: &Client) {
        let owed = self.0.lock().unwrap().clone();
        for (nar_hash, path) in &owed.nars {
            let answer = client.get(&format!("/nar/{}.nar.zst", nar_hash.to_nix32())).await;
            assert_eq!(answer.status, 200, "{nar_hash} of {path}: {}", answer.text());
            assert_eq!(NarHash::of(&unpack(&answer.body).unwrap()), *nar_hash, "wrong bytes");
        }
        for group in owed.attested.chunks(200) {
            let attestations = group.iter().map(|(item, _)| item.clone()).collect();
            let answer = client.attest(attestations).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let answer: AttestResponse = from_value(answer.json()).unwrap();
            for ((item, index), logged) in group.iter().zip(answer.logged) {
                let found = (logged.index, logged.new);
                assert_eq!(found, (*index, false), "{} was lost", item.store_path);
            }
        }
        self.read(client).await;
    }

    /// Whatever is whole can be read: narinfos and their NARs.
    pub(super) async fn read(&self, client: &Client) {
        let owed = self.0.lock().unwrap().clone();
        for (item, _) in owed.attested.iter().rev().take(20) {
            if owed.nars.iter().any(|(nar_hash, _)| *nar_hash == item.nar_hash) {
                read_one(client, &item.store_path, &item.nar_hash).await;
            }
        }
    }
}

/// Reads as package managers do.
pub(super) async fn read_one(client: &Client, path: &StorePath, nar_hash: &NarHash) {
    let answer = client.get(&format!("/{}.narinfo", path.base().hash_part())).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let narinfo = NarInfo::parse_nix(answer.text().as_bytes()).unwrap();
    let answer = client.get(&format!("/{}", narinfo.delivery.url)).await;
    assert_eq!(answer.status, 200, "{path}");
    assert_eq!(NarHash::of(&unpack(&answer.body).unwrap()), *nar_hash, "{path}");
}

/// What came instead of an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// A problem: its status and code.
    Problem(u16, String),
    /// The connection broke.
    Gone,
}

/// Sends a request, which may only be refused for want of a disk that works.
pub(super) async fn send(
    client: &Client,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<Answer, Refused> {
    let Ok(answer) = Answer::unless_gone(client.request(method, path).body(body)).await else {
        return Err(Refused::Gone);
    };
    if answer.status == 200 {
        return Ok(answer);
    }
    let problem = answer.json();
    let code = problem["code"].as_str().unwrap().to_owned();
    assert!(!problem["hint"].as_str().unwrap().is_empty());
    match (answer.status, &*code) {
        (507, "storage_full") | (503, "storage_failing" | "storage_read_only" | "out_of_files") => {
        }
        _ => panic!("{path}: {problem}"),
    }
    Err(Refused::Problem(answer.status, code))
}
