//! NARs that come when they are asked for.

use std::fs;
use std::process::{Child, Stdio};

use schema::hash::NarHash;
use tests::client::Client;
use tests::deadline::eventually;
use tests::nar::unpack;

use super::super::scene::{Pool, nar, store_path};
use super::original;

/// A `pool mirror` that goes on until it is dropped.
struct Pulling(Child);

impl Pulling {
    /// Starts it, and waits until it listens.
    async fn start(from: &Pool, to: &Pool) -> Self {
        let from = from.url();
        let mut command = to.cli().command(&["mirror", "--follow", "--pull", "--from", &from]);
        let log = fs::File::create(to.dir.path().join("mirror.log")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let client = to.admin();
        let listens = r#"narpool_requests_total{route="/api/v1/nars/wishes",status="2xx"}"#;
        eventually("somebody listens", async || client.metric(listens).await >= 1.0).await;
        let part = store_path(13).base().hash_part();
        eventually("the ledger is there", async || {
            client.get(&format!("/{part}.narinfo")).await.status == 200
        })
        .await;
        Self(child)
    }
}

impl Drop for Pulling {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn address(number: u64) -> String {
    format!("/nar/{}.nar.zst", NarHash::of(&nar(number)).to_nix32())
}

const SERVED: &str = r#"narpool_nar_bytes_total{direction="out"}"#;
const STORED: &str = r#"narpool_nars_received_total{result="stored"}"#;

#[tokio::test]
async fn a_nar_is_sent_on_while_it_is_stored_and_fetched_once() {
    let (a, b) = (original().await, Pool::start(&["--absent-nars", "pull"]));
    let pulling = Pulling::start(&a, &b).await;
    let (admin, client) = (b.admin(), Client::new(b.server()));
    assert!(admin.metric(STORED).await < 0.5, "nothing comes ahead");
    // A large one, and a small one that fits in one piece; many ask at once.
    for number in [6, 2] {
        let address = address(number);
        let asked = (0..4).map(|_| client.get(&address));
        for answer in futures_util::future::join_all(asked).await {
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(unpack(&answer.body).unwrap(), nar(number));
        }
    }
    eventually("they are kept", async || admin.metric(STORED).await > 1.5).await;
    let before = a.admin().metric(SERVED).await;
    assert_eq!(unpack(&client.get(&address(6)).await.body).unwrap(), nar(6));
    assert!((a.admin().metric(SERVED).await - before).abs() < 0.5, "it was here");
    // Nobody brings anything now: askers are sent to where it is.
    drop(pulling);
    let gone = async || client.get(&address(9)).await.status == 307;
    eventually("the listener's end is noticed", gone).await;
}

#[tokio::test]
async fn wrong_bytes_never_come_whole() {
    let (a, b) = (original().await, Pool::start(&["--absent-nars", "pull"]));
    // A's disk is bad, and its file is not what it was.
    let hash = NarHash::of(&nar(6)).to_nix32();
    let name = fs::read_dir(a.dir.path().join("blobs/nar")).unwrap();
    let mut files = name.map(|entry| entry.unwrap().path());
    let file = files.find(|file| file.to_str().unwrap().contains(&hash)).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let _pulling = Pulling::start(&a, &b).await;
    let response = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = response.get(format!("{}{}", b.url(), address(6))).send().await.unwrap();
    // Either it breaks off, or it never begins and the asker is sent to A, who is to blame.
    let from = response.url().to_string();
    let body = response.bytes().await;
    assert!(body.is_err() || from.starts_with(&a.url()), "{from}");
    assert!(b.admin().metric(STORED).await < 0.5);
}
