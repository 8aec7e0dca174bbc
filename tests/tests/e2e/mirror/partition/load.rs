//! Builders who push to a pool for as long as they are let, whatever becomes of it meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use schema::api::AttestRequest;
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::key::SecretKey;
use schema::nar_batch::Record;
use schema::store_path::StorePath;
use tests::client::{Answer, Client};
use tests::nar::{attestation, file, noise, path, zstd};
use tests::random::Random;
use tokio::time::sleep;

/// Contents of the largest NAR, in bytes.
pub(super) const LARGEST: usize = 6 << 20;
/// Contents of NARs between the small ones and the large ones, in bytes: less than a mebibyte.
const MEDIUM: std::ops::Range<u64> = (520 << 10)..(900 << 10);
const SMALL: std::ops::Range<u64> = 100..8000;
/// Small ones that are brought together.
const TOGETHER: u64 = 16;

/// Numbers of NARs, each once in a process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A NAR and a word about it, both acknowledged.
pub(super) struct Pushed {
    pub(super) path: StorePath,
    pub(super) nar_hash: NarHash,
    /// Where a pool serves it.
    pub(super) url: String,
    pub(super) file_size: u64,
    pub(super) signer: String,
    pub(super) is_large: bool,
}

/// Builders at work, on a thread of their own.
pub(super) struct Load {
    builders: JoinHandle<Vec<Pushed>>,
    enough: Arc<AtomicBool>,
}

impl Load {
    /// Has each of these signers push to the pool at an address by this token, with pauses of this
    /// many milliseconds.
    pub(super) fn start(
        (url, token): (String, String),
        signers: Vec<SecretKey>,
        pauses: std::ops::Range<u64>,
        seed: u64,
    ) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&enough);
        let builders = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let builders = (seed..).zip(signers).map(|(seed, signer)| Builder {
                client: Client::of(&url).holding(&token),
                random: Random::new(seed),
                signer,
                pushed: Vec::new(),
            });
            let pushing = builders.map(|builder| builder.push_on(&until, pauses.clone()));
            let pushed = runtime.unwrap().block_on(futures_util::future::join_all(pushing));
            pushed.into_iter().flatten().collect()
        });
        Self { builders, enough }
    }

    /// Lets them end what they have begun. Answers with all that was acknowledged.
    pub(super) fn end(self) -> Vec<Pushed> {
        self.enough.store(true, Ordering::Relaxed);
        self.builders.join().unwrap()
    }

    /// Whether they all still do what they should.
    pub(super) fn goes_on(&self) -> bool {
        !self.builders.is_finished()
    }
}

struct Builder {
    client: Client,
    random: Random,
    signer: SecretKey,
    pushed: Vec<Pushed>,
}

/// A NAR that was made, and the file that it is brought in.
struct Made {
    path: StorePath,
    nar: Vec<u8>,
    nar_hash: NarHash,
    compression: Compression,
    file: Vec<u8>,
}

impl Builder {
    async fn push_on(mut self, enough: &AtomicBool, pauses: std::ops::Range<u64>) -> Vec<Pushed> {
        while !enough.load(Ordering::Relaxed) {
            match self.random.within(0..15) {
                0 => self.push(vec![made(LARGEST, Compression::None)]).await,
                1..5 => {
                    let len = self.random.within(MEDIUM) as usize;
                    self.push(vec![made(len, Compression::Zstd)]).await;
                }
                _ => {
                    let lens = (0..TOGETHER).map(|_| self.random.within(SMALL) as usize);
                    let made = lens.map(|len| made(len, Compression::Zstd)).collect();
                    self.push(made).await;
                }
            }
            sleep(Duration::from_millis(self.random.within(pauses.clone()))).await;
        }
        self.pushed
    }

    /// The NARs before the word about them, or after it.
    async fn push(&mut self, made: Vec<Made>) {
        let attested = made.iter().map(|it| attestation(&self.signer, &it.path, &it.nar, &[]));
        let words = AttestRequest { attestations: attested.collect() };
        let words_first = self.random.within(0..4) == 0;
        if words_first {
            self.say(&words).await;
        }
        self.bring(&made).await;
        if !words_first {
            self.say(&words).await;
        }
        let signer = self.signer.name().to_string();
        self.pushed.extend(made.into_iter().map(|it| Pushed {
            url: format!("/nar/{}.nar{}", it.nar_hash.to_nix32(), it.compression.suffix()),
            file_size: it.file.len() as u64,
            is_large: it.nar.len() > 1 << 20,
            signer: signer.clone(),
            nar_hash: it.nar_hash,
            path: it.path,
        }));
    }

    async fn say(&self, words: &AttestRequest) {
        self.until_acknowledged(Method::POST, "/api/v1/attestations", |it| it.json(words)).await;
    }

    async fn bring(&self, made: &[Made]) {
        if let [Made { nar_hash, compression, file, .. }] = made {
            let path = format!("/api/v1/nars/{}?compression={compression}", nar_hash.to_nix32());
            return self.until_acknowledged(Method::PUT, &path, |it| it.body(file.clone())).await;
        }
        let mut body = Vec::new();
        for Made { nar_hash, compression, file, .. } in made {
            let record = Record { nar_hash: *nar_hash, compression: *compression, file };
            record.encode_to(&mut body).unwrap();
        }
        self.until_acknowledged(Method::POST, "/api/v1/nars", |it| it.body(body.clone())).await;
    }

    /// A pool that is away comes back.
    async fn until_acknowledged(
        &self,
        method: Method,
        path: &str,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) {
        loop {
            let asked = fill(self.client.request(method.clone(), path));
            match Answer::unless_gone(asked).await {
                Ok(answer) if answer.status == 503 => {}
                Ok(answer) => return assert_eq!(answer.status, 200, "{path}: {}", answer.text()),
                Err(_) => {}
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn made(len: usize, compression: Compression) -> Made {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let nar = file(&noise(number, len));
    let file = if compression == Compression::Zstd { zstd(&nar) } else { nar.clone() };
    let path = path(&number.to_string(), &format!("item-{number}"));
    Made { path, nar_hash: NarHash::of(&nar), compression, file, nar }
}
