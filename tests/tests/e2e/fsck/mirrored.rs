//! What is damaged at a mirror comes again from where it came.

use std::fs;

use tests::cli::Cli;
use tests::client::Client;

use super::damage::flip;
use super::scene::{Scene, fsck, is_clean, start};

#[tokio::test]
async fn a_mirror_brings_damaged_nars_again() {
    let scene = Scene::new().await;
    let source = start(&scene.whole()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("mirror");
    let mirror = |arguments: &[&str]| {
        let server = start(&data).unwrap();
        let cli = Cli::new(dir.path(), &server, &server.admin_token());
        let url = source.url("");
        let all = [&["mirror", "--json", "--from", &url], arguments].concat();
        let report: serde_json::Value = serde_json::from_str(&cli.run(&all).ok()).unwrap();
        (server, report)
    };
    let (server, _) = mirror(&[]);
    server.stop();
    is_clean(&data);
    let mut files: Vec<_> =
        fs::read_dir(data.join("blobs/nar")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    flip(&files[1], 30, 1);
    fs::remove_file(&files[3]).unwrap();
    fs::File::options().write(true).open(&files[5]).unwrap().set_len(20).unwrap();
    let found = fsck(&data, &["--deep", "--repair"]);
    assert_eq!((found.code, found.findings.len()), (1, 3), "{found:?}");
    assert_eq!(found.summary["waiting"].as_array().unwrap().len(), 3, "{found:?}");
    let (server, report) = mirror(&[]);
    assert_eq!(report["nars_fetched"], 3, "{report}");
    let client = Client::new(&server);
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let (one, other) = (client.get(&format!("/nar/{name}")).await, Client::new(&source));
        assert_eq!(one.status, 200, "{name}");
        assert_eq!(one.body, other.get(&format!("/nar/{name}")).await.body, "{name}");
    }
    server.stop();
    is_clean(&data);
}
