//! NARs on their way out: under every view, in parts, and by the names their uploaders know.

use reqwest::Method;
use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};
use tests::client::{Answer, Client};
use tests::nar::{file, noise, path, xz, zstd};

use super::Scene;

/// Larger than what is read of a file at once.
const LEN: usize = 300_000;

async fn part(scene: &Scene, url: &str, headers: &[(&'static str, &str)]) -> Answer {
    let mut request = scene.admin.request(Method::GET, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::to(request).await
}

#[tokio::test]
async fn nars_lie_under_every_view_and_never_change() {
    let scene = Scene::start(&[]).await;
    let nar = file(&noise(1, LEN));
    let stored = scene.admin.upload(&nar, Compression::Xz, xz(&nar)).await;
    let path = path("nar", "nar");
    scene.admin.vouch(&scene.alice, &path, &nar, &[]).await;
    let url = scene.shown("", &path).await.delivery.url;
    assert_eq!(url, format!("nar/{}.nar.xz", NarHash::of(&nar).to_nix32()));
    for view in ["", "/signers/1/alice", "/signers/2/alice,bob", "/as/alice", "/as/bob"] {
        let answer = scene.admin.get(&format!("{view}/{url}")).await;
        assert_eq!(answer.status, 200);
        assert!(answer.body == xz(&nar), "the bytes are as they were sent");
        assert_eq!(answer.header("content-type"), "application/x-nix-nar");
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert_eq!(answer.header("content-length"), stored.file_size.to_string());
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(answer.header("etag"), format!("\"{}\"", stored.file_hash.to_nix32()));
        assert_eq!(answer.header("content-encoding"), "");
    }
    // A client that offers to decompress gets the same.
    let offered =
        part(&scene, &format!("/{url}"), &[("accept-encoding", "deflate, gzip, br, zstd")]).await;
    assert!(offered.body == xz(&nar) && offered.header("content-encoding").is_empty());
    let narinfo = part(
        &scene,
        &super::narinfo_of("", &path),
        &[("accept-encoding", "deflate, gzip, br, zstd")],
    )
    .await;
    assert!(narinfo.text().starts_with("StorePath: "));

    let old = Client::http2(&scene.server);
    assert!(old.get(&format!("/as/alice/{url}")).await.body == xz(&nar), "over HTTP/2");
    for absent in ["/nar/x.nar.xz", "/nar/0.nar", "/nar/", "/nar/a/b"] {
        assert_eq!(scene.admin.get(absent).await.status, 404, "{absent}");
    }
    let zstd = url.replace(".xz", ".zst");
    assert_eq!(scene.admin.get(&format!("/{zstd}")).await.status, 404, "it was never sent so");
}

#[tokio::test]
async fn a_nar_may_be_had_in_parts() {
    let scene = Scene::start(&[]).await;
    let nar = file(&noise(2, LEN));
    let (len, stored) = (nar.len(), scene.admin.upload(&nar, Compression::None, nar.clone()).await);
    let url = format!("/as/alice/nar/{}.nar", stored.nar_hash.to_nix32());
    let etag = format!("\"{}\"", stored.file_hash.to_nix32());

    let pieces = [
        ("bytes=0-".to_owned(), 0..len),
        ("bytes=0-0".to_owned(), 0..1),
        ("bytes=0-131071".to_owned(), 0..131_072),
        ("bytes=100000-270000".to_owned(), 100_000..270_001),
        (format!("bytes={}-", len - 1), len - 1..len),
        (format!("bytes=5-{len}"), 5..len),
        ("bytes=-7".to_owned(), len - 7..len),
        (format!("bytes=-{}", len * 2), 0..len),
    ];
    for (range, bytes) in pieces {
        let piece = part(&scene, &url, &[("range", &range)]).await;
        assert_eq!(piece.status, 206, "{range}");
        assert!(piece.body == nar[bytes.clone()], "{range}");
        assert_eq!(
            piece.header("content-range"),
            format!("bytes {}-{}/{len}", bytes.start, bytes.end - 1)
        );
        assert_eq!(piece.header("content-length"), bytes.len().to_string());
        assert_eq!(piece.header("etag"), etag);
    }
    for range in [&format!("bytes={len}-"), "bytes=-0", "bytes=99999999999999999999-"] {
        let none = part(&scene, &url, &[("range", range)]).await;
        assert_eq!(
            (none.status, none.header("content-range")),
            (416, &*format!("bytes */{len}")),
            "{range}"
        );
        assert!(none.body.is_empty());
    }
    for range in ["bytes=9-1", "bytes=0-1,5-6", "lines=1-2", "bytes=a-"] {
        let whole = part(&scene, &url, &[("range", range)]).await;
        assert_eq!((whole.status, whole.body.len()), (200, len), "{range}");
    }

    let piece = ("range", "bytes=10-19");
    let same = part(&scene, &url, &[piece, ("if-range", &etag)]).await;
    assert_eq!((same.status, same.body.len()), (206, 10));
    for other in ["\"other\"", &format!("W/{etag}"), "Wed, 21 Oct 2015 07:28:00 GMT"] {
        let whole = part(&scene, &url, &[piece, ("if-range", other)]).await;
        assert_eq!((whole.status, whole.body.len()), (200, len), "{other}");
    }
    for had in [&*etag, &format!("\"x\", W/{etag}"), "*"] {
        let kept = part(&scene, &url, &[("if-none-match", had), piece]).await;
        assert_eq!((kept.status, kept.body.len()), (304, 0), "{had}");
        assert_eq!(kept.header("etag"), etag);
    }
    assert_eq!(part(&scene, &url, &[("if-none-match", "\"x\"")]).await.status, 200);
}

#[tokio::test]
async fn a_file_that_was_not_kept_is_found_by_its_hash() {
    let scene = Scene::start(&[]).await;
    let nar = file(&noise(3, LEN));
    let (first, second) = (xz(&nar), zstd(&nar));
    let name = |file: &[u8], suffix| format!("/nar/{}.nar.{suffix}", FileHash::of(file).to_nix32());
    let (first_name, second_name) = (name(&first, "xz"), name(&second, "zst"));

    assert_eq!(scene.admin.get(&first_name).await.status, 404);
    assert_eq!(scene.admin.put(&first_name, first.clone()).await.status, 201);
    assert_eq!(scene.admin.get(&second_name).await.status, 404);
    let again = scene.admin.put(&format!("/as/bob{second_name}"), second).await;
    assert_eq!((again.status, again.text().trim()), (200, &*NarHash::of(&nar).to_string()));
    for known in [&first_name, &second_name, &format!("/as/carol{second_name}")] {
        let answer = scene.admin.get(known).await;
        assert_eq!(answer.status, 200, "{known}");
        assert!(answer.body == first, "the file that is kept");
        assert_eq!(answer.header("etag"), format!("\"{}\"", FileHash::of(&first).to_nix32()));
    }

    // Nix calls gzip `.nar`, and looks at the bytes.
    let gzipped = gzip(&nar);
    let called_plain = format!("/nar/{}.nar", FileHash::of(&gzipped).to_nix32());
    assert_eq!(scene.admin.put(&called_plain, gzipped).await.status, 200);
    assert!(scene.admin.get(&called_plain).await.body == first);
    // It does not when there is no compression, or brotli: it would take xz for the NAR itself.
    let plain = format!("/nar/{}.nar", FileHash::of(&nar).to_nix32());
    assert_eq!(scene.admin.put(&plain, nar.clone()).await.status, 200);
    let answer = scene.admin.get(&plain).await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("kept as xz, not as none"), "{}", answer.text());
}

/// A gzip file whose blocks are stored as they are (RFC 1951, section 3.2.4; RFC 1952).
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let blocks: Vec<_> = bytes.chunks(0xffff).collect();
    for (at, block) in blocks.iter().enumerate() {
        let len = u16::try_from(block.len()).unwrap();
        file.push(u8::from(at + 1 == blocks.len()));
        file.extend([len.to_le_bytes(), (!len).to_le_bytes()].concat());
        file.extend_from_slice(block);
    }
    let crc = !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    });
    file.extend(crc.to_le_bytes());
    file.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
    file
}
