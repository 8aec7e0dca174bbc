//! The operator's door: a socket in the data directory, for commands that work on a pool while its
//! server runs.
//!
//! Whoever may open the socket owns the directory, and so the keys in it: no token could prove more.
//! A connection carries one [`Request`], a line of JSON, and then [`Line`]s in answer, of which the
//! last says how it ended. Who hangs up wants no more of it: what was begun is given up.

mod client;

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::backup;
use crate::fsck::{self, Finding, Stop};
use crate::pool::Pool;
use crate::rejected::{Error, Failure};

pub use client::{Heard, ask};

/// Where, in the data directory, the socket is.
pub const SOCKET: &str = "control";

/// The longest request, in bytes.
const MAX_REQUEST: u64 = 64 << 10;
/// How long a request may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests at once; more are turned away.
const AT_ONCE: usize = 8;
/// Lines that may wait to be sent before the work does.
const WAITING: usize = 16;

/// What an operator's command asks of a running server.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// A backup of the pool.
    Backup(backup::Wish),
    /// Looking through all that the pool keeps.
    Fsck(fsck::Options),
}

/// A line of the answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// How far it is, for people.
    Progress(String),
    /// Something is not as it should be.
    Found(Finding),
    /// It is done: what came of it.
    Done(Value),
    /// It was not done: why, and perhaps a line that begins with `hint: `.
    Failed(String),
}

/// The socket, while the server listens on it.
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
    owner: u32,
}

impl Door {
    /// Begins to listen in this data directory, which this process alone works in: a socket that is
    /// there is left over.
    ///
    /// # Errors
    /// A directory in which no socket can be made.
    pub fn open(data: &Path) -> Result<Self, Error> {
        let path = data.join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file("remove", &path)(error));
            }
            _ => {}
        }
        let listener = near(data, |path| UnixListener::bind(path));
        let listener = listener.map_err(Error::file("listen on", &path))?;
        let secret = Permissions::from_mode(crate::durable::SECRET);
        fs::set_permissions(&path, secret).map_err(Error::file("protect", &path))?;
        let owner = fs::metadata(&path).map_err(Error::file("stat", &path))?.uid();
        Ok(Self { listener, path, owner })
    }

    /// Answers until it is dropped; then what was begun is given up.
    pub async fn answer(self, pool: Arc<Pool>) {
        let mut open = JoinSet::new();
        loop {
            let connection = tokio::select! {
                connection = self.listener.accept() => connection,
                Some(_) = open.join_next() => continue,
            };
            match connection {
                Ok((stream, _)) if self.is_owner(&stream) && open.len() < AT_ONCE => {
                    open.spawn(converse(stream, Arc::clone(&pool)));
                }
                // Turned away, by hanging up.
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot be asked by commands");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Between the making of the socket and the change of its mode, others might have come in.
    fn is_owner(&self, stream: &UnixStream) -> bool {
        stream.peer_cred().is_ok_and(|peer| peer.uid() == self.owner || peer.uid() == 0)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// An address of a socket has at most 107 bytes, and the path of a data directory may have more: the
/// kernel is told of the directory by its descriptor.
fn near<T>(data: &Path, open: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let directory = File::open(data)?;
    open(&Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(SOCKET))
}

async fn converse(stream: UnixStream, pool: Arc<Pool>) {
    let (reading, mut writing) = stream.into_split();
    let (lines, mut answer) = mpsc::channel(WAITING);
    let mut reading = BufReader::new(reading.take(MAX_REQUEST));
    let mut request = Vec::new();
    let read = timeout(PATIENCE, reading.read_until(b'\n', &mut request)).await;
    if !matches!(read, Ok(Ok(_))) {
        return;
    }
    let stop = Arc::new(Stop::default());
    let stopped = Arc::clone(&stop);
    let working = tokio::task::spawn_blocking(move || {
        let mut tell = |line| lines.blocking_send(line).is_ok();
        let last = match work(&request, &pool, &stopped, &mut tell) {
            Ok(done) => Line::Done(done),
            Err(why) => Line::Failed(why.to_string()),
        };
        let _ = lines.blocking_send(last);
    });
    tokio::select! {
        () = send(&mut answer, &mut writing) => {}
        _ = reading.read_u8() => {}
    }
    // Whoever asked may have hung up: then nothing more is to be done, and nothing to be told.
    stop.stop();
    drop(answer);
    let _ = working.await;
}

async fn send(answer: &mut mpsc::Receiver<Line>, writing: &mut OwnedWriteHalf) {
    while let Some(line) = answer.recv().await {
        let Ok(mut text) = serde_json::to_vec(&line) else { return };
        text.push(b'\n');
        if writing.write_all(&text).await.is_err() {
            return;
        }
    }
}

fn work(
    request: &[u8],
    pool: &Pool,
    stop: &Arc<Stop>,
    tell: &mut (dyn FnMut(Line) -> bool + Send),
) -> Result<Value, Failure> {
    let request: Request = serde_json::from_slice(request).map_err(|error| {
        let detail = format!("the server does not understand this request: {error}");
        crate::rejected::Rejected::bad_request("request_malformed", detail)
            .hint("command and server are of different versions: restart the server")
    })?;
    let done = match request {
        Request::Backup(wish) => {
            let mut report = |text| tell(Line::Progress(text));
            serde_json::to_value(pool.backup(&wish, &mut report)?)
        }
        Request::Fsck(options) => {
            let summary = pool.fsck(options, stop, &mut |finding| {
                tell(Line::Found(finding.clone()));
            })?;
            serde_json::to_value(summary)
        }
    };
    done.map_err(|error| Error::Damaged(format!("no JSON: {error}")).into())
}
