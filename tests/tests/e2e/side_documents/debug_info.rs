//! Debug information over plain HTTP: it is announced before its NAR, and found once that is here.

use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};
use tests::client::Client;
use tests::nar::{file, xz};

use super::Scene;

const ADDRESS: &str = "/debuginfo/abcdef0123456789abcdef0123456789abcdef01.debug";

fn document(archive: &[u8], member: &str) -> String {
    let digits = FileHash::of(archive).to_nix32();
    format!(r#"{{"archive":"../nar/{digits}.nar.xz","member":"{member}"}}"#)
}

async fn upload(client: &Client, archive: &[u8]) {
    let name = format!("/nar/{}.nar.xz", FileHash::of(archive).to_nix32());
    let answer = client.put(&name, archive.to_vec()).await;
    assert!(answer.status < 300, "{}", answer.text());
}

#[tokio::test]
async fn it_is_found_once_its_nar_is_here() {
    let scene = Scene::start().await;
    let uploader = Client::with_token(&scene.server, &scene.server.token("upload"));
    let nar = file(b"symbols");
    let archive = xz(&nar);
    assert_eq!(uploader.head(ADDRESS).await.status, 404);
    let unknown = uploader.get(ADDRESS).await.text();
    assert!(unknown.starts_with("no_debug_info: "), "{unknown}");

    let put = uploader.put(ADDRESS, document(&archive, "lib/a.debug")).await;
    assert_eq!((put.status, put.text()), (200, "kept\n".to_owned()));
    let early = uploader.get(ADDRESS).await;
    assert_eq!(early.status, 404);
    assert!(
        early.text().starts_with("no_nar: ") && early.text().contains("never uploaded"),
        "{early:?}"
    );
    assert_eq!(uploader.head(ADDRESS).await.status, 404, "or the client would not send it");

    upload(&uploader, &archive).await;
    let shown = format!(
        r#"{{"archive":"../nar/{}.nar.xz","member":"lib/a.debug"}}"#,
        NarHash::of(&nar).to_nix32()
    );
    for view in ["", "/as/alice", "/signers/1/bob"] {
        for address in [ADDRESS, ADDRESS.trim_end_matches(".debug")] {
            let answer = scene.admin.get(&format!("{view}{address}")).await;
            assert_eq!((answer.status, answer.text()), (200, shown.clone()), "{view}{address}");
            assert_eq!(answer.header("content-type"), "application/json");
        }
        let nar_address = format!("{view}/nar/{}.nar.xz", NarHash::of(&nar).to_nix32());
        assert_eq!(scene.admin.get(&nar_address).await.body, archive);
    }
    assert_eq!(uploader.head(ADDRESS).await.status, 200);
    let scene = scene.restart().await;
    assert_eq!(scene.admin.get(ADDRESS).await.text(), shown);
}

#[tokio::test]
async fn the_first_whose_nar_is_here_stays() {
    let scene = Scene::start().await;
    let [never_sent, first, second] =
        ["never sent", "first", "second"].map(|text| xz(&file(text.as_bytes())));
    let put = async |archive: &[u8], member| {
        scene.admin.put(ADDRESS, document(archive, member)).await.text()
    };
    let member = async || scene.admin.get(ADDRESS).await.json()["member"].clone();
    assert_eq!(put(&never_sent, "never").await, "kept\n");
    assert_eq!(put(&first, "first").await, "kept\n");
    upload(&scene.admin, &first).await;
    assert_eq!(member().await, "first");
    upload(&scene.admin, &second).await;
    for (archive, name) in [(&second, "second"), (&first, "elsewhere"), (&never_sent, "never")] {
        assert_eq!(put(archive, name).await, "the pool knows a NAR that has it\n");
        assert_eq!(member().await, "first");
    }
}

/// Somebody else has sent the NAR in another compression: what is announced is found in that file.
#[tokio::test]
async fn it_is_found_in_the_file_that_the_pool_keeps() {
    let scene = Scene::start().await;
    let nar = file(b"kept as it is");
    scene.admin.upload(&nar, Compression::None, nar.clone()).await;
    let archive = xz(&nar);
    scene.admin.put(ADDRESS, document(&archive, "a")).await;
    upload(&scene.admin, &archive).await;
    let shown = scene.admin.get(ADDRESS).await.json();
    assert_eq!(shown["archive"], format!("../nar/{}.nar", NarHash::of(&nar).to_nix32()));
}
