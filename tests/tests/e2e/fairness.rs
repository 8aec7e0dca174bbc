//! What each may have: limits refuse and let in again when they say, and nobody who takes much holds
//! up the others.

mod limits;
mod shares;

use std::time::Duration;

use schema::hash::NarHash;
use tests::client::{Answer, Client};
use tests::nar;

/// Asks until it is refused with this code, then once more when it is told to come back. Nothing is
/// known of how fast this runs, but that it asks faster than the limit allows.
async fn refused_and_let_in_again(code: &str, mut ask: impl AsyncFnMut() -> Answer) {
    for _ in 0..200 {
        let answer = ask().await;
        if answer.status != 429 {
            assert!(answer.status < 300, "{}", answer.text());
            continue;
        }
        assert!(answer.text().contains(code), "{}", answer.text());
        let seconds = answer.header("retry-after").parse().expect("it says when to come back");
        assert!((1..60).contains(&seconds), "{seconds}");
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let answer = ask().await;
        assert!(answer.status < 300, "after {seconds} s: {}", answer.text());
        return;
    }
    panic!("nothing was ever refused");
}

fn upload_path(nar: &[u8]) -> String {
    format!("/api/v1/nars/{}?compression=none", NarHash::of(nar).to_nix32())
}

/// Uploads a small NAR.
async fn upload(client: &Client, contents: &str) -> Answer {
    let nar = nar::file(contents.as_bytes());
    client.put(&upload_path(&nar), nar).await
}
