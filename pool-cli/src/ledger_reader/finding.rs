//! What a log, or the pool behind it, is caught at.

use std::fmt;

use serde::Serialize;

/// Why a log could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// It contradicts itself, or what was seen of it before.
    Caught(Finding),
    /// Nobody can tell.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for ReadError {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// One thing that is not as it must be. The log's signature, and whatever was seen before, show it
/// to anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    log: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<u64>,
    code: Code,
    detail: String,
}

impl Finding {
    /// Something about a whole log.
    pub(crate) fn new(log: &'static str, code: Code, detail: impl Into<String>) -> Self {
        Self { log, entry: None, code, detail: detail.into() }
    }

    /// It is about one entry.
    pub(crate) fn at(self, entry: u64) -> Self {
        Self { entry: Some(entry), ..self }
    }

    /// Of what kind it is.
    pub(crate) fn code(&self) -> Code {
        self.code
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry {
            Some(entry) => write!(f, "{}, entry {entry}: {}", self.log, self.detail),
            None => write!(f, "{}: {}", self.log, self.detail),
        }
    }
}

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    /// The pool or a log has another name or key than before.
    KeyChanged,
    /// A checkpoint without the log's signature.
    NotSigned,
    /// Too few witnesses.
    Quorum,
    /// The log is smaller than it was.
    Shrank,
    /// The log has another history than was seen of it.
    Fork,
    /// An entry that was seen is another now.
    Changed,
    /// A tile that does not belong to the tree.
    Tile,
    /// A bundle of entries that does not belong to the tree.
    Bundle,
    /// An entry that is none.
    Malformed,
    /// Time or sizes go back from one entry to the next.
    GoesBack,
    /// An attestation that stands there before.
    Duplicate,
    /// The pool does not have what was signed.
    ClaimMissing,
    /// What was signed is not what the entry says.
    ClaimDiffers,
    /// A signature that is not the signer's.
    Signature,
    /// The signer's key might not attest this.
    KeyNotAllowed,
    /// What is said to have happened to a key could not happen.
    KeyEvent,
    /// An entry that a mirror refuses, for it is not what the log may hold: in the mirror's words.
    Refused,
    /// The index log speaks of another attestation log.
    IndexRoot,
    /// The index log's map is not that of the entries.
    MapRoot,
}
