//! nginx in front of a pool, set up as the README says.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

use crate::client::Client;
use crate::deadline::wait_for;
use crate::program::project;
use crate::server::Server;

/// Where Debian has it.
const NGINX: &str = "/usr/sbin/nginx";

/// A running nginx with a directory of its own, which ends with the test.
pub struct Front {
    child: Child,
    address: String,
    dir: TempDir,
}

impl Front {
    /// The README's configuration, with this pool's address and files.
    ///
    /// # Panics
    /// When nginx does not take it.
    #[must_use]
    pub fn before(server: &Server) -> Self {
        Self::start(server, &configuration())
    }

    /// The same without the location of NARs, as the README says of private pools.
    ///
    /// # Panics
    /// When nginx does not take it.
    #[must_use]
    pub fn before_private(server: &Server) -> Self {
        let whole = configuration();
        let (before, nars) = whole.split_once("    # NARs, ").expect("NARs have a location");
        let (_, after) = nars.split_once("\n    }\n").expect("it ends");
        Self::start(server, &format!("{before}{after}"))
    }

    fn start(server: &Server, configuration: &str) -> Self {
        let dir = tempfile::tempdir().expect("there is a place for temporary files");
        let work = dir.path().to_str().expect("paths in tests are UTF-8");
        let listener = TcpListener::bind("127.0.0.1:0").expect("the kernel has a port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let blobs = server.data().join("blobs");
        let mut site = configuration.to_owned();
        for (documented, ours) in [
            ("/var/cache/nginx/narpool", format!("{work}/cache")),
            ("127.0.0.1:8484", server.address().to_owned()),
            ("listen 80;", format!("listen {address};")),
            ("/var/lib/narpool/blobs", blobs.to_str().expect("UTF-8").to_owned()),
        ] {
            site = site.replace(documented, &ours);
        }
        fs::write(dir.path().join("site.conf"), site).expect("it can be written");
        fs::write(dir.path().join("nginx.conf"), around(work)).expect("it can be written");
        let child = spawn(work, listener);
        let mut front = Self { child, address, dir };
        front.wait_until_it_runs();
        front
    }

    /// The address of something behind it; `path` starts with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Somebody without credentials who asks it.
    ///
    /// # Panics
    /// When no client can be made.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::of(&self.url(""))
    }

    fn wait_until_it_runs(&mut self) {
        let (pid, log) = (self.dir.path().join("pid"), self.dir.path().join("error.log"));
        wait_for("nginx to run", || {
            if let Some(status) = self.child.try_wait().expect("nginx can be waited for") {
                let log = fs::read_to_string(&log).unwrap_or_default();
                panic!("nginx ended with {status}:\n{log}");
            }
            fs::read_to_string(&pid).ok().filter(|text| text.ends_with('\n'))
        });
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // It ends its workers; to kill it would leave them.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// The block in the README.
fn configuration() -> String {
    let readme = fs::read_to_string(project().join("README.md")).expect("there is a README");
    let (_, block) = readme.split_once("```nginx\n").expect("it has a configuration of nginx");
    let (block, _) = block.split_once("```\n").expect("which ends");
    block.to_owned()
}

/// What Debian's nginx.conf says around a site, but that nothing lies outside of `work`.
fn around(work: &str) -> String {
    // Started by root, nginx would have its workers run as somebody who cannot read the pool's files.
    let user = if getuid().is_root() { "user root;\n" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|of| format!("{of}_temp_path {work}/{of};\n"))
        .concat();
    format!(
        "{user}daemon off;\nworker_processes 1;\npid {work}/pid;\nerror_log {work}/error.log;\n\
         events {{ worker_connections 256; }}\n\
         http {{\naccess_log off;\n{temporary}include {work}/site.conf;\n}}\n"
    )
}

/// nginx takes no port of the kernel's choice, but a socket that another nginx handed over to it.
fn spawn(work: &str, listener: TcpListener) -> Child {
    Command::new(NGINX)
        .args(["-e", &format!("{work}/error.log"), "-p", work, "-c", &format!("{work}/nginx.conf")])
        .env_clear()
        .env("NGINX", "0;")
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{NGINX} does not start: {error}; tests/lab/packages front"))
}
