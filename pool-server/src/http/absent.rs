//! NARs that are not here: their askers are sent to where they are, or wait until they come.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc::Receiver;

use crate::pool::Step;

/// Sends an asker elsewhere, this time: tomorrow the NAR may be here.
pub(super) fn there(address: &str) -> Response {
    let headers = [(header::LOCATION, address), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
}

/// A NAR's file of `file_size` bytes as it comes. One that does not come whole ends in an error.
pub(super) fn coming(first: Bytes, rest: Receiver<Step>, file_size: u64) -> Response {
    let state = (Some(first), rest, file_size);
    let pieces = stream::unfold(state, |(mut first, mut rest, left)| async move {
        let piece = match first.take() {
            Some(piece) => piece,
            None => match rest.recv().await {
                Some(Step::Piece(piece)) => piece,
                _ if left == 0 => return None,
                Some(Step::Stored) | None => {
                    return Some((
                        Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                        (None, rest, 0),
                    ));
                }
            },
        };
        let broken = |why: &str| Err(io::Error::other(why.to_owned()));
        Some(match left.checked_sub(piece.len() as u64) {
            // With the last of it whoever asked has a whole file: only once all of it is right.
            Some(0) if !matches!(rest.recv().await, Some(Step::Stored)) => {
                (broken("it is not what it should be"), (None, rest, 0))
            }
            Some(left) => (Ok(piece), (None, rest, left)),
            None => (broken("longer than it was said to be"), (None, rest, 0)),
        })
    });
    let mut response = Response::new(Body::from_stream(pieces.fuse()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-nix-nar"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(file_size));
    // Its tag is known once it is here.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
