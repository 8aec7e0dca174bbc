//! What can go wrong: [`Rejected`] is the asker's fault, [`enum@Error`] is ours.
//!
//! The two are kept apart so that nobody logs a bad request as a fault of the server, and no
//! fault of the server is told to a client in detail. `http` turns either into a response.

mod trouble;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use http::StatusCode;
use schema::signers::SignerError;
use thiserror::Error;

use crate::clock::Distrust;

pub use trouble::Trouble;

/// Why a request was not served, by fault of whoever asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// In 400..=499; or 503, for what the operator has to allow first.
    pub status: StatusCode,
    /// For programs: stable, in snake case.
    pub code: &'static str,
    /// What was wrong, and where.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// In how many seconds it would be served; for 429.
    pub retry_after: Option<u64>,
}

impl Rejected {
    /// 400: the request is malformed.
    #[must_use]
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: the credentials are missing or do not hold.
    #[must_use]
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// 403: the credentials hold, but do not allow this.
    #[must_use]
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404: there is no such thing here.
    #[must_use]
    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 405: another method is needed.
    #[must_use]
    pub fn wrong_method(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", detail)
    }

    /// 408: the body came too slowly.
    #[must_use]
    pub fn too_slow(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, code, detail)
    }

    /// 409: it contradicts what the pool has.
    #[must_use]
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 410: it was here, and is no more.
    #[must_use]
    pub fn gone(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, code, detail)
    }

    /// 413: the body is larger than a configured bound.
    #[must_use]
    pub fn too_large(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, detail)
    }

    /// 422: well formed, but it does not hold: a wrong hash, a bad signature.
    #[must_use]
    pub fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 429: too many at once; trying later helps.
    #[must_use]
    pub fn too_many(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail)
    }

    /// 503: not until the operator has done something.
    #[must_use]
    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// Adds in how many seconds it would be served.
    #[must_use]
    pub fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), hint: None, retry_after: None }
    }
}

/// An event that contradicts the table is a conflict; one that is not signed as it must be, or a
/// key that may not attest, does not hold.
impl From<SignerError> for Rejected {
    fn from(error: SignerError) -> Self {
        let rejected = match error {
            SignerError::NameTaken(_) | SignerError::KeyEnrolled(_) => {
                Self::conflict(error.code(), error.to_string())
            }
            _ => Self::unprocessable(error.code(), error.to_string()),
        };
        Self { hint: error.hint().map(ToOwned::to_owned), ..rejected }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.detail)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Rejected {}

/// What failed on our side. Clients are told no more than a status.
#[derive(Debug, Error)]
pub enum Error {
    /// The file system failed us. What is answered depends on its [`Trouble`].
    #[error("{doing} {}: {source}", path.display())]
    File {
        /// What we were at, as in "write".
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A socket or another thing without a path failed us.
    #[error("{doing}: {source}")]
    Io {
        /// What we were at, as in "accept a connection".
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The database failed us.
    #[error("index: {0}")]
    Index(String),
    /// The store of NARs failed us.
    #[error("blobs: {0}")]
    Blobs(String),
    /// What is free on a disk is kept for the database and the ledger. Answered with 507.
    #[error("no room: {0}")]
    NoRoom(String),
    /// Nothing is written any more until the pool is opened anew.
    #[error(transparent)]
    Halted(#[from] Halted),
    /// What time it is, is not known well enough. Answered with 503.
    #[error("not now: {0}")]
    Clock(#[from] Distrust),
    /// Something we wrote does not read back: an operator has to look.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The pool cannot start, or go on, as it was set up.
    #[error("{detail}\nhint: {hint}")]
    Setup {
        /// What is wrong.
        detail: String,
        /// What to do about it.
        hint: String,
    },
}

impl Error {
    /// For `map_err`: a file operation that failed.
    pub fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { doing, path: path.to_owned(), source }
    }

    /// For `map_err`: another operation that failed.
    pub fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}

/// A write of which nobody knows how much is on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("nothing is written until the pool is opened anew, since this failed: {why}")]
pub struct Halted {
    /// What the matter is.
    pub trouble: Trouble,
    /// What failed first.
    pub why: String,
}

impl Halted {
    /// By a write that failed.
    #[must_use]
    pub fn by(error: &Error) -> Self {
        let trouble = Trouble::of(error).unwrap_or(Trouble::Failing);
        Self { trouble, why: error.to_string() }
    }
}

/// Either of the two, where both can happen.
#[derive(Debug, Error)]
pub enum Failure {
    /// Their fault.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// Ours.
    #[error(transparent)]
    Error(#[from] Error),
}
