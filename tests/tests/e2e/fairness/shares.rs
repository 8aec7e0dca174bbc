//! Slots are few, and shared.

use std::time::{Duration, Instant};

use tests::client::Client;
use tests::deadline::eventually;
use tests::nar;
use tests::server::Server;
use tests::wire::{Request, Wire};

use super::{upload, upload_path};

/// An upload that sends nothing but its header.
fn stuck(server: &Server, token: &str) -> Wire {
    let nar = nar::file(b"never sent");
    let request = Request::new("PUT", &upload_path(&nar)).token(token).announcing(nar.len());
    let mut wire = Wire::open(server.address());
    wire.send(&request.to_bytes());
    wire
}

#[tokio::test]
async fn a_flood_of_slow_uploads_does_not_hold_up_anothers() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--max-uploads", "4", "--body-idle-timeout", "10m"]);
    let [greedy, modest] = [(); 2].map(|()| server.token("upload"));
    let mut flood: Vec<Wire> = (0..12).map(|_| stuck(&server, &greedy)).collect();
    let admin = Client::admin(&server);
    eventually("as many slow uploads as one may have", async || {
        admin.metric("narpool_uploads_in_flight").await > 2.5
    })
    .await;
    let modest = Client::with_token(&server, &modest);
    for at in 0..5 {
        assert_eq!(upload(&modest, &format!("{at}")).await.status, 200);
    }
    assert!((admin.metric("narpool_uploads_in_flight").await - 3.0).abs() < f64::EPSILON);
    for wire in &mut flood {
        assert!(!wire.hears_within(Duration::from_millis(1)), "none of them was given up");
    }
}

#[tokio::test]
async fn idle_connections_do_not_shut_out_another_address() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--max-connections", "8", "--header-timeout", "10m"]);
    let idle: Vec<Wire> = (0..20).map(|_| Wire::open(server.address())).collect();
    let elsewhere = Client::from_address(&server, "127.0.0.2".parse().unwrap());
    eventually("those beyond its share are closed", async || {
        let refused = elsewhere.metric("narpool_connections_refused_total").await;
        (refused - 14.0).abs() < f64::EPSILON
    })
    .await;
    let closed = idle.into_iter().map(|mut wire| wire.hears_within(Duration::from_millis(1)));
    assert_eq!(closed.filter(|closed| *closed).count(), 14);
    eventually("its share is free again", async || {
        let one = Client::new(&server).request(reqwest::Method::GET, "/healthz").send().await;
        one.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_front_may_have_every_connection() {
    let dir = tempfile::tempdir().unwrap();
    let server =
        Server::start(dir.path(), &["--max-connections", "8", "--fronts", "::1,127.0.0.1"]);
    let wires: Vec<Wire> = (0..8)
        .map(|_| {
            let mut wire = Wire::open(server.address());
            wire.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
            wire
        })
        .collect();
    for mut wire in wires {
        assert!(wire.hears_within(Duration::from_secs(20)));
    }
}

#[test]
fn an_upload_that_trickles_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--body-idle-timeout", "2s"]);
    let nar = nar::file(&nar::noise(1, 1 << 20));
    let request = Request::new("PUT", &upload_path(&nar));
    let request = request.token(&server.token("upload")).announcing(nar.len());
    let mut wire = Wire::open(server.address());
    wire.send(&request.to_bytes());
    let start = Instant::now();
    for byte in &nar {
        if wire.hears_within(Duration::from_millis(100)) {
            break;
        }
        wire.send(&[*byte]);
        assert!(start.elapsed() < Duration::from_secs(40), "the pool waits on");
    }
    let reply = wire.reply();
    assert_eq!((reply.status, &*reply.code()), (408, "upload_stalled"), "{reply:?}");
}
