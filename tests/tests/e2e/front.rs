//! nginx in front of a pool, as the README sets it up: what it keeps and for how long, what it sends
//! by itself, and what it leaves to the pool.

mod kept;
mod nars;
mod passed;

use reqwest::Method;
use tests::client::{Answer, Client};
use tests::deadline::eventually;
use tests::front::Front;
use tests::lab::{Lab, same_files};
use tests::nix::Version;

/// How an answer came about, by nginx.
const STATUS: &str = "x-cache-status";
/// Bytes of NARs that the pool has sent.
const BYTES_OUT: &str = "narpool_nar_bytes_total{direction=\"out\"}";

tests::with_each_nix!(nix_substitutes_through_it_and_the_pool_sends_no_nar);

async fn nix_substitutes_through_it_and_the_pool_sends_no_nar(version: Version) {
    let lab = Lab::start(version, &[]);
    let front = Front::before(&lab.server);
    let alice = lab.builder("alice", None).await;
    // Pushed through it, too.
    let settings = format!("?compression=zstd&secret-key={}", alice.secret());
    alice.host.copy_to(&front.url(&format!("/as/alice{settings}")), &alice.top).ok();

    let closure = alice.host.closure(&alice.top);
    for (name, view) in [("by-default", ""), ("by-signers", "/signers/1/alice")] {
        let reader = lab.host(name);
        reader.realise(&front.url(view), &[&alice.public], &alice.top).ok();
        for path in &closure {
            assert!(same_files(&alice.host, &reader, path), "{path} is another");
        }
    }
    let sent = lab.admin.metric(BYTES_OUT).await;
    assert!(sent < 0.5, "the pool sent {sent} bytes of NARs");
    // The same count does rise when the pool is asked.
    lab.host("direct").realise(&lab.server.url(""), &[&alice.public], &alice.top).ok();
    assert!(lab.admin.metric(BYTES_OUT).await > 1e5);

    // And what one machine asked is kept for the next.
    let narinfo = format!("/{}.narinfo", tests::lab::hash_part(&alice.top));
    eventually("a narinfo that is kept", async || {
        front.client().get(&narinfo).await.header(STATUS) == "HIT"
    })
    .await;
}

/// `GET` with more headers.
async fn ask(client: &Client, path: &str, headers: &[(&'static str, &str)]) -> Answer {
    let mut request = client.request(Method::GET, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::to(request).await
}
