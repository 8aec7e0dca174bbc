use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::routing::get;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::{TempDir, tempdir};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::config::Settings;

const DEADLINE: Duration = Duration::from_secs(20);
pub(super) const TESTDATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/serve/testdata");

/// A server in a runtime of its own, so that clients may block.
pub(super) struct Running {
    runtime: Runtime,
    address: SocketAddr,
    data: TempDir,
    stop: Arc<Notify>,
    done: Option<JoinHandle<Result<(), Error>>>,
}

impl Running {
    pub(super) fn start(settings: &[(&str, &str)], app: Router) -> Self {
        let data = tempdir().unwrap();
        let mut all = Settings::default();
        all.add_flag("data", data.path().to_str().unwrap()).unwrap();
        all.add_flag("listen", "127.0.0.1:0").unwrap();
        for (key, text) in settings {
            all.add_flag(key, text).unwrap();
        }
        let config = all.config().unwrap();
        let runtime = Runtime::new().unwrap();
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let (ready, address) = oneshot::channel();
        let done = runtime.spawn(async move {
            let on_ready = |address| ready.send(address).unwrap();
            let socket = listen(&config)?;
            let stop = async {
                stopped.notified().await;
                Ended::Stopped
            };
            serve_until(&config, &socket, app, &Arc::new(Metrics::install()), on_ready, stop)
                .await
                .map(drop)
        });
        let address = runtime.block_on(address).unwrap();
        Self { runtime, address, data, stop, done: Some(done) }
    }

    pub(super) fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client
    }

    pub(super) fn ask_by_http_1(&self) -> String {
        body_of(&ask(&mut self.connect(), LAST_GET))
    }

    pub(super) fn ask_by_tls(&self) -> String {
        body_of(&ask(&mut self.connect_by_tls(&["http/1.1"]), LAST_GET))
    }

    fn connect_by_tls(&self, protocols: &[&str]) -> StreamOwned<ClientConnection, TcpStream> {
        let cert = format!("{TESTDATA}/localhost.cert.pem");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(cert).unwrap()).unwrap();
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        StreamOwned::new(session, self.connect())
    }

    /// With prior knowledge (RFC 9113, section 3.3), frame by frame.
    pub(super) fn ask_by_http_2(&self) -> String {
        let mut client = self.connect();
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        client.write_all(&frame(4, 0, 0, &[])).unwrap();
        // :method GET, :scheme http, :path / from HPACK's static table, and :authority x.
        client.write_all(&frame(1, 5, 1, &[0x82, 0x86, 0x84, 0x41, 1, b'x'])).unwrap();
        let (mut status, mut body, mut ended) = (None, Vec::new(), false);
        while !ended {
            let mut head = [0; 9];
            client.read_exact(&mut head).unwrap();
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            client.read_exact(&mut payload).unwrap();
            match head[3] {
                0 => body.extend(payload),
                1 => status = payload.first().copied(),
                _ => continue,
            }
            ended = head[4] & 1 == 1;
        }
        assert_eq!(status, Some(0x88), ":status 200 in HPACK's static table");
        String::from_utf8(body).unwrap()
    }

    fn wait(&mut self) -> Result<(), Error> {
        let done = self.done.take().unwrap();
        self.runtime
            .block_on(async { tokio::time::timeout(DEADLINE, done).await })
            .unwrap()
            .unwrap()
    }
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

/// Sends a request and reads until the server closes.
fn ask(client: &mut (impl Read + Write), request: &str) -> String {
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = client.read_to_string(&mut answer);
    answer
}

fn body_of(answer: &str) -> String {
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

const LAST_GET: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[test]
fn http_1_is_answered_and_the_address_is_told() {
    let mut running = Running::start(&[], hello());
    let told = fs::read_to_string(running.data.path().join(ADDRESS_FILE)).unwrap();
    assert_eq!(told, format!("{}\n", running.address));
    assert_eq!(running.ask_by_http_1(), "hello");
    running.stop.notify_one();
    running.wait().unwrap();
    assert!(!running.data.path().join(ADDRESS_FILE).exists());
    assert!(TcpStream::connect(running.address).is_err());
}

#[test]
fn http_2_is_answered_without_an_upgrade() {
    assert_eq!(Running::start(&[], hello()).ask_by_http_2(), "hello");
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).unwrap();
    [&[0, 0, len, kind, flags, 0, 0, 0, stream], payload].concat()
}

#[test]
fn what_is_in_flight_is_finished_and_no_more_is_accepted() {
    let entered = Arc::new(Notify::new());
    let leave = Arc::new(Notify::new());
    let (inner_entered, inner_leave) = (Arc::clone(&entered), Arc::clone(&leave));
    let slow = move || {
        let (entered, leave) = (Arc::clone(&inner_entered), Arc::clone(&inner_leave));
        async move {
            entered.notify_one();
            leave.notified().await;
            "finished"
        }
    };
    let mut running = Running::start(&[], Router::new().route("/", get(slow)));
    let mut idle = running.connect();
    let mut client = running.connect();
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    running.runtime.block_on(entered.notified());
    running.stop.notify_one();
    let deadline = Instant::now() + DEADLINE;
    while TcpStream::connect(running.address).is_ok() {
        assert!(Instant::now() < deadline, "still accepting");
        std::thread::yield_now();
    }
    assert_eq!(idle.read(&mut [0]).unwrap(), 0, "an idle connection is closed");
    leave.notify_one();
    let answer = ask(&mut client, "");
    assert!(answer.ends_with("finished"), "{answer}");
    running.wait().unwrap();
}

#[test]
fn what_does_not_finish_in_time_is_cut() {
    let never = || async { std::future::pending::<&str>().await };
    let app = Router::new().route("/", get(never));
    let mut running = Running::start(&[("drain-timeout", "50ms")], app);
    let mut client = running.connect();
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    running.stop.notify_one();
    running.wait().unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn slow_and_large_headers_are_refused() {
    let running = Running::start(&[("header-timeout", "100ms")], hello());
    for sent in ["", "PRI * HT", "GET / HTTP/1.1\r\nx: "] {
        let mut client = running.connect();
        client.write_all(sent.as_bytes()).unwrap();
        let start = Instant::now();
        let read = client.read(&mut [0]);
        assert!(matches!(read, Ok(0)), "{sent:?}: {read:?} after {:?}", start.elapsed());
    }
    let request = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(BUFFER_LEN));
    let answer = ask(&mut running.connect(), &request);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[test]
fn connections_beyond_the_limit_wait_for_a_free_one() {
    let running = Running::start(&[("max-connections", "1")], hello());
    let mut first = running.connect();
    first.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert!(first.read(&mut [0; 512]).unwrap() > 0);
    let mut second = running.connect();
    second.write_all(LAST_GET.as_bytes()).unwrap();
    second.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(second.read(&mut [0]).is_err(), "answered beside the first");
    drop(first);
    second.set_read_timeout(Some(DEADLINE)).unwrap();
    assert!(ask(&mut second, "").ends_with("hello"));
}

#[test]
fn a_client_that_takes_nothing_is_given_up() {
    let endless = || async { vec![0_u8; 64 << 20] };
    let app = Router::new().route("/", get(endless));
    let running = Running::start(&[("body-idle-timeout", "100ms"), ("max-connections", "1")], app);
    let mut greedy = running.connect();
    greedy.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    // The only slot is free again once the first connection was given up.
    let mut next = running.connect();
    next.write_all(LAST_GET.as_bytes()).unwrap();
    assert!(next.read(&mut [0]).unwrap() > 0);
}

#[test]
fn tls_is_spoken_and_a_wrong_certificate_is_told() {
    let cert = format!("{TESTDATA}/localhost.cert.pem");
    let key = format!("{TESTDATA}/localhost.key.pem");
    let running = Running::start(&[("tls-cert", &cert), ("tls-key", &key)], hello());
    assert_eq!(running.ask_by_tls(), "hello");
    let mut client = running.connect_by_tls(&["h2", "http/1.1"]);
    client.conn.complete_io(&mut client.sock).unwrap();
    assert_eq!(client.conn.alpn_protocol(), Some(&b"h2"[..]));
    let swapped = tls::Identity::load(key.as_ref(), cert.as_ref()).map(drop).unwrap_err();
    let told = swapped.to_string();
    assert!(told.contains("no certificate is in it\nhint: tls-cert"), "{told}");
}

#[test]
fn an_address_in_use_is_told_with_a_remedy() {
    let running = Running::start(&[], hello());
    let mut settings = Settings::default();
    settings.add_flag("listen", &running.address.to_string()).unwrap();
    let config = settings.config().unwrap();
    let failed = listen(&config).unwrap_err().to_string();
    assert!(failed.starts_with(&format!("cannot listen on {}: ", running.address)), "{failed}");
    assert!(failed.contains("hint: --listen"), "{failed}");
}
