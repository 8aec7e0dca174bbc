//! A source that does as it is told, with bytes and with faults.

use std::sync::{Arc, Mutex};

use schema::api::FileReport;
use schema::claim::Claim;
use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::credentials::Access;
use crate::judge::Allowed;
use crate::output::Output;

/// What a source does once it was asked.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Sends a file.
    File(Vec<u8>),
    /// Announces so many bytes, sends these, and closes the connection.
    Cut(usize, Vec<u8>),
    /// Announces so many bytes, sends these, and nothing more.
    Stall(usize, Vec<u8>),
    /// Sends a file when it is let.
    Later(Arc<Semaphore>, Vec<u8>),
    /// Sends these bytes again and again.
    Endless(Vec<u8>),
    /// Sends an empty answer with this status line and header.
    Head(&'static str),
    /// With this status line and headers announces so many bytes, if any, sends these, and closes the
    /// connection.
    Headed(String, Option<usize>, Vec<u8>),
}

/// What a source is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// For what; with the method before it, if that is another than GET.
    pub(crate) path: String,
    /// From which byte on, and if which file is still there.
    pub(crate) from: Option<usize>,
    pub(crate) if_range: Option<String>,
    /// Whether with a token.
    pub(crate) token: bool,
}

impl Asked {
    fn read(request: &str) -> Self {
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let header = |name: &str| {
            let named = |line: &str| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then(|| value.to_owned())
            };
            request.lines().find_map(named)
        };
        let from = header("range").map(|range| {
            range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap()
        });
        Self {
            path: if method == "GET" { path.to_owned() } else { format!("{method} {path}") },
            from,
            if_range: header("if-range"),
            token: header("authorization").is_some(),
        }
    }
}

/// A server that answers each request as its script says.
pub(crate) struct Scripted {
    pub(crate) access: Access,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    pub(crate) async fn start(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::answering(move |asked| script(&asked.path)).await
    }

    /// One whose script looks at more than the path.
    pub(crate) async fn answering(
        script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (seen, script) = (Arc::clone(&asked), Arc::new(script));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
                tokio::spawn(async move {
                    // Whoever asks may be gone before the end.
                    let _ = serve(stream, &seen, &*script).await;
                });
            }
        });
        Self { access: Access { server, token: Some("t0ken".into()), ca_file: None }, asked }
    }

    /// One that sends the same to everybody.
    pub(crate) async fn with(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    /// What it was asked for, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked_all().into_iter().map(|asked| asked.path).collect()
    }

    /// The same in full.
    pub(crate) fn asked_all(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Asked>>,
    script: &(dyn Fn(&Asked) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let request = String::from_utf8(request).unwrap();
    let asked = Asked::read(&request);
    seen.lock().unwrap().push(asked.clone());
    let head = |len: usize| {
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n")
    };
    let (len, bytes) = match script(&asked) {
        Reply::File(file) => (file.len(), file),
        Reply::Cut(len, bytes) => (len, bytes),
        Reply::Stall(len, bytes) => {
            stream.write_all(head(len).as_bytes()).await?;
            stream.write_all(&bytes).await?;
            // Until whoever asks gives up.
            stream.read_u8().await?;
            return Ok(());
        }
        Reply::Later(gate, file) => {
            gate.acquire().await.unwrap().forget();
            (file.len(), file)
        }
        Reply::Endless(bytes) => {
            stream.write_all(head(1 << 40).as_bytes()).await?;
            loop {
                stream.write_all(&bytes).await?;
            }
        }
        Reply::Head(text) => {
            let answer =
                format!("HTTP/1.1 {text}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            return stream.write_all(answer.as_bytes()).await;
        }
        Reply::Headed(head, len, bytes) => {
            let len = len.map(|len| format!("Content-Length: {len}\r\n")).unwrap_or_default();
            let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\n{len}\r\n");
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&bytes).await?;
            return stream.shutdown().await;
        }
    };
    stream.write_all(head(len).as_bytes()).await?;
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}

/// An address where nobody listens.
pub(crate) async fn nobody() -> Access {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    Access { server, token: None, ca_file: None }
}

/// A path that is allowed to have this NAR, of which these pools say that they have it.
pub(crate) fn allowed(name: &str, nar: &[u8], pools: &[(usize, Compression)]) -> Allowed {
    let path = format!("/nix/store/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-{name}");
    let size = nar.len() as u64;
    let claim = Claim::new(path.parse().unwrap(), NarHash::of(nar), size, vec![]).unwrap();
    let files = pools.iter().map(|(pool, compression)| {
        let url = format!("nar/{name}{}", compression.suffix());
        let file_hash = FileHash::of(b"nobody looks at it");
        (*pool, FileReport { url, compression: *compression, file_hash, file_size: 1000 })
    });
    Allowed { claim: Arc::new(claim), content_address: None, files: files.collect() }
}

/// Bytes that do not pack well, each seed others.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Says nothing.
pub(crate) fn quiet() -> &'static Output {
    Box::leak(Box::new(Output::new(false, true)))
}
