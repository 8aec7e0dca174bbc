//! NARs through nginx: from the files it finds, or from the pool.

use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};
use tests::client::Client;
use tests::front::Front;
use tests::nar::{file, key, noise, path, xz, zstd};
use tests::server::Server;

use super::{BYTES_OUT, ask};

const LEN: usize = 300_000;

#[tokio::test]
async fn nars_come_from_the_files_under_every_view() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let (admin, front) = (Client::admin(&server), Front::before(&server));
    let (client, alice) = (front.client(), key("alice", 1));
    admin.enrol(&alice.public()).await;
    let nar = file(&noise(1, LEN));
    admin.push(&alice, &path("nar", "nar"), &nar, &[]).await;
    let name = format!("nar/{}.nar.zst", NarHash::of(&nar).to_nix32());
    let direct = admin.get(&format!("/{name}")).await;
    let counted = admin.metric(BYTES_OUT).await;
    let views = ["", "/signers/2/alice,bob", "/as/alice", "/policy/acme"];
    let addresses =
        || views.iter().flat_map(|view| ["", "/gnu"].map(|gnu| format!("{gnu}{view}/{name}")));
    for address in addresses() {
        let answer = client.get(&address).await;
        assert!(answer.body == direct.body, "{address}: {}", answer.status);
        for header in ["content-type", "content-length", "cache-control", "accept-ranges"] {
            assert_eq!(answer.header(header), direct.header(header), "{address}: {header}");
        }
        let head = client.head(&address).await;
        assert_eq!(head.header("content-length"), direct.header("content-length"));
    }
    let now = admin.metric(BYTES_OUT).await;
    assert!((now - counted).abs() < 0.5, "the pool sent {} bytes", now - counted);

    // What else lies there is not for everybody.
    for address in ["/admin.token", "/pool.key", "/blobs/nar/", "/nar/../../pool.key", "/staging/x"]
    {
        assert_ne!(client.get(address).await.status, 200, "{address}");
    }
    server.stop();
    for address in addresses() {
        assert!(client.get(&address).await.body == direct.body, "{address} without the pool");
    }
    assert_eq!(client.get("/nix-cache-info").await.status, 502);
}

#[tokio::test]
async fn a_download_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let (admin, front) = (Client::admin(&server), Front::before(&server));
    let client = front.client();
    let nar = file(&noise(2, LEN));
    let (kept, other) = (zstd(&nar), xz(&nar));
    admin.upload(&nar, Compression::Zstd, kept.clone()).await;
    let alias = format!("/nar/{}.nar.xz", FileHash::of(&other).to_nix32());
    assert_eq!(admin.put(&alias, other).await.status, 200);
    let name = format!("/nar/{}.nar.zst", NarHash::of(&nar).to_nix32());

    let by_nginx = client.head(&name).await.header("etag").to_owned();
    let by_pool = admin.head(&name).await.header("etag").to_owned();
    assert_ne!(by_nginx, by_pool);
    assert_eq!(client.head(&alias).await.header("etag"), by_pool, "the pool has the alias");
    let uploader = front.client().holding(&server.admin_token());
    assert_eq!(uploader.head(&name).await.header("etag"), by_pool, "who may upload asks the pool");
    assert_eq!(uploader.get(&name).await.header("etag"), by_nginx);
    let range = ("range", "bytes=100000-");
    let cases = [
        (&client, &name, &by_nginx, 206),
        (&client, &name, &by_pool, 206),
        (&client, &alias, &by_pool, 206),
        (&admin, &name, &by_pool, 206),
        // Never the rest of one file for the beginning of another; here it is to be safe.
        (&admin, &name, &by_nginx, 200),
        (&client, &alias, &by_nginx, 200),
        (&client, &name, &"\"another\"".to_owned(), 200),
        (&client, &name, &format!("\"{}\"", "0".repeat(52)), 200),
    ];
    for (asked, address, etag, status) in cases {
        let rest = ask(asked, address, &[range, ("if-range", etag)]).await;
        let from = if status == 206 { 100_000 } else { 0 };
        assert_eq!(rest.status, status, "{address} {etag}");
        assert!(rest.body == kept[from..], "{address} {etag}");
    }
    for (address, etag) in [(&name, &by_nginx), (&name, &by_pool), (&alias, &by_pool)] {
        assert_eq!(
            ask(&client, address, &[("if-none-match", etag)]).await.status,
            304,
            "{address}"
        );
    }
    // As Nix does, which sends no ETag.
    for address in [&name, &alias] {
        let rest = ask(&client, address, &[range]).await;
        assert!(rest.status == 206 && rest.body == kept[100_000..], "{address}");
        assert_eq!(
            rest.header("content-range"),
            format!("bytes 100000-{}/{}", kept.len() - 1, kept.len())
        );
    }
}
