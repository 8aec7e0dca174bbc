//! A clock that is set wrong while the pool runs.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Method;
use schema::api::{GcRequest, PathReport};
use serde_json::from_value;
use tests::client::{Answer, Client};
use tests::faults::Faults;
use tests::server::Server;

use super::load::{Owed, Piece, read_one, signer};

const YEAR: i64 = 365 * 24 * 3600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_is_neither_written_down_nor_collected_by() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::under(dir.path());
    let server = Server::start_with(&faults, dir.path(), &["--collect-after", "1d"]);
    let (client, owed) = (Client::admin(&server), Owed::default());
    client.enrol(&signer().public()).await;
    let mut pieces = Vec::new();
    for (name, ahead) in [("now", 0), ("far ahead", 74 * YEAR), ("behind", -YEAR), ("again", 0)] {
        faults.set_clock(ahead);
        let piece = Piece::new(name, 2000);
        owed.push(&client, &piece).await.unwrap();
        pieces.push(piece);
        let collected = collect(&client).await;
        let ready = client.get("/readyz").await.text();
        if ahead == 0 {
            assert_eq!((collected.status, &*ready), (200, "ready\n"), "{}", collected.text());
        } else {
            let problem = collected.json();
            assert_eq!((collected.status, &problem["code"]), (503, &"clock_doubtful".into()));
            assert!(ready.contains("degraded: not now: the clock was set"), "{ready}");
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for piece in pieces {
        read_one(&client, &piece.path, &piece.nar_hash()).await;
        let report = client.get(&format!("/api/v1/paths/{}", piece.path.base().hash_part())).await;
        let report: PathReport = from_value(report.json()).unwrap();
        let logged_at = report.claims[0].attestations[0].logged_at;
        assert!(logged_at.abs_diff(now) < 600, "{} was logged at {logged_at}", piece.path);
    }
    server.stop();
}

async fn collect(client: &Client) -> Answer {
    let request = GcRequest { dry_run: false };
    Answer::to(client.request(Method::POST, "/api/v1/gc").json(&request)).await
}
