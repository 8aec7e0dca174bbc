//! Many narinfos at once: `get-narinfos-v1`, by QUERY or POST, one hash part a line.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use schema::store_path::HashPart;
use serde::Deserialize;

use super::Shared;
use super::body::read_body;
use super::error::CacheFailure;
use super::grant::MayRead;
use super::params::Params;
use super::view::Address;
use crate::pool::{Line, Pool};
use crate::rejected::{Error, Rejected};

/// The most hash parts one request may name.
const MAX_ASKED: usize = 100_000;
/// The most paths one closure may have.
const MAX_CLOSURE: usize = 1_000_000;
/// NARs that are promised together.
const TOGETHER: usize = 64;
/// A piece of the answer is sent once it is this long, in bytes.
const PIECE: usize = 64 << 10;

#[derive(Deserialize)]
pub(super) struct Options {
    /// Whether the references are followed: `1` or `true`.
    #[serde(default)]
    closure: Option<String>,
}

pub(super) async fn narinfos(
    State(pool): State<Shared>,
    _: MayRead,
    method: Method,
    Params(options): Params<Options>,
    address: Address,
    body: Body,
) -> Result<Response, CacheFailure> {
    if method != Method::POST && method.as_str() != "QUERY" {
        return Err(Rejected::wrong_method("use QUERY or POST").into());
    }
    let body = read_body(body, MAX_ASKED * 33, &pool.config).await?;
    let closure = matches!(options.closure.as_deref(), Some("1" | "true"));
    let walk = Walk::new(pool, address, parse(&body)?, closure);
    let pieces = stream::unfold(walk, |mut walk| async {
        walk.piece().await.transpose().map(|piece| (piece, walk))
    });
    let headers =
        [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

fn parse(body: &[u8]) -> Result<Vec<HashPart>, Rejected> {
    let malformed = |detail: String| Rejected::bad_request("batch_malformed", detail);
    let text =
        std::str::from_utf8(body).map_err(|_| malformed("the body is not text".to_owned()))?;
    let parse = |(at, line): (usize, &str)| {
        line.parse().map_err(|error| malformed(format!("line {}: {error}", at + 1)))
    };
    text.lines().enumerate().map(parse).collect()
}

/// A walk over paths, breadth first, each once.
struct Walk {
    pool: Arc<Pool>,
    address: Address,
    waiting: VecDeque<HashPart>,
    seen: HashSet<HashPart>,
    closure: bool,
}

impl Walk {
    fn new(pool: Arc<Pool>, address: Address, asked: Vec<HashPart>, closure: bool) -> Self {
        let (waiting, seen) = Default::default();
        let mut walk = Self { pool, address, waiting, seen, closure };
        walk.visit(asked);
        walk
    }

    fn visit(&mut self, hash_parts: Vec<HashPart>) {
        for hash_part in hash_parts {
            if self.seen.len() < MAX_CLOSURE && self.seen.insert(hash_part) {
                self.waiting.push_back(hash_part);
            }
        }
    }

    /// The next lines, or nothing at the end. An error breaks the answer off, visibly.
    async fn piece(&mut self) -> io::Result<Option<Bytes>> {
        let mut piece = Vec::new();
        while piece.len() < PIECE && !self.waiting.is_empty() {
            let next = self.waiting.len().min(TOGETHER);
            let asked: Vec<HashPart> = self.waiting.drain(..next).collect();
            let Address { view, dialect, .. } = &self.address;
            let lines = self.pool.narinfos(view, *dialect, &asked).await.map_err(broken)?;
            for Line { line, references, .. } in lines {
                if self.closure {
                    self.visit(references);
                }
                serde_json::to_writer(&mut piece, &line)?;
                piece.push(b'\n');
            }
        }
        Ok((!piece.is_empty()).then(|| piece.into()))
    }
}

fn broken(error: Error) -> io::Error {
    tracing::error!(%error, "a batch of narinfos broke off");
    io::Error::other("the pool failed")
}
