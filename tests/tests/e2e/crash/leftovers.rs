//! What a kill leaves at each step between a file and its place in the index, laid out by hand.

use std::fs;
use std::path::Path;

use pool_server::blobs::nar_name;
use pool_server::index::Index;
use schema::compression::Compression;
use schema::hash::NarHash;
use tests::client::Client;
use tests::nar::{file, noise, unpack, xz, zstd};
use tests::server::Server;

use super::audit::no_leftovers;

/// Makes it look as if the server had been killed when it had written these files of a NAR.
fn leave_pending(
    data: &Path,
    nar: &[u8],
    compression: Compression,
    files: &[(&str, &[u8])],
) -> String {
    let name = nar_name(&NarHash::of(nar), compression);
    Index::open(&data.join("index")).unwrap().note_pending(&name).unwrap();
    for (suffix, bytes) in files {
        fs::write(data.join("blobs").join(format!("{name}{suffix}")), bytes).unwrap();
    }
    name
}

#[tokio::test]
async fn whatever_a_kill_leaves_is_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let server = Server::start(data, &[]);
    let [kept, other, placed, halved, announced] =
        [1, 2, 3, 4, 5].map(|seed| file(&noise(seed, 100_000)));
    for nar in [&kept, &other] {
        Client::admin(&server).upload(nar, Compression::Zstd, zstd(nar)).await;
    }
    server.kill();

    let nothing = [
        leave_pending(data, &placed, Compression::Zstd, &[("", &zstd(&placed))]),
        leave_pending(data, &halved, Compression::Zstd, &[("#1", &zstd(&halved)[..5000])]),
        leave_pending(data, &announced, Compression::Zstd, &[]),
        // The pool has it, but not in this file.
        leave_pending(data, &other, Compression::Xz, &[("", &xz(&other)), ("#1", b"")]),
    ];
    // The note outlived what it was for.
    let whole = leave_pending(data, &kept, Compression::Zstd, &[]);
    for staged in ["0123", "4567#1"] {
        fs::write(data.join("blobs/staging").join(staged), b"an upload").unwrap();
    }

    let server = Server::start(data, &[]);
    no_leftovers(data);
    let admin = Client::admin(&server);
    for name in &nothing[..3] {
        assert!(!data.join("blobs").join(name).exists(), "{name}");
        assert_eq!(admin.get(&format!("/{name}")).await.status, 404, "{name}");
    }
    assert!(!data.join("blobs").join(&nothing[3]).exists());
    for (nar, name) in [(&kept, whole), (&other, nar_name(&NarHash::of(&other), Compression::Zstd))]
    {
        let answer = admin.get(&format!("/{name}")).await;
        assert!(answer.status == 200 && unpack(&answer.body).unwrap() == *nar, "{name}");
    }
    for nar in [&placed, &halved, &announced] {
        assert!(
            admin.upload(nar, Compression::Zstd, zstd(nar)).await.new,
            "it can be pushed again"
        );
    }
    server.stop();
    assert_eq!(
        Index::open(&data.join("index")).unwrap().pending().unwrap(),
        [""; 0],
        "no note is left"
    );
}
