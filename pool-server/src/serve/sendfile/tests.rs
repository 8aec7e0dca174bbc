use std::io::{Read, Write};
use std::path::PathBuf;

use axum::Router;
use axum::extract::{Path, Request};
use axum::response::Response;
use axum::routing::get;
use tempfile::{TempDir, tempdir};

use super::super::tests::{Running, TESTDATA};
use super::*;

/// More than three runs, and not a round number of them.
const LEN: usize = 3 * RUN + 12_345;

/// A directory with one file of bytes that differ from place to place.
fn scratch() -> (TempDir, PathBuf, Vec<u8>) {
    let dir = tempdir().unwrap();
    let path = dir.path().join("file");
    let bytes: Vec<u8> = (0..LEN as u32 / 4 + 1).flat_map(u32::to_le_bytes).take(LEN).collect();
    std::fs::write(&path, &bytes).unwrap();
    (dir, path, bytes)
}

/// Answers `/START/END` with that part of the file, by sendfile only.
fn app(path: PathBuf) -> Router {
    let part = move |Path((start, end)): Path<(u64, u64)>, request: Request| async move {
        let outlet = request.extensions().get::<Outlet>().expect("an outlet");
        let file = Arc::new(File::open(path).unwrap());
        Response::new(axum::body::Body::new(outlet.body(file, start, end)))
    };
    Router::new().route("/{start}/{end}", get(part))
}

fn request(start: usize, end: usize) -> String {
    format!("GET /{start}/{end} HTTP/1.1\r\nhost: x\r\n\r\n")
}

/// Reads one answer of known length; its header is dropped.
fn read_body(client: &mut impl Read, len: usize) -> Vec<u8> {
    let mut header = Vec::new();
    while !header.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        header.push(byte[0]);
    }
    let header = String::from_utf8(header).unwrap();
    assert!(header.starts_with("HTTP/1.1 200 OK\r\n"), "{header}");
    assert!(header.contains(&format!("content-length: {len}\r\n")), "{header}");
    let mut body = vec![0; len];
    client.read_exact(&mut body).unwrap();
    body
}

#[test]
fn parts_of_a_file_arrive_one_after_another() {
    let (_dir, path, bytes) = scratch();
    let running = Running::start(&[], app(path));
    let mut client = running.connect();
    for (start, end) in [(0, LEN), (1, 2), (RUN - 1, 2 * RUN + 1), (LEN - 7, LEN), (5, RUN)] {
        client.write_all(request(start, end).as_bytes()).unwrap();
        assert!(read_body(&mut client, end - start) == bytes[start..end], "{start}..{end}");
    }
}

#[test]
fn requests_that_are_sent_ahead_get_their_own_parts() {
    let (_dir, path, bytes) = scratch();
    let running = Running::start(&[], app(path));
    let mut client = running.connect();
    let parts = [(0, 10), (10, LEN), (LEN - 10, LEN), (7, RUN + 7), (0, 1)];
    let ahead: String = parts.iter().map(|(start, end)| request(*start, *end)).collect();
    client.write_all(ahead.as_bytes()).unwrap();
    for (start, end) in parts {
        assert!(read_body(&mut client, end - start) == bytes[start..end], "{start}..{end}");
    }
}

#[test]
fn a_file_that_shrinks_breaks_the_answer() {
    let (_dir, path, bytes) = scratch();
    let running = Running::start(&[], app(path.clone()));
    std::fs::write(&path, &bytes[..1000]).unwrap();
    let mut client = running.connect();
    client.write_all(request(0, LEN).as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer);
    assert!(answer.len() < 2000, "{} bytes", answer.len());
}

#[test]
fn blanks_are_never_sent() {
    let unannounced = || async { Bytes::from_static(&BLANKS[..100]) };
    let running = Running::start(&[], Router::new().route("/", get(unannounced)));
    let mut client = running.connect();
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer);
    assert!(!answer.contains(&0), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn only_http_1_without_tls_has_an_outlet() {
    let has = |request: Request| async move {
        if request.extensions().get::<Outlet>().is_some() { "yes" } else { "no" }
    };
    let app = || Router::new().route("/", get(has));
    let plain = Running::start(&[], app());
    assert_eq!(plain.ask_by_http_1(), "yes");
    assert_eq!(plain.ask_by_http_2(), "no");
    let (cert, key) =
        (format!("{TESTDATA}/localhost.cert.pem"), format!("{TESTDATA}/localhost.key.pem"));
    let tls = Running::start(&[("tls-cert", &cert), ("tls-key", &key)], app());
    assert_eq!(tls.ask_by_tls(), "no");
}
