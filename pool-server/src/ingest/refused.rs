//! Why an uploaded file was not taken, with a stable code and the place where it went wrong.

use std::io;

use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};
use thiserror::Error;

use super::measure::{FileTooLong, NarTooLong};
use crate::rejected::Rejected;

/// Why a file is not the NAR it is said to be. Nothing of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// The connection broke, or the body was shorter than announced.
    #[error("the upload ended after {received} bytes, before its end")]
    Truncated {
        /// Bytes that had come.
        received: u64,
    },
    /// The compressed file is damaged, or compressed otherwise.
    #[error("not valid {compression} after {at} bytes of NAR: {why}")]
    Corrupt {
        /// What it was read as.
        compression: Compression,
        /// Bytes of NAR that had been decompressed.
        at: u64,
        /// The decoder's word.
        why: String,
    },
    /// What was decompressed is not a NAR.
    #[error("not a well-formed NAR at byte {at}: {why}")]
    Malformed {
        /// Where what was read last begins.
        at: u64,
        /// What was wrong.
        why: String,
    },
    /// Bytes after the end of the NAR, or of the compressed stream.
    #[error("data follows the end of the NAR at byte {at}")]
    TrailingData {
        /// Where the NAR ends.
        at: u64,
    },
    /// More bytes come out than were declared, or are allowed.
    #[error("it decompresses to more than the {limit} bytes that were declared or are allowed")]
    TooLong {
        /// The bound.
        limit: u64,
    },
    /// The file itself is longer than allowed.
    #[error("the file is longer than the {limit} bytes that are allowed")]
    FileTooLong {
        /// The bound.
        limit: u64,
    },
    /// Another NAR than declared.
    #[error("the NAR's hash is {found}, but {declared} was declared")]
    NarHash {
        /// Said.
        declared: NarHash,
        /// So.
        found: NarHash,
    },
    /// A NAR of another size than declared.
    #[error("the NAR has {found} bytes, but {declared} were declared")]
    NarSize {
        /// Said.
        declared: u64,
        /// So.
        found: u64,
    },
    /// Another file than its name says.
    #[error("the file's hash is {found}, but {declared} was declared")]
    FileHash {
        /// Said.
        declared: FileHash,
        /// So.
        found: FileHash,
    },
}

/// The body of an upload broke off; carried as an `io::Error` through the decoders.
#[derive(Debug, Clone, Copy, Error)]
#[error("the upload broke off")]
pub struct BrokeOff {
    /// Bytes that had come.
    pub received: u64,
}

impl Refused {
    /// For programs: stable, in snake case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "upload_truncated",
            Self::Corrupt { .. } => "compression_corrupt",
            Self::Malformed { .. } => "nar_malformed",
            Self::TrailingData { .. } => "nar_trailing_data",
            Self::TooLong { .. } => "nar_too_long",
            Self::FileTooLong { .. } => "file_too_long",
            Self::NarHash { .. } => "nar_hash_mismatch",
            Self::NarSize { .. } => "nar_size_mismatch",
            Self::FileHash { .. } => "file_hash_mismatch",
        }
    }

    pub(super) fn unreadable(error: &io::Error) -> Self {
        if let Some(&BrokeOff { received }) = inner(error) {
            Self::Truncated { received }
        } else if let Some(&FileTooLong { limit }) = inner(error) {
            Self::FileTooLong { limit }
        } else {
            Self::Malformed { at: 0, why: error.to_string() }
        }
    }

    pub(super) fn corrupt(compression: Compression, at: u64, error: &io::Error) -> Self {
        Self::Corrupt { compression, at, why: error.to_string() }
    }

    pub(super) fn from_reading(
        error: nix_archive::nar::Error,
        at: u64,
        compression: Compression,
        decompressed: u64,
        limit: u64,
    ) -> Self {
        use nix_archive::nar::Error;
        match error {
            Error::Io(error) if inner::<NarTooLong>(&error).is_some() => Self::TooLong { limit },
            Error::Io(error)
                if inner::<BrokeOff>(&error).is_some()
                    || inner::<FileTooLong>(&error).is_some() =>
            {
                Self::unreadable(&error)
            }
            Error::UnexpectedEof => Self::Malformed { at, why: "it ends too early".to_owned() },
            Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Malformed { at, why: "it ends too early".to_owned() }
            }
            Error::Io(error) => Self::corrupt(compression, decompressed, &error),
            Error::TrailingBytes => Self::TrailingData { at },
            malformed => Self::Malformed { at, why: malformed.to_string() },
        }
    }
}

impl From<Refused> for Rejected {
    fn from(refused: Refused) -> Self {
        let (code, detail) = (refused.code(), refused.to_string());
        match refused {
            Refused::Truncated { .. } => Self::bad_request(code, detail).hint("send it again"),
            Refused::TooLong { .. } | Refused::FileTooLong { .. } => Self::too_large(code, detail)
                .hint("the operator's max-nar-size and max-upload-size bound what is taken"),
            Refused::NarHash { .. } => Self::unprocessable(code, detail)
                .hint("the store path may be damaged where it was read; `nix store verify` tells"),
            Refused::Corrupt { .. } => Self::unprocessable(code, detail).hint(
                "the file's suffix or `compression` parameter must name its real compression",
            ),
            _ => Self::unprocessable(code, detail),
        }
    }
}

/// Decoders wrap the errors of what they read; this looks through all the layers.
fn inner<T: std::error::Error + 'static>(error: &io::Error) -> Option<&T> {
    let mut layer: Option<&(dyn std::error::Error + 'static)> =
        error.get_ref().map(|inner| inner as _);
    while let Some(at) = layer {
        if let Some(found) = at.downcast_ref() {
            return Some(found);
        }
        layer = match at.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as _),
            None => at.source(),
        };
    }
    None
}
