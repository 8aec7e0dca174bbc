//! How a command asks a running server.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::{Line, Request, near};
use crate::fsck::Finding;
use crate::rejected::Error;

/// What is heard before it is done.
#[derive(Debug)]
pub enum Heard {
    /// How far it is, for people.
    Progress(String),
    /// Something is not as it should be.
    Found(Finding),
}

/// Asks the server that works in this data directory, and passes on how far it is. None when there is
/// no such server.
///
/// # Errors
/// Why it was not done, in the server's words; or a server that ended meanwhile.
pub fn ask<T: DeserializeOwned>(
    data: &Path,
    request: &Request,
    mut heard: impl FnMut(Heard),
) -> Result<Option<T>, Error> {
    let mut stream = match near(data, |path| UnixStream::connect(path)) {
        Ok(stream) => stream,
        Err(error) if is_absence(error.kind()) => return Ok(None),
        Err(error) => return Err(Error::file("connect to", &data.join(super::SOCKET))(error)),
    };
    let mut text = serde_json::to_vec(request).map_err(|error| nonsense(&error))?;
    text.push(b'\n');
    stream.write_all(&text).map_err(Error::io("ask the server"))?;
    for line in BufReader::new(stream).lines() {
        let line = line.map_err(Error::io("hear the server"))?;
        match serde_json::from_str(&line).map_err(|error| nonsense(&error))? {
            Line::Progress(text) => heard(Heard::Progress(text)),
            Line::Found(finding) => heard(Heard::Found(finding)),
            Line::Done(done) => {
                return serde_json::from_value(done).map(Some).map_err(|error| nonsense(&error));
            }
            Line::Failed(why) => {
                let (detail, hint) =
                    why.split_once("\nhint: ").unwrap_or((&why, "the server's log may say more"));
                return Err(Error::Setup { detail: detail.to_owned(), hint: hint.to_owned() });
            }
        }
    }
    Err(Error::Setup {
        detail: "the server hung up before it was done".to_owned(),
        hint: "it may have been stopped, or be asked by too many at once; its log says more"
            .to_owned(),
    })
}

/// A server that was killed leaves its socket.
fn is_absence(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

fn nonsense(error: &serde_json::Error) -> Error {
    Error::Damaged(format!("what was said at the socket `control`: {error}"))
}
