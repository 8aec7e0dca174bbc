//! Programs that tests run, and what came of them.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

/// The built program of this name. It lies where the tests were built.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let dir = test.parent().and_then(|deps| deps.parent()).expect("tests lie in <profile>/deps");
    let program = dir.join(name);
    assert!(
        program.exists(),
        "{} is not built: cargo build --release --workspace",
        program.display()
    );
    program
}

/// The top of the project.
#[must_use]
pub fn project() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// What a program left behind.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code, or -1 when a signal ended it.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Outcome {
    /// Runs `command` to its end.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn of(command: &mut Command) -> Self {
        command
            .output()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"))
            .into()
    }

    /// Runs `command` to its end, and tells the most memory it held, in bytes.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn with_peak_memory(command: &mut Command) -> (Self, u64) {
        let started =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = started.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let pid = child.id();
        let watching = thread::spawn(move || {
            let mut peak = 0;
            // A program that has ended has no memory, even before anybody has waited for it.
            while let Some(held) = peak_memory(pid) {
                peak = held;
                thread::sleep(Duration::from_millis(5));
            }
            peak
        });
        let output = child.wait_with_output().expect("the program can be waited for");
        (output.into(), watching.join().expect("its memory can be watched"))
    }

    /// Its standard output.
    ///
    /// # Panics
    /// When it failed.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "it failed.\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout
    }

    /// Both outputs of a program that must have failed.
    ///
    /// # Panics
    /// When it succeeded.
    pub fn failed(self) -> String {
        assert_ne!(self.code, 0, "it succeeded.\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout + &self.stderr
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The most memory a program has held so far, in bytes; nothing once it has ended.
#[must_use]
pub fn peak_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib * 1024)
}
