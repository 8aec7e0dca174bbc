//! Reading what a pool answers.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use schema::api::Problem;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::attempt::unreachable;
use super::{STALLED, Trouble};
use crate::exit::Failure;

/// As much of an answer that is no problem document as a message quotes.
const EXCERPT: usize = 200;
/// The longest answer in JSON, in bytes, unpacked: a pool does not bound the list of its signers.
const MAX_JSON: usize = 128 << 20;
/// As much of a refusal as is read, in bytes, and for how long.
const MAX_REFUSAL: usize = 64 << 10;
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads a JSON answer, or what is wrong.
pub(super) async fn read<T: DeserializeOwned>(response: Response) -> Result<T, Trouble> {
    if !response.status().is_success() {
        return Err(refusal(response).await);
    }
    let server = response.url().origin().ascii_serialization();
    let body = file(response, MAX_JSON).await?;
    serde_json::from_slice(&body).map_err(|error| {
        let message = format!("{server} does not answer as a pool does: {error}");
        let hint = "is this the address of a pool, and of the same version as this program?";
        Trouble::Lasting(Failure::could_not_tell(message).hint(hint).into())
    })
}

/// An answer whose body is read later, or what is wrong.
pub(super) async fn accepted(response: Response) -> Result<Response, Trouble> {
    if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
}

/// Reads a file of at most `longest` bytes, or what is wrong.
pub(super) async fn file(response: Response, longest: usize) -> Result<Bytes, Trouble> {
    let mut file = BytesMut::new();
    pieces(response, longest as u64, |piece| {
        file.extend_from_slice(piece);
        Ok(())
    })
    .await?;
    Ok(file.freeze())
}

/// Reads what an answer says, whatever its status.
pub(super) async fn body(response: Response, longest: usize) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    passed_on(response, longest as u64, |piece| {
        body.extend_from_slice(piece);
        Ok(())
    })
    .await?;
    Ok(body)
}

/// Passes on a file of at most `longest` bytes as it comes, or tells what is wrong.
pub(super) async fn pieces(
    response: Response,
    longest: u64,
    take: impl FnMut(&[u8]) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    if !response.status().is_success() {
        return Err(refusal(response).await);
    }
    passed_on(response, longest, take).await
}

async fn passed_on(
    mut response: Response,
    longest: u64,
    mut take: impl FnMut(&[u8]) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let server = response.url().origin().ascii_serialization();
    let mut room = longest;
    loop {
        match timeout(STALLED, response.chunk()).await {
            Ok(Ok(Some(piece))) => {
                room = room.checked_sub(piece.len() as u64).ok_or_else(|| {
                    let message = format!("{server} sends more than {longest} bytes for one file");
                    Trouble::Lasting(Failure::could_not_tell(message).into())
                })?;
                take(&piece)?;
            }
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(unreachable(&server, error)),
            Err(_) => {
                let message = format!("{server} has stopped in the middle of a file");
                let error = Failure::could_not_tell(message).into();
                return Err(Trouble::Passing { error, wait: None });
            }
        }
    }
}

/// A 404 by which a pool says that it never saw a thing; any other is trouble.
pub(super) async fn not_found(response: Response) -> Result<(), Trouble> {
    if is_problem(&response) { Ok(()) } else { Err(refusal(response).await) }
}

async fn refusal(response: Response) -> Trouble {
    let status = response.status();
    let wait = retry_after(&response);
    let problem = is_problem(&response);
    let server = response.url().origin().ascii_serialization();
    let location = header(&response, LOCATION.as_str());
    let body = beginning(response).await;
    let (said, hint) = match serde_json::from_slice::<Problem>(&body) {
        Ok(said) if problem => (said.detail, said.hint),
        _ => (excerpt(status, &body), None),
    };
    let hint = hint.or_else(|| own_hint(status, location));
    let message = format!("the pool at {server} says: {said}");
    // Proxies in front of a pool refuse people, too, in words of their own.
    let forbidden = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let error = if status == StatusCode::UNPROCESSABLE_ENTITY {
        Failure::no(message).lasting()
    } else if forbidden || status.is_client_error() && problem {
        Failure::no(message)
    } else {
        Failure::could_not_tell(message)
    };
    let error = error.maybe_hint(hint).into();
    if passes(status) { Trouble::Passing { error, wait } } else { Trouble::Lasting(error) }
}

/// Enough of an answer to tell what is wrong: nobody need hear a server out who refuses.
async fn beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(piece)) = response.chunk().await {
            body.extend_from_slice(&piece[..piece.len().min(MAX_REFUSAL - body.len())]);
            if body.len() == MAX_REFUSAL {
                break;
            }
        }
    };
    // What came by then has to do.
    let _ = timeout(REFUSAL_TIMEOUT, read).await;
    body
}

/// A full disk does not empty itself, and what a server cannot do it will not learn.
fn passes(status: StatusCode) -> bool {
    let lasting = [
        StatusCode::NOT_IMPLEMENTED,
        StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        StatusCode::INSUFFICIENT_STORAGE,
    ];
    let busy = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    busy.contains(&status) || status.is_server_error() && !lasting.contains(&status)
}

fn own_hint(status: StatusCode, location: Option<String>) -> Option<String> {
    match (status, location) {
        (StatusCode::UNAUTHORIZED, _) => {
            Some("`pool login` keeps a token; --token-file and NARPOOL_TOKEN name one".to_owned())
        }
        (status, Some(location)) if status.is_redirection() => {
            Some(format!("it points to {location}; name that pool with --server"))
        }
        (StatusCode::NOT_FOUND, _) => Some("is this the address of a pool?".to_owned()),
        _ => None,
    }
}

fn is_problem(response: &Response) -> bool {
    header(response, CONTENT_TYPE.as_str())
        .is_some_and(|kind| kind.starts_with("application/problem+json"))
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// In seconds; the form with a date is rare, and then our own pauses do.
fn retry_after(response: &Response) -> Option<Duration> {
    header(response, RETRY_AFTER.as_str())?.trim().parse().ok().map(Duration::from_secs)
}

fn excerpt(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.trim().lines().next().unwrap_or_default();
    let line: String = line.chars().filter(|c| !c.is_control()).take(EXCERPT).collect();
    if line.is_empty() { status.to_string() } else { format!("{status}: {line}") }
}
