//! A witness by others: `aics-witness`, which speaks C2SP's tlog-witness.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::deadline::wait_for;
use crate::program::{Outcome, project};

/// A running witness.
pub struct Witness {
    child: Child,
    address: String,
    vkey: String,
}

impl Witness {
    /// Starts a witness that keeps its state in `dir` and knows these logs: their origins, which
    /// are their keys' names, and keys.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(dir: &Path, name: &str, logs: &[&str]) -> Self {
        let vkey = Outcome::of(command(dir, "init").args(["--name", name])).ok().trim().to_owned();
        for log in logs {
            let origin = log.split('+').next().unwrap_or_default();
            let _ =
                Outcome::of(command(dir, "add-log").args(["--origin", origin, "--vkey", log])).ok();
        }
        let log = dir.join("log");
        let mut child = command(dir, "serve")
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("the log can be written"))
            .spawn()
            .expect("the witness starts");
        let address = wait_for("the witness's address", || {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let ended = child.try_wait().expect("the witness can be waited for");
            assert!(ended.is_none(), "the witness ended:\n{said}");
            let (_, rest) = said.split_once("listening on http://")?;
            Some(rest.split_once(' ')?.0.to_owned())
        });
        Self { child, address, vkey }
    }

    /// `host:port`; it listens to `POST /add-checkpoint`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The key that verifies its cosignatures.
    #[must_use]
    pub fn vkey(&self) -> &str {
        &self.vkey
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(dir: &Path, what: &str) -> Command {
    let mut command = Command::new(project().join("tests/lab/aics-python"));
    command.args(["-m", "aics_witness", what, "--config"]).arg(dir.join("witness.json"));
    command
}
