//! Clients that begin and do not go on.

use std::time::{Duration, Instant};

use schema::hash::NarHash;
use tests::nar;
use tests::wire::{Reply, Request, Wire};

use super::Target;

const LIMITS: [&str; 6] =
    ["--header-timeout", "1s", "--body-idle-timeout", "1s", "--request-timeout", "3s"];

/// What a pool says to somebody who sends this and then waits.
fn answer_to(target: &Target, bytes: &[u8]) -> Reply {
    let mut wire = Wire::open(target.server.address());
    wire.send(bytes);
    wire.reply()
}

#[test]
fn headers_that_stop_end_the_connection() {
    let target = Target::start(&LIMITS);
    let before = target.kept();
    for bytes in
        ["", "GET", "GET / HTTP/1.1\r\nhost: x\r\n", "GET / HTTP/1.1\r\nhost: x\r\nx-long: aaaa"]
    {
        let start = Instant::now();
        let reply = answer_to(&target, bytes.as_bytes());
        assert!(matches!(reply.status, 0 | 408), "{bytes:?}: {reply:?}");
        assert!(start.elapsed() < Duration::from_secs(20), "{bytes:?} took {:?}", start.elapsed());
    }
    assert_eq!(target.kept(), before);
}

#[test]
fn bodies_that_stop_are_refused() {
    let target = Target::start(&LIMITS);
    let nar = nar::file(&nar::noise(3, 20 << 20));
    let (path, small) = (nar::path("slow", "slow"), nar::file(b"slow"));
    let upload = format!("/api/v1/nars/{}?compression=none", NarHash::of(&nar).to_nix32());
    let batch = |body: &[u8]| target.post("/api/v1/nars", body).announcing(1000);
    let narinfo = target.narinfo(&path, &small, &[]).print_nix();
    let before = target.kept();
    for (request, code) in [
        (target.put(&upload, &nar[..100]).announcing(nar.len()), "upload_stalled"),
        (target.put(&upload, &nar[..10 << 20]).announcing(nar.len()), "upload_stalled"),
        (target.put(&upload, "").announcing(nar.len()), "upload_stalled"),
        (batch(b"x"), "request_stalled"),
        (target.post("/api/v1/attestations", "{").announcing(1000), "request_stalled"),
        (
            target.put(&format!("/{}.narinfo", path.base().hash_part()), narinfo).announcing(9999),
            "request_stalled",
        ),
    ] {
        let reply = answer_to(&target, &request.to_bytes());
        assert_eq!((reply.status, &*reply.code()), (SLOW, code), "{reply:?}");
        assert_eq!(target.kept(), before);
    }
}

/// What a body that does not go on is answered with.
const SLOW: u16 = 408;

#[test]
fn a_body_that_trickles_is_not_waited_for_without_end() {
    // So that its pauses are forgiven.
    let target = Target::start(&[&LIMITS[..], &["--min-body-rate", "1"]].concat());
    let mut wire = Wire::open(target.server.address());
    wire.send(&target.post("/api/v1/attestations", "{").announcing(100_000).to_bytes());
    let start = Instant::now();
    while !wire.hears_within(Duration::from_millis(300)) {
        wire.send(b" ");
        assert!(start.elapsed() < Duration::from_secs(20), "the pool waits on");
    }
    let reply = wire.reply();
    assert_eq!((reply.status, &*reply.code()), (SLOW, "request_too_slow"), "{reply:?}");
}

#[test]
fn a_slow_client_does_not_hold_up_others() {
    let target = Target::start(&["--max-uploads", "2", "--body-idle-timeout", "2s"]);
    let nar = nar::file(b"quick");
    let address = format!("/api/v1/nars/{}?compression=none", NarHash::of(&nar).to_nix32());
    let slow = target.put(&address, "").announcing(nar.len()).to_bytes();
    let waiting: Vec<Wire> = (0..3)
        .map(|_| {
            let mut wire = Wire::open(target.server.address());
            wire.send(&slow);
            wire
        })
        .collect();
    assert_eq!(
        Reply::to(target.server.address(), &Request::new("GET", "/nix-cache-info")).status,
        200
    );
    target.must_take(&target.put(&address, nar));
    for wire in waiting {
        assert_eq!(wire.reply().code(), "upload_stalled");
    }
}
