//! A pool server of the test's own, stopped by its pid when the test is done with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::deadline::wait_for;
use crate::faults::Faults;
use crate::net::Host;
use crate::program::{built, peak_memory};

/// Where a server listens that has a host of its own.
pub const PORT: u16 = 8484;

/// A running server.
pub struct Server {
    child: Child,
    data: PathBuf,
    address: String,
}

impl Server {
    /// Starts a server on a data directory, which is made when it is not there, with further
    /// arguments such as `["--private", "true"]`. Its log goes to `DIR/log`.
    ///
    /// # Panics
    /// When it does not listen in time.
    #[must_use]
    pub fn start(data: &Path, arguments: &[&str]) -> Self {
        Self::try_start(data, arguments).unwrap_or_else(|why| panic!("{why}"))
    }

    /// The same of a pool that may refuse.
    ///
    /// # Errors
    /// How it ended, and its log.
    ///
    /// # Panics
    /// When it neither listens in time nor ends.
    pub fn try_start(data: &Path, arguments: &[&str]) -> Result<Self, String> {
        let child = spawn(program(data, "127.0.0.1:0", arguments), data);
        let (child, address) = Self::listening(child, data)?;
        Ok(Self { child, data: data.to_owned(), address })
    }

    /// The same on a host of its own, where it always listens on the same port.
    ///
    /// # Panics
    /// When it does not listen in time.
    #[must_use]
    pub fn start_on(host: &Host, data: &Path, arguments: &[&str]) -> Self {
        let command = host.runs(&program(data, &format!("0.0.0.0:{PORT}"), arguments));
        let (child, _) =
            Self::listening(spawn(command, data), data).unwrap_or_else(|why| panic!("{why}"));
        Self { child, data: data.to_owned(), address: format!("{}:{PORT}", host.address()) }
    }

    /// Starts a server whose files and clock fail as `faults` has them.
    ///
    /// # Panics
    /// When it does not listen in time.
    #[must_use]
    pub fn start_with(faults: &Faults, data: &Path, arguments: &[&str]) -> Self {
        let mut command = program(data, "127.0.0.1:0", arguments);
        command.envs(faults.variables());
        let (child, address) =
            Self::listening(spawn(command, data), data).unwrap_or_else(|why| panic!("{why}"));
        Self { child, data: data.to_owned(), address }
    }

    fn listening(mut child: Child, data: &Path) -> Result<(Child, String), String> {
        let address_file = data.join("address");
        let address = wait_for("the server's address", || {
            if let Some(status) = child.try_wait().expect("the server can be waited for") {
                let log = fs::read_to_string(data.join("log")).unwrap_or_default();
                return Some(Err(format!("the server ended with {status}:\n{log}")));
            }
            fs::read_to_string(&address_file).ok().filter(|text| text.ends_with('\n')).map(Ok)
        });
        Ok((child, address?.trim().to_owned()))
    }

    /// Starts a server and kills it when `wait` returns, however far it has come by then.
    ///
    /// # Panics
    /// When it cannot be started or killed.
    pub fn start_and_kill(data: &Path, wait: impl FnOnce()) {
        let mut child = spawn(program(data, "127.0.0.1:0", &[]), data);
        wait();
        child.kill().expect("the server can be killed");
        child.wait().expect("the server can be waited for");
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The address of something it serves; `path` starts with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The token of the first start, with every scope.
    ///
    /// # Panics
    /// When the server did not write it.
    #[must_use]
    pub fn admin_token(&self) -> String {
        let token = fs::read_to_string(self.data.join("admin.token"));
        token.expect("the first start writes admin.token").trim().to_owned()
    }

    /// Where it keeps everything.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.data.join("log")).unwrap_or_default()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory it has held so far, in bytes.
    ///
    /// # Panics
    /// When the kernel does not tell.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        peak_memory(self.child.id()).expect("the server runs, and Linux tells VmHWM")
    }

    /// Makes a token with these scopes, such as `upload,attest`, by `pool-server token create`.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn token(&self, scopes: &str) -> String {
        self.limited_token(scopes, &[])
    }

    /// The same with limits, such as `nars=5/1h`.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn limited_token(&self, scopes: &str, limits: &[&str]) -> String {
        let mut command = Command::new(built("pool-server"));
        command
            .args(["token", "create", "--label", scopes, "--scope", scopes, "--data"])
            .arg(&self.data)
            .args(limits.iter().flat_map(|limit| ["--limit", limit]));
        crate::program::Outcome::of(&mut command).ok().trim().to_owned()
    }

    /// Ends it without a chance to clean up.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(mut self) {
        self.kill_now();
    }

    /// The same, for those who go on to look at what is left.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill_now(&mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server can be waited for");
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Panics
    /// When it does not end well.
    pub fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .expect("the server can be signalled");
        let status = self.child.wait().expect("the server can be waited for");
        assert!(status.success(), "the server ended with {status}:\n{}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(data: &Path, listen: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(built("pool-server"));
    command.arg("--data").arg(data).args(["--listen", listen]).args(arguments).env_clear();
    command
}

fn spawn(mut command: Command, data: &Path) -> Child {
    fs::create_dir_all(data).expect("the data directory can be made");
    let _ = fs::remove_file(data.join("address"));
    let log = fs::File::options().create(true).append(true).open(data.join("log"));
    let log = log.expect("the log can be written");
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the log can be shared"))
        .stderr(log)
        .spawn()
        .expect("pool-server starts")
}

/// A copy of a directory and all that is in it, such as the data of a server that was stopped.
///
/// # Panics
/// When it cannot be read or written.
pub fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for entry in fs::read_dir(from).expect("the directory can be read") {
        let entry = entry.expect("the directory can be read");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("it is there").is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a file can be copied");
        }
    }
}
