//! Programs and crates of others that verify a C2SP log. None of them shares code with ours.

mod crates;

use std::path::Path;
use std::process::Command;

use crate::client::Client;
use crate::log_copy::LogCopy;
use crate::program::{Outcome, project};

pub use crates::{growth, verify as verify_with_crates};

/// What our programs in `tests/lab` exit with when the log is bad. Any other failure is their own.
const REFUSED: i32 = 3;

/// Who verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verifier {
    /// Go's checksum database, `golang.org/x/mod/sumdb`: every object, inclusion and growth.
    Go,
    /// The audit of `aics-tlog`, in Python: every object, and growth.
    AicsAudit,
    /// `aics-tlog verify-checkpoint`, as anybody would run it: the tiles at the right edge only.
    AicsCommand,
}

impl Verifier {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Go, Self::AicsAudit, Self::AicsCommand];

    /// Verifies the log under `prefix`, which is an address without a slash at the end, by its key;
    /// and, if it can, that the log goes on from an older checkpoint in a file.
    ///
    /// # Errors
    /// What is wrong with the log.
    ///
    /// # Panics
    /// When the verifier itself fails.
    pub fn verify(self, prefix: &str, vkey: &str, older: Option<&Path>) -> Result<(), String> {
        let lab = project().join("tests/lab");
        let mut command;
        match self {
            Self::Go => {
                command = Command::new(lab.join("go-tlog"));
                command.args([prefix, vkey]).args(older);
            }
            Self::AicsAudit => {
                command = Command::new(lab.join("aics-python"));
                command.arg(lab.join("aics-audit.py")).args([prefix, vkey]).args(older);
            }
            Self::AicsCommand => {
                command = Command::new(lab.join("aics-python"));
                command.args(["-m", "aics_tlog", "verify-checkpoint"]);
                command.args(["--tiles", prefix, "--log-key", vkey]);
            }
        }
        let outcome = Outcome::of(&mut command);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        match (self, outcome.code) {
            (_, 0) => Ok(()),
            // It exits with 1 whatever happens, but tells in JSON what it found.
            (Self::AicsCommand, 1) if outcome.stdout.contains(r#""ok": false"#) => Err(said),
            (Self::Go | Self::AicsAudit, REFUSED) => Err(said),
            (_, code) => panic!("{self:?} fails with {code}: {said}"),
        }
    }

    /// Whether it reads this object of a log at all.
    #[must_use]
    pub fn reads(self, path: &str) -> bool {
        let at_edge = path == "checkpoint" || path.contains(".p/");
        match self {
            Self::Go | Self::AicsAudit => true,
            Self::AicsCommand => at_edge && !path.starts_with("tile/entries/"),
        }
    }
}

/// Has everybody verify the log under a path of a server, such as `/ledger/keys`; answers with a
/// copy of it.
///
/// # Panics
/// When one of them refuses it.
pub async fn accepted_by_all(
    client: &Client,
    base: &str,
    path: &str,
    vkey: &str,
    older: Option<&LogCopy>,
) -> LogCopy {
    let copy = LogCopy::fetch(client, path).await;
    let before = older.and_then(|older| older.object("checkpoint"));
    verify_with_crates(&copy, vkey, before).unwrap_or_else(|error| panic!("crates: {error}"));
    let dir = tempfile::tempdir().expect("there is a place for temporary files");
    let file = dir.path().join("checkpoint");
    if let Some(before) = before {
        std::fs::write(&file, before).expect("a file can be written");
    }
    for verifier in Verifier::ALL {
        let verified =
            verifier.verify(&format!("{base}{path}"), vkey, before.map(|_| file.as_path()));
        verified.unwrap_or_else(|error| panic!("{verifier:?}: {error}"));
    }
    copy
}
