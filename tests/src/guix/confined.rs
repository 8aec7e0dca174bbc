//! Programs that run on a machine until the test is done with them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::deadline::wait_for;

/// A program that `tests/lab/as-guix` runs, with all that it starts.
pub(super) struct Confined {
    child: Child,
    log: PathBuf,
}

impl Confined {
    /// Starts one whose output is added to a file.
    pub(super) fn start(mut command: Command, stdin: Stdio, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log);
        let file = file.expect("the log can be written");
        let shared = file.try_clone().expect("the log can be shared");
        command.stdin(stdin).stdout(shared).stderr(file);
        let child =
            command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Self { child, log: log.to_owned() }
    }

    /// What it has written.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Panics when it has ended.
    pub(super) fn must_run(&mut self) {
        let status = self.child.try_wait().expect("the program can be waited for");
        assert!(status.is_none(), "it ended with {status:?}:\n{}", self.log());
    }
}

impl Drop for Confined {
    /// The first process of its namespace is killed, since the kernel has it wait for all others:
    /// when this is done, nobody writes to the machine's directory any more. Before there is a
    /// namespace, `as-guix` itself may have children, and go on without them.
    fn drop(&mut self) {
        let pid = self.child.id();
        wait_for("a machine's program to end", || {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            let first = children.ok().and_then(|pids| pids.split(' ').next()?.parse().ok());
            let _ = match first.and_then(Pid::from_raw) {
                Some(first) => kill_process(first, Signal::KILL).map_err(Into::into),
                None => self.child.kill(),
            };
            (!matches!(self.child.try_wait(), Ok(None))).then_some(())
        });
    }
}
