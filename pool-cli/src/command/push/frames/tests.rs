use std::fs;
use std::io::Read;
use std::path::Path;

use futures_util::StreamExt;
use schema::compression::Compression;
use schema::hash::NarHash;

use super::*;
use crate::compress::Method;
use crate::decode::decode;
use crate::output::Output;
use crate::store::Location;

const BASE: &str = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-large";

/// A store whose only path has this NAR, and is said to have the hash of `said`.
fn store(dir: &Path, nar: &[u8], said: &[u8]) -> (Store, Claim) {
    fs::write(dir.join("nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
    fs::write(dir.join("large.nar"), nar).unwrap();
    let claim = format!("/nix/store/{BASE}").parse().unwrap();
    let claim = Claim::new(claim, NarHash::of(said), said.len() as u64, Vec::new()).unwrap();
    let narinfo = format!(
        "StorePath: /nix/store/{BASE}\nURL: large.nar\nCompression: none\nNarHash: {}\n\
         NarSize: {}\nReferences: \n",
        claim.nar_hash(),
        claim.nar_size()
    );
    fs::write(dir.join(format!("{}.narinfo", &BASE[..32])), narinfo).unwrap();
    (Store::open(&Location::BinaryCache(dir.to_owned()), &[]).unwrap(), claim)
}

/// Dumps and packs it with two threads and two shared frames.
async fn upload(nar: &[u8], said: &[u8]) -> (Vec<Result<Bytes>>, Dumped) {
    let dir = tempfile::tempdir().unwrap();
    let (store, claim) = store(dir.path(), nar, said);
    let frames = Frames::new(Workers::start(2, Method::Zstd(1)).unwrap(), 2);
    let (pieces, received) = frames.channel();
    let runtime = Handle::current();
    let dumping =
        tokio::task::spawn_blocking(move || dump(&store, &claim, frames, pieces, &runtime));
    let output = Output::new(false, true);
    let counter = output.progress(1, nar.len() as u64).counter();
    let sent = body(received, counter).collect().await;
    (sent, dumping.await.unwrap())
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8 & 0x3f
    };
    (0..len).map(|_| next()).collect()
}

#[tokio::test]
async fn the_frames_in_order_are_the_nar_packed() {
    for len in [1, FRAME, FRAME + 1, 2 * FRAME, 5 * FRAME - 7] {
        let nar = noise(len);
        let (sent, dumped) = upload(&nar, &nar).await;
        assert!(matches!(dumped, Dumped::Whole));
        assert_eq!(sent.len(), len.div_ceil(FRAME));
        let mut file = tempfile::tempfile().unwrap();
        for frame in sent {
            file.write_all(&frame.unwrap()).unwrap();
        }
        std::io::Seek::rewind(&mut file).unwrap();
        let mut unpacked = Vec::new();
        let file = std::io::BufReader::new(file);
        decode(Compression::Zstd, file).unwrap().read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == nar, "{len} bytes");
    }
}

#[tokio::test]
async fn a_nar_that_is_another_is_never_sent_to_its_end() {
    let nar = noise(3 * FRAME);
    let mut changed = nar.clone();
    changed[2 * FRAME + 5] ^= 1;
    let longer = [&nar[..], &[0; FRAME]].concat();
    for said in [&changed[..], &nar[..2 * FRAME], &nar[..nar.len() - 1], &longer] {
        let (mut sent, dumped) = upload(&nar, said).await;
        let Dumped::Failed(error) = dumped else { panic!("not found out") };
        let error = format!("{error:#}");
        let hashes = [NarHash::of(said), NarHash::of(&nar)].map(|hash| hash.to_string());
        assert!(error.contains(BASE) && hashes.iter().all(|hash| error.contains(hash)), "{error}");
        assert!(sent.pop().unwrap().is_err());
        let whole: usize = sent.iter().filter(|piece| piece.is_ok()).count();
        assert!(whole < 3, "{whole} frames");
    }
}

#[tokio::test]
async fn a_dump_ends_when_nobody_wants_it() {
    let dir = tempfile::tempdir().unwrap();
    let nar = noise(6 * FRAME);
    let (store, claim) = store(dir.path(), &nar, &nar);
    let frames = Frames::new(Workers::start(1, Method::None).unwrap(), 1);
    let (pieces, mut received) = frames.channel();
    let runtime = Handle::current();
    let dumping =
        tokio::task::spawn_blocking(move || dump(&store, &claim, frames, pieces, &runtime));
    assert!(matches!(received.recv().await, Some(Piece::Frame { .. })));
    drop(received);
    assert!(matches!(dumping.await.unwrap(), Dumped::Unwanted));
}
