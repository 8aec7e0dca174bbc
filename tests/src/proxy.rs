//! A host's own proxy, ended when the test is done with it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::cli::Cli;

/// A running proxy.
pub struct Proxy {
    child: Child,
    url: String,
    dir: PathBuf,
    policy: PathBuf,
}

impl Proxy {
    /// Starts a proxy by this policy, which keeps its state in `dir`, with further arguments such as
    /// `["--from", url]`. Its log goes to `DIR/log`.
    ///
    /// # Panics
    /// When it does not listen.
    #[must_use]
    pub fn start(cli: &Cli, dir: &Path, policy: &str, arguments: &[&str]) -> Self {
        fs::create_dir_all(dir).expect("its directory can be made");
        let file = dir.join("policy.toml");
        fs::write(&file, policy).expect("the policy can be written");
        let log = fs::File::options().create(true).append(true).open(dir.join("log"));
        let mut child = cli
            .command(&["proxy", "--policy"])
            .arg(&file)
            .arg("--state-dir")
            .arg(dir)
            .args(if arguments.contains(&"--listen") {
                &[][..]
            } else {
                &["--listen", "127.0.0.1:0"]
            })
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("the log can be written"))
            .spawn()
            .expect("pool starts");
        let stdout = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("it can be read");
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
            panic!("the proxy does not listen: {line}{log}");
        };
        Self { child, url: url.to_owned(), dir: dir.to_owned(), policy: file }
    }

    /// Its address, or that of something it serves; `path` starts with a slash, or is empty.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The lines that it prints for nix.conf.
    ///
    /// # Panics
    /// When it does not print any.
    #[must_use]
    pub fn nix_conf(&self, cli: &Cli) -> String {
        let file = |path: &Path| path.to_str().expect("paths in tests are UTF-8").to_owned();
        let (policy, dir) = (file(&self.policy), file(&self.dir));
        let listen = self.url.trim_start_matches("http://");
        let files = ["proxy", "--policy", &policy, "--state-dir", &dir];
        cli.run(&[&files[..], &["--listen", listen, "--print-config=nix.conf"]].concat()).ok()
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Panics
    /// When it does not end well.
    pub fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .expect("the proxy can be signalled");
        let status = self.child.wait().expect("the proxy can be waited for");
        assert!(status.success(), "the proxy ended with {status}:\n{}", self.log());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
