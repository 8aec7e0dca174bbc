//! Guix writes up to a thousand requests at once, and reads the answers in order.

use std::fmt::Write;

use tests::nar::{attestation, file, guix_path};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::views::Scene;

const REQUESTS: usize = 1000;

#[tokio::test]
async fn a_thousand_requests_in_one_write_are_answered_in_order_on_one_connection() {
    let scene = Scene::start(&[]).await;
    let nar = file(b"x");
    let items: Vec<_> =
        (0..REQUESTS).map(|n| guix_path(&n.to_string(), &format!("item-{n}"))).collect();
    // Every third is not there.
    let there = |n: &usize| !n.is_multiple_of(3);
    let attested = (0..REQUESTS).filter(there);
    let attested = attested.map(|n| attestation(&scene.gina, &items[n], &nar, &[])).collect();
    scene.admin.push(&scene.gina, &items[1], &nar, &[]).await;
    assert_eq!(scene.admin.attest(attested).await.status, 200);

    let mut requests = String::new();
    for item in &items {
        let part = item.base().hash_part();
        let _ = write!(
            requests,
            "GET /gnu/as/gina/{part}.narinfo HTTP/1.1\r\nHost: pool\r\nConnection: keep-alive\r\n\r\n"
        );
    }
    let mut stream = TcpStream::connect(scene.server.address()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let writing = async {
        write.write_all(requests.as_bytes()).await.unwrap();
    };
    let reading = async {
        let mut answers = Answers { stream: &mut read, buffer: Vec::new() };
        for (n, item) in items.iter().enumerate() {
            let (head, body) = answers.next().await;
            let status = if there(&n) { "HTTP/1.1 200" } else { "HTTP/1.1 404" };
            assert!(head.starts_with(status), "{n}: {head}");
            assert!(!head.to_lowercase().contains("connection: close"), "{n}: {head}");
            let (path, part) = (item.to_string(), item.base().hash_part().to_string());
            let about = if there(&n) { path } else { part };
            assert!(body.contains(&about), "{n}: {body}");
        }
    };
    tokio::join!(writing, reading);
}

/// Answers as they come, one after the other.
struct Answers<'s, S> {
    stream: &'s mut S,
    buffer: Vec<u8>,
}

impl<S: AsyncReadExt + Unpin> Answers<'_, S> {
    async fn next(&mut self) -> (String, String) {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await;
        };
        let head = String::from_utf8(self.buffer[..end].to_vec()).unwrap();
        let length = head.to_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
        let whole = end + length.unwrap().parse::<usize>().unwrap();
        while self.buffer.len() < whole {
            self.more().await;
        }
        let body = String::from_utf8(self.buffer[end..whole].to_vec()).unwrap();
        self.buffer.drain(..whole);
        (head, body)
    }

    async fn more(&mut self) {
        let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
        assert!(read > 0, "the connection was closed");
    }
}
