//! A large NAR goes in and comes out again in little memory, at both ends.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use bytes::{Buf, Bytes};
use reqwest::Method;
use schema::hash::NarHash;
use schema::narinfo::NarInfo;
use sha2::{Digest, Sha256};
use tests::cli::Cli;
use tests::client::Client;
use tests::lab::{Builder, Lab, hash_part};
use tests::nix::Version;
use tests::program::Outcome;
use tests::random::Random;
use tests::run::long;

/// What server and client may hold, in bytes.
const BOUND: u64 = 150 << 20;
/// Every block of the file is half noise and half nothing, so that packing it is some work.
const BLOCK: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_nar_goes_in_and_out_in_little_memory() {
    let len: u64 = if long() { 4 << 30 } else { 512 << 20 };
    let lab = Lab::start(Version::Stable, &[]);
    let alice = lab.signer("alice").await;
    let path = add_large_file(&alice, len);

    let cli = Cli::new(alice.host.dir(), &lab.server, &lab.server.token("upload,attest,read"));
    let push = ["push", &path, "--key", alice.secret(), "--store", &alice.store(), "--json"];
    let start = Instant::now();
    let (pushed, client_held) = Outcome::with_peak_memory(&mut cli.command(&push));
    println!("pushed in {:?}: {}", start.elapsed(), pushed.ok());
    let server_held = lab.server.peak_memory();
    println!("for {len} bytes: client {} KiB, server {} KiB", client_held >> 10, server_held >> 10);
    assert!(client_held < BOUND, "the client held {client_held} bytes");
    assert!(server_held < BOUND, "the server held {server_held} bytes");

    let start = Instant::now();
    let narinfo = narinfo(&lab.admin, &path).await;
    let (nar_hash, nar_size) = fetch(&lab.admin, &narinfo.delivery.url).await;
    assert_eq!((nar_hash, nar_size), (narinfo.claim.nar_hash(), narinfo.claim.nar_size()));
    assert!(nar_size > len);
    let server_held = lab.server.peak_memory();
    println!("fetched in {:?}: server {} KiB", start.elapsed(), server_held >> 10);
    assert!(server_held < BOUND, "the server held {server_held} bytes");
}

/// Puts a file of `len` bytes into the builder's store; answers with its path.
fn add_large_file(builder: &Builder, len: u64) -> String {
    let file = builder.host.dir().join("large");
    write_blocks(&file, len).unwrap();
    let added = builder.host.run(&["nix-store", "--add", file.to_str().unwrap()]).ok();
    std::fs::remove_file(file).unwrap();
    added.trim().to_owned()
}

fn write_blocks(file: &Path, len: u64) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(BLOCK, File::create(file)?);
    let mut random = Random::new(len);
    let mut block = vec![0; BLOCK];
    for _ in 0..len / BLOCK as u64 {
        for eight in block[..BLOCK / 2].as_chunks_mut::<8>().0 {
            *eight = random.number().to_ne_bytes();
        }
        out.write_all(&block)?;
    }
    out.flush()
}

async fn narinfo(client: &Client, path: &str) -> NarInfo {
    let answer = client.get(&format!("/as/alice/{}.narinfo", hash_part(path))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    NarInfo::parse_nix(&answer.body).unwrap()
}

/// Fetches a NAR piece by piece; answers with its hash and size.
async fn fetch(client: &Client, url: &str) -> (NarHash, u64) {
    let (pieces, received) = sync_channel(16);
    let unpacking = tokio::task::spawn_blocking(move || measure(received).unwrap());
    let mut response = client.request(Method::GET, &format!("/{url}")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    while let Some(piece) = response.chunk().await.unwrap() {
        pieces.send(piece).unwrap();
    }
    drop(pieces);
    unpacking.await.unwrap()
}

fn measure(pieces: Receiver<Bytes>) -> io::Result<(NarHash, u64)> {
    let mut nar = zstd::Decoder::new(Pieces { pieces, current: Bytes::new() })?;
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; BLOCK]);
    loop {
        match nar.read(&mut buffer)? {
            0 => return Ok((NarHash::from_bytes(hash.finalize().into()), size)),
            read => {
                hash.update(&buffer[..read]);
                size += read as u64;
            }
        }
    }
}

struct Pieces {
    pieces: Receiver<Bytes>,
    current: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            let Ok(next) = self.pieces.recv() else { return Ok(0) };
            self.current = next;
        }
        let len = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..len]);
        Ok(len)
    }
}
