use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::exit::{self, Exit};

const OK_MISSING: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                          Connection: close\r\nContent-Length: 14\r\n\r\n{\"missing\":[]}";
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nConnection: close\r\n\
                    Content-Length: 0\r\n\r\n";

/// A server that answers the n-th connection with the n-th text, and keeps what it was sent.
struct Scripted {
    server: String,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Scripted {
    async fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            for answer in answers {
                let (stream, _) = listener.accept().await.unwrap();
                let request = exchange(stream, answer.as_bytes()).await;
                seen.lock().unwrap().push(request);
            }
        });
        Self { server, requests }
    }

    fn remote<'a>(&self, patience: Patience, output: &'a Output) -> Remote<'a> {
        let access =
            Access { server: self.server.clone(), token: Some("t0ken".into()), ca_file: None };
        Remote::new(&access, patience, output).unwrap()
    }

    fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|request| String::from_utf8_lossy(request).into_owned()).collect()
    }
}

/// Reads one request to its end, or to that of the connection, and answers it.
async fn exchange(mut stream: TcpStream, answer: &[u8]) -> Vec<u8> {
    let mut request = Vec::new();
    while !is_whole(&request) {
        match stream.read_buf(&mut request).await {
            Ok(read) if read > 0 => {}
            _ => return request,
        }
    }
    stream.write_all(answer).await.unwrap();
    stream.shutdown().await.unwrap();
    request
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    if head.contains("transfer-encoding: chunked") {
        return body.ends_with("0\r\n\r\n");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

fn problem(status: &str, hint: &str) -> String {
    let hint = if hint.is_empty() { String::new() } else { format!(",\"hint\":\"{hint}\"") };
    let body = format!(
        "{{\"type\":\"about:blank\",\"status\":0,\"title\":\"t\",\"code\":\"c\",\
         \"detail\":\"it is wrong\"{hint}}}"
    );
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn quiet() -> Output {
    Output::new(false, true)
}

#[tokio::test]
async fn what_passes_is_tried_again_and_every_byte_is_counted() {
    let scripted = Scripted::start(vec![BUSY.into(), BUSY.into(), OK_MISSING.into()]).await;
    let output = quiet();
    let remote = scripted.remote(Patience::Some, &output);
    assert_eq!(remote.missing(&[NarHash::of(b"")]).await.unwrap(), []);
    let requests = scripted.requests();
    assert_eq!(requests.len(), 3);
    let (head, body) = requests[2].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /api/v1/nars/missing HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer t0ken"), "{head}");
    assert_eq!(remote.bytes_sent(), 3 * body.len() as u64);
}

#[tokio::test]
async fn patience_ends() {
    let scripted = Scripted::start(vec![BUSY.into(); 9]).await;
    let output = quiet();
    let error = scripted.remote(Patience::Some, &output).info().await.unwrap_err();
    assert_eq!((exit::of(&error), scripted.requests().len()), (Exit::CouldNotTell, 5));
    let error = scripted.remote(Patience::None, &output).info().await.unwrap_err();
    assert_eq!((exit::of(&error), scripted.requests().len()), (Exit::CouldNotTell, 6));
}

#[tokio::test]
async fn a_pool_that_asks_for_an_hour_is_down() {
    let answer = BUSY.replace("Retry-After: 0", "Retry-After: 3600");
    let scripted = Scripted::start(vec![answer; 2]).await;
    let output = quiet();
    scripted.remote(Patience::Some, &output).info().await.unwrap_err();
    assert_eq!(scripted.requests().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_told_in_the_pools_words_and_not_repeated() {
    let answers = vec![
        problem("401 Unauthorized", ""),
        problem("422 Unprocessable Content", "rebuild it"),
        problem("507 Insufficient Storage", ""),
        "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://there\r\nConnection: close\r\n\
         Content-Length: 0\r\n\r\n"
            .into(),
    ];
    let scripted = Scripted::start(answers).await;
    let output = quiet();
    let remote = scripted.remote(Patience::Some, &output);
    for (exit, lasts, words, hint) in [
        (Exit::No, false, "it is wrong", Some("pool login")),
        (Exit::No, true, "it is wrong", Some("rebuild it")),
        (Exit::CouldNotTell, false, "it is wrong", None),
        (Exit::CouldNotTell, false, "308", Some("https://there")),
    ] {
        let error = remote.info().await.unwrap_err();
        assert_eq!((exit::of(&error), exit::lasts(&error)), (exit, lasts), "{error:#}");
        assert!(format!("{error:#}").contains(words), "{error:#}");
        let told = exit::hint(&error);
        assert!(hint.is_none_or(|hint| told.is_some_and(|told| told.contains(hint))), "{told:?}");
    }
    assert_eq!(scripted.requests().len(), 4);
}

#[tokio::test]
async fn never_seen_is_an_answer_and_another_404_is_not() {
    let html = "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nConnection: close\r\n\
                Content-Length: 4\r\n\r\nnope";
    let scripted = Scripted::start(vec![problem("404 Not Found", ""), html.into()]).await;
    let output = quiet();
    let remote = scripted.remote(Patience::None, &output);
    let path = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz".parse().unwrap();
    assert_eq!(remote.path_report(path).await.unwrap(), None);
    let error = remote.path_report(path).await.unwrap_err();
    assert!(format!("{error:#}").contains("nope"), "{error:#}");
}

#[tokio::test]
async fn nobody_there_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let output = quiet();
    let access = Access { server: server.clone(), token: None, ca_file: None };
    let remote = Remote::new(&access, Patience::None, &output).unwrap();
    let error = remote.info().await.unwrap_err();
    assert_eq!(exit::of(&error), Exit::CouldNotTell);
    assert!(format!("{error:#}").contains(&server), "{error:#}");
}

#[tokio::test]
async fn a_body_that_is_given_up_never_looks_complete() {
    let scripted = Scripted::start(vec![OK_MISSING.into()]).await;
    let output = quiet();
    let remote = scripted.remote(Patience::None, &output);
    let pieces: Vec<Result<Bytes>> =
        vec![Ok(Bytes::from_static(b"first")), Err(anyhow::anyhow!("the hash is wrong"))];
    let stream = futures_util::stream::iter(pieces);
    let sent = remote.stream_nar(NarHash::of(b""), Compression::None, stream).await;
    assert!(sent.is_err());
    // The request is noted when the server saw the connection end.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while scripted.requests().is_empty() && tokio::time::Instant::now() < deadline {
        tokio::task::yield_now().await;
    }
    let request = &scripted.requests()[0];
    assert!(!request.contains("\r\n0\r\n"), "{request}");
}

#[test]
fn addresses_that_are_none_are_refused() {
    let output = quiet();
    for server in ["", "localhost:8484", "ftp://x", "http://x/?a=b", "http://"] {
        let access = Access { server: server.into(), token: None, ca_file: None };
        let error = Remote::new(&access, Patience::None, &output).err().unwrap();
        assert!(error.to_string().contains("not the address"), "{server}: {error}");
    }
}
