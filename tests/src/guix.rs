//! Stock Guix on machines of their own: each has a store, a daemon, keys and a name, and all of it
//! lies in one directory. What is told in Scheme runs in `guix repl`, on the machine.

mod confined;
mod publish;
mod substitutes;

use std::fs;
use std::io::{ErrorKind, Seek, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use confined::Confined;
pub use publish::Publisher;
pub use substitutes::{Download, downloads};

use crate::deadline::wait_for;
use crate::program::{Outcome, project};

/// Builds run without a chroot, as root: `tests/lab/guix-closure.scm` uses the machine's own tools.
const DAEMON: [&str; 4] =
    ["guix-daemon", "--disable-chroot", "--build-users-group=", "--no-offload"];

/// What `tests/lab/as-guix` binds in its place, and what the daemon listens on.
const SOCKET: &str = "var/guix/daemon-socket/socket";

/// One machine with Guix, whose daemon runs for as long as it lives.
pub struct Machine {
    dir: PathBuf,
    daemon: Confined,
}

impl Machine {
    /// A machine that lives in `dir`, is called like it, and knows no substitute servers.
    ///
    /// # Panics
    /// When its daemon does not start.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self::with_servers(dir, &[])
    }

    /// A machine whose administrator has chosen substitute servers, in this order, but has not
    /// trusted anybody yet: see [`Machine::authorize`].
    ///
    /// # Panics
    /// When its daemon does not start.
    #[must_use]
    pub fn with_servers(dir: &Path, urls: &[&str]) -> Self {
        let (socket, log) = (dir.join(SOCKET), dir.join("daemon.log"));
        fs::create_dir_all(dir).expect("the machine's directory can be made");
        let urls = format!("--substitute-urls={}", urls.join(" "));
        let command = on_machine(dir, &[&DAEMON[..], &[&urls]].concat());
        let mut daemon = Confined::start(command, Stdio::null(), &log);
        wait_for("the Guix daemon", || {
            daemon.must_run();
            let connected = UnixStream::connect(&socket);
            if let Err(error) = &connected {
                assert_ne!(error.kind(), ErrorKind::InvalidInput, "{}: {error}", socket.display());
            }
            connected.ok()
        });
        Self { dir: dir.to_owned(), daemon }
    }

    /// Where it lives: its `/tmp` is `tmp` in there, and so on; see `tests/lab/as-guix`.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What its daemon has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// Runs a program on it.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, "")
    }

    /// Runs a program on it that reads `input`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Outcome {
        // A file, because a pipe may be full before the program reads.
        let mut file = tempfile::tempfile().expect("there is a place for temporary files");
        file.write_all(input.as_bytes()).expect("the input can be written");
        file.rewind().expect("a file can be read from its start");
        Outcome::of(on_machine(&self.dir, arguments).stdin(file))
    }

    /// Runs `guix`, such as `["gc", "--verify"]`. Beware of `guix build ITEM`: it succeeds even if
    /// the item was not substituted. See [`Machine::ensure`].
    #[must_use]
    pub fn guix(&self, arguments: &[&str]) -> Outcome {
        self.run(&[&["guix"], arguments].concat())
    }

    /// Runs Scheme code with `guix repl`, and with arguments in its `(command-line)`. An error in
    /// it, or one that the daemon reports, makes it fail.
    #[must_use]
    pub fn repl(&self, code: &str, arguments: &[&str]) -> Outcome {
        self.run_with(&[&["guix", "repl", "--", "/dev/stdin"], arguments].concat(), code)
    }

    /// Where a store item's files lie.
    #[must_use]
    pub fn files_of(&self, item: &str) -> PathBuf {
        self.dir.join(item.trim_start_matches('/'))
    }

    /// Builds the closure of `tests/lab/guix-closure.scm`, from no substitutes; answers with its
    /// top. A flavour changes the NAR of the item named `flavoured`, under the same store path; it
    /// is chosen when the machine builds for the first time.
    ///
    /// # Panics
    /// When it cannot be built, or was built with another flavour before.
    #[must_use]
    pub fn build_closure(&self, flavour: Option<&str>) -> String {
        if let Some(flavour) = flavour {
            fs::write(self.dir.join("tmp/flavour"), flavour).expect("a file can be written");
        }
        let code = fs::read_to_string(project().join("tests/lab/guix-closure.scm"));
        let built = self.repl(&code.expect("the lab knows what to build"), &[]);
        let top = built.ok().trim().to_owned();
        let closure = self.closure(&top);
        let flavoured = closure.iter().find(|item| item.ends_with("-flavoured"));
        let flavoured = self.files_of(flavoured.expect("the closure has a flavour"));
        let held = fs::read_to_string(flavoured).expect("it is a file");
        assert!(flavour.is_none_or(|flavour| flavour == held), "already built as {held:?}");
        top
    }

    /// The closure of an item that it holds: every item once, references first.
    ///
    /// # Panics
    /// When it does not hold the item.
    #[must_use]
    pub fn closure(&self, item: &str) -> Vec<String> {
        self.guix(&["gc", "--requisites", item]).ok().lines().map(str::to_owned).collect()
    }

    /// Whether an item is in its store, and valid.
    ///
    /// # Panics
    /// When the daemon does not say.
    #[must_use]
    pub fn holds(&self, item: &str) -> bool {
        let code = "(use-modules (guix store))
            (display (with-store store (valid-path? store (cadr (command-line)))))";
        match self.repl(code, &[item]).ok().as_str() {
            "#t" => true,
            "#f" => false,
            other => panic!("{other} is no answer"),
        }
    }

    /// The hash of the NAR of an item that it holds, as narinfos have it: `sha256:` and base 32.
    ///
    /// # Panics
    /// When it does not hold the item.
    #[must_use]
    pub fn nar_hash(&self, item: &str) -> String {
        self.nar_hashes(&[item]).remove(0)
    }

    /// As [`Machine::nar_hash`], for several items in one go: Guix is slow to start.
    ///
    /// # Panics
    /// When it does not hold one of them.
    #[must_use]
    pub fn nar_hashes(&self, items: &[&str]) -> Vec<String> {
        let code = "(use-modules (guix store) (guix base32))
            (define (hash store item)
              (format #t \"sha256:~a~%\"
                      (bytevector->nix-base32-string (query-path-hash store item))))
            (with-store store
              (for-each (lambda (item) (hash store item)) (cdr (command-line))))";
        self.repl(code, items).ok().lines().map(str::to_owned).collect()
    }

    /// Checks the hash of every item in its store; fails if one is not what it should be.
    #[must_use]
    pub fn verify(&self) -> Outcome {
        self.guix(&["gc", "--verify=contents"])
    }

    /// Makes its key pair; answers with the public key, an s-expression.
    ///
    /// # Panics
    /// When it has one.
    #[must_use]
    pub fn generate_key(&self) -> String {
        let _ = self.guix(&["archive", "--generate-key"]).ok();
        fs::read_to_string(self.public_key_file()).expect("guix writes the public key")
    }

    /// The file of its secret key, as seen from outside.
    #[must_use]
    pub fn secret_key_file(&self) -> PathBuf {
        self.dir.join("etc/signing-key.sec")
    }

    /// The file of its public key, as seen from outside.
    #[must_use]
    pub fn public_key_file(&self) -> PathBuf {
        self.dir.join("etc/signing-key.pub")
    }

    /// Has it trust what a key signed: a public key, as [`Machine::generate_key`] answers it.
    ///
    /// # Panics
    /// When Guix does not take the key.
    pub fn authorize(&self, public_key: &str) {
        let _ = self.run_with(&["guix", "archive", "--authorize"], public_key).ok();
    }

    /// Replaces its whole list of trusted keys, which Guix does not check.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_acl(&self, text: &str) {
        fs::write(self.dir.join("etc/acl"), text).expect("the ACL can be written");
    }

    /// Publishes its store, with arguments such as `["-C", "zstd"]`. With
    /// `--cache=/var/cache/publish` it bakes items first, but serves those below
    /// `--cache-bypass-threshold` at once.
    ///
    /// # Panics
    /// When `guix publish` does not answer, as without a key pair.
    #[must_use]
    pub fn publish(&self, arguments: &[&str]) -> Publisher {
        Publisher::start(&self.dir, arguments)
    }
}

/// A program on the machine that lives in `dir`.
fn on_machine(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(project().join("tests/lab/as-guix"));
    command.arg(dir).args(arguments);
    command
}
