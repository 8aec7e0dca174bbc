//! Damage that is met while the pool is served.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;

use schema::hash::NarHash;
use tempfile::TempDir;
use tests::client::{Answer, Client};
use tests::deadline::{eventually, wait_for};
use tests::server::Server;

use super::damage::flip;
use super::scene::{NARS, Scene, command, fsck, hash, hash_part, is_clean, start, upload};

/// A number whose NAR is large.
const LARGE: u64 = 7;

fn file_of(scene: &Scene, copy: &TempDir, number: u64) -> PathBuf {
    copy.path().join("blobs").join(scene.truth.nar_of(number).strip_prefix('/').unwrap())
}

async fn is_missing(client: &Client, nar_hash: NarHash) -> bool {
    let asked = serde_json::json!({ "nar_hashes": [nar_hash] });
    let request = client.request(reqwest::Method::POST, "/api/v1/nars/missing").json(&asked);
    let answer = Answer::to(request).await.json();
    answer["missing"].as_array().is_some_and(|missing| !missing.is_empty())
}

/// That the NAR of a path is not served, said to be damaged, kept aside, and asked for; and that it is
/// as it was once it has come again.
async fn comes_again(scene: &Scene, server: &Server, number: u64) {
    let (admin, client) = (Client::admin(server), Client::new(server));
    eventually("the damaged NAR is asked for", async || is_missing(&admin, hash(number)).await)
        .await;
    let answer = client.get(&scene.truth.nar_of(number)).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert!(answer.text().contains("nar_damaged"), "{}", answer.text());
    let answer = client.get(&format!("/{}.narinfo", hash_part(number))).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert!(answer.text().contains("damaged"), "{}", answer.text());
    let ready = client.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert!(ready.text().contains("1 NARs wait to be brought again"), "{}", ready.text());
    assert_eq!(client.metric("narpool_scrub_damaged_total").await, 1.0);
    upload(&admin, number).await;
    scene.truth.is_whole(&client).await;
    assert!(!client.get("/readyz").await.text().contains("damaged"));
}

#[tokio::test]
async fn a_nar_whose_file_is_short_or_gone_is_not_served() {
    let scene = Scene::new().await;
    for gone in [true, false] {
        let copy = scene.copy();
        let server = start(copy.path()).unwrap();
        let file = file_of(&scene, &copy, LARGE);
        let client = Client::new(&server);
        assert_eq!(client.get(&scene.truth.nar_of(LARGE)).await.status, 200);
        if gone {
            fs::remove_file(&file).unwrap();
        } else {
            File::options().write(true).open(&file).unwrap().set_len(400_000).unwrap();
        }
        let answer = client.get(&scene.truth.nar_of(LARGE)).await;
        assert_eq!(answer.status, 404, "{}", answer.text());
        comes_again(&scene, &server, LARGE).await;
        let kept = fs::read_dir(copy.path().join("blobs/quarantine")).unwrap().count();
        assert_eq!(kept, usize::from(!gone));
        server.stop();
        is_clean(copy.path());
    }
}

#[tokio::test]
async fn damage_that_nobody_sees_is_found_in_the_background() {
    let scene = Scene::new().await;
    let copy = scene.copy();
    flip(&file_of(&scene, &copy, LARGE), 1000, 1);
    let server = Server::start(copy.path(), &["--scrub-interval", "1d"]);
    let client = Client::new(&server);
    let last = "narpool_scrub_last_pass_timestamp_seconds";
    eventually("a pass is through", async || client.metric(last).await > 0.0).await;
    assert_eq!(client.metric("narpool_scrub_nars_total").await, NARS as f64);
    assert!(client.metric("narpool_scrub_bytes_total").await > 1e6);
    assert_eq!(client.metric("narpool_scrub_findings_total").await, 0.0);
    comes_again(&scene, &server, LARGE).await;
    server.stop();
    is_clean(copy.path());
}

#[tokio::test]
async fn a_long_search_goes_on_where_it_was_killed() {
    let scene = Scene::new().await;
    let copy = scene.copy();
    let index = copy.path().join("index");
    let written = || {
        let files = fs::read_dir(&index).unwrap().map(|entry| entry.unwrap().path());
        let is_written = |path: &PathBuf| fs::metadata(path).is_ok_and(|it| it.len() > 0);
        let logs = files.filter(|path| path.extension().is_some_and(|it| it == "log"));
        logs.filter(is_written).collect::<BTreeSet<_>>()
    };
    // Opened once more the database begins another log; the first that the search writes to it is
    // how far it has come.
    let before = written();
    let mut child = command(copy.path(), &["--deep", "--rate", "300KiB"]).spawn().unwrap();
    wait_for("the search notes how far it has come", || {
        written().iter().any(|log| !before.contains(log)).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let found = fsck(copy.path(), &["--deep"]);
    assert_eq!(found.code, 0, "{found:?}");
    assert!(found.summary["resumed_after"].is_string(), "{found:?}");
    assert!(found.summary["nars_read"].as_u64().unwrap() < NARS, "{found:?}");
    let found = fsck(copy.path(), &["--deep"]);
    assert_eq!(found.summary["nars_read"], NARS, "{found:?}");
}
