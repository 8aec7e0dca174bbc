//! A client that pushes and attests for as long as there is a server.

use std::sync::Arc;

use reqwest::{Method, RequestBuilder, Result};
use schema::api::{AttestItem, AttestRequest, AttestResponse, NarStored, NarsStored};
use schema::claim::Claim;
use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};
use schema::key::SecretKey;
use schema::nar_batch::Record;
use schema::narinfo::{Delivery, NarInfo};
use tests::client::{Answer, Client};
use tests::nar::unpack;
use tests::random::Random;

use super::notes::{Notes, key};
use super::piece::{Kind, LARGE, MEDIUM, Piece, SMALL};

const COMPRESSIONS: [Compression; 3] = [Compression::Zstd, Compression::Xz, Compression::None];

/// One of those who push at once, for one signer.
pub(super) struct Pusher {
    client: Client,
    signer: SecretKey,
    round: u64,
    random: Random,
    notes: Arc<Notes>,
}

impl Pusher {
    pub(super) fn new(
        client: Client,
        signer: SecretKey,
        round: u64,
        random: Random,
        notes: Arc<Notes>,
    ) -> Self {
        Self { client, signer, round, random, notes }
    }

    /// Pushes until the server is gone.
    pub(super) async fn push_on(mut self) {
        loop {
            let pushed = match self.random.within(0..14) {
                0..4 => self.batch().await,
                4..7 => self.one(MEDIUM, &COMPRESSIONS).await,
                7 => self.one(LARGE, &[Compression::None, Compression::Zstd]).await,
                8..10 => self.as_stock_clients_do().await,
                10 => self.log().await,
                11 => self.read(MEDIUM).await,
                12 => self.read(LARGE).await,
                _ => self.claims_before_nars().await,
            };
            if let Err(error) = pushed {
                return self.notes.blame_the_end(&error);
            }
        }
    }

    fn any(&mut self, kind: Kind) -> Piece {
        kind.any(self.round, &self.signer, &mut self.random)
    }

    /// A file to upload, in one of these compressions.
    fn pack(&mut self, piece: &Piece, compressions: &[Compression]) -> (Compression, Vec<u8>) {
        self.notes.note(|owed| owed.offered.insert(piece.nar_hash));
        let compression = self.random.one_of(compressions);
        (compression, piece.packed(compression))
    }

    /// Small NARs in one body, then all their attestations.
    async fn batch(&mut self) -> Result<()> {
        let pieces: Vec<Piece> = (0..self.random.within(1..12)).map(|_| self.any(SMALL)).collect();
        let mut body = Vec::new();
        for piece in &pieces {
            let (compression, file) = self.pack(piece, &COMPRESSIONS);
            Record { nar_hash: piece.nar_hash, compression, file: &file }
                .encode_to(&mut body)
                .unwrap();
        }
        let answer = self.send(Method::POST, "/api/v1/nars", |request| request.body(body)).await?;
        let answer: NarsStored = serde_json::from_value(answer.json()).unwrap();
        assert_eq!(answer.stored.len(), pieces.len());
        self.notes.acknowledge(|owed| {
            owed.nars.extend(answer.stored.iter().map(|stored| (stored.nar_hash, stored.nar_size)));
        });
        self.attest(&pieces).await
    }

    /// One NAR and its attestation.
    async fn one(&mut self, kind: Kind, compressions: &[Compression]) -> Result<()> {
        let piece = self.any(kind);
        let (compression, file) = self.pack(&piece, compressions);
        let path = format!("/api/v1/nars/{}?compression={compression}", piece.nar_hash.to_nix32());
        let answer = self.send(Method::PUT, &path, |request| request.body(file)).await?;
        let stored: NarStored = serde_json::from_value(answer.json()).unwrap();
        assert_eq!(stored.nar_hash, piece.nar_hash);
        self.notes.acknowledge(|owed| {
            owed.nars.insert(stored.nar_hash, stored.nar_size);
        });
        self.attest(&[piece]).await
    }

    /// A file under its own hash, then a signed narinfo.
    async fn as_stock_clients_do(&mut self) -> Result<()> {
        let piece = self.any(MEDIUM);
        let (_, file) = self.pack(&piece, &[Compression::Xz]);
        let file_hash = FileHash::of(&file);
        let url = format!("nar/{}.nar.xz", file_hash.to_nix32());
        self.send(Method::PUT, &format!("/{url}"), |request| request.body(file)).await?;
        self.notes.acknowledge(|owed| {
            owed.nars.insert(piece.nar_hash, piece.nar.len() as u64);
            owed.aliases.insert(file_hash, piece.nar_hash);
        });
        let item = piece.attested_by(&self.signer);
        let narinfo = narinfo(&item, url);
        self.notes.note(|owed| drop(owed.tried.insert(key(&item), item.clone())));
        let path = format!("/as/{}/{}.narinfo", self.signer.name(), piece.path.base().hash_part());
        self.send(Method::PUT, &path, |request| request.body(narinfo)).await?;
        self.notes.acknowledge(|owed| {
            owed.attested.entry(key(&item)).or_default();
        });
        Ok(())
    }

    async fn log(&mut self) -> Result<()> {
        let piece = self.any(MEDIUM);
        let derivation = format!("{}.drv", piece.path.base()).parse().unwrap();
        let text = format!("the log of {}\n", piece.path).repeat(1000);
        self.send(Method::PUT, &format!("/log/{derivation}"), |request| request.body(text.clone()))
            .await?;
        self.notes.acknowledge(|owed| drop(owed.logs.insert(derivation, text)));
        Ok(())
    }

    /// Attestations of NARs that somebody pushes later, or nobody does.
    async fn claims_before_nars(&mut self) -> Result<()> {
        let pieces = [SMALL, SMALL, SMALL, MEDIUM].map(|kind| self.any(kind));
        self.attest(&pieces).await
    }

    /// A NAR that may be on its way in just now: there is none of it, or all.
    async fn read(&mut self, kind: Kind) -> Result<()> {
        let Piece { nar_hash, .. } = self.any(kind);
        let path = format!("/nar/{}.nar.zst", nar_hash.to_nix32());
        let answer = Answer::unless_gone(self.client.request(Method::GET, &path)).await?;
        match answer.status {
            404 => {}
            200 => assert_eq!(NarHash::of(&unpack(&answer.body).unwrap()), nar_hash),
            _ => panic!("{path}: {answer:?}"),
        }
        Ok(())
    }

    async fn attest(&mut self, pieces: &[Piece]) -> Result<()> {
        let items: Vec<AttestItem> =
            pieces.iter().map(|piece| piece.attested_by(&self.signer)).collect();
        self.notes
            .note(|owed| owed.tried.extend(items.iter().map(|item| (key(item), item.clone()))));
        let request = AttestRequest { attestations: items.clone() };
        let answer =
            self.send(Method::POST, "/api/v1/attestations", |it| it.json(&request)).await?;
        let answer: AttestResponse = serde_json::from_value(answer.json()).unwrap();
        self.notes.acknowledge(|owed| {
            for (item, logged) in items.iter().zip(&answer.logged) {
                owed.attested_at(item, logged.index);
            }
        });
        Ok(())
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer> {
        let answer = Answer::unless_gone(fill(self.client.request(method, path))).await?;
        assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.text());
        Ok(answer)
    }
}

fn narinfo(item: &AttestItem, url: String) -> String {
    let claim =
        Claim::new(item.store_path.clone(), item.nar_hash, item.nar_size, item.references.clone());
    NarInfo {
        claim: claim.unwrap(),
        delivery: Delivery { url, compression: Compression::Xz, file_hash: None, file_size: None },
        deriver: None,
        content_address: None,
        signatures: vec![item.signature.clone()],
    }
    .print_nix()
}
