//! A pool, and people with stock Nix who use it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::client::Client;
use crate::nix::{Host, Version};
use crate::program::Outcome;
use crate::server::Server;

/// Free memory that takes the machines of several tests.
const ROOMY: u64 = 4 << 30;

/// A pool and the machines around it, which go with it.
pub struct Lab {
    /// The pool.
    pub server: Server,
    /// Somebody with its first token.
    pub admin: Client,
    /// Everybody's Nix.
    pub version: Version,
    machines: TempDir,
    _pool: TempDir,
}

impl Lab {
    /// A fresh pool, started with these arguments.
    ///
    /// # Panics
    /// When there is no place for it.
    #[must_use]
    pub fn start(version: Version, arguments: &[&str]) -> Self {
        let pool = tempfile::tempdir().expect("there is a place for temporary files");
        let server = Server::start(pool.path(), arguments);
        let admin = Client::admin(&server);
        Self { server, admin, version, machines: place_for_machines(), _pool: pool }
    }

    /// A machine with an empty store and no credentials.
    #[must_use]
    pub fn host(&self, name: &str) -> Host {
        Host::new(&self.machines.path().join(name), self.version)
    }

    /// A signer who has a key that is enrolled, a token to push with, and nothing in the store.
    pub async fn signer(&self, name: &str) -> Builder {
        let host = self.host(name);
        host.log_in(&self.server.token("read,upload,attest"));
        let (secret, public) = host.make_key(name);
        self.admin.enrol(&public.parse().expect("Nix makes good keys")).await;
        Builder { host, name: name.to_owned(), secret, public, top: String::new() }
    }

    /// A signer who has built the closure of `tests/lab/closure`.
    pub async fn builder(&self, name: &str, flavour: Option<&str>) -> Builder {
        let signer = self.signer(name).await;
        let top = signer.host.build_closure(flavour);
        Builder { top, ..signer }
    }

    /// The files in which the pool keeps NARs.
    ///
    /// # Panics
    /// When they cannot be listed.
    #[must_use]
    pub fn nar_files(&self) -> Vec<PathBuf> {
        let dir = std::fs::read_dir(self.server.data().join("blobs/nar"))
            .expect("the pool keeps NARs there");
        dir.map(|entry| entry.expect("it can be listed").path()).collect()
    }
}

/// Machines are thousands of small files each: they lie in memory where there is room, so that no
/// test waits for a busy disk.
///
/// # Panics
/// When there is no place.
#[must_use]
pub fn place_for_machines() -> TempDir {
    let memory = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(memory).map_or(0, |fs| fs.f_bavail * fs.f_frsize);
    let dir = if free > ROOMY { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    dir.expect("there is a place for temporary files")
}

/// Somebody whose signatures the pool keeps.
pub struct Builder {
    /// The machine.
    pub host: Host,
    /// The key's name.
    pub name: String,
    /// The file of the secret key.
    pub secret: PathBuf,
    /// The public key's line.
    pub public: String,
    /// The top of the closure that was built, if one was.
    pub top: String,
}

impl Builder {
    /// The secret key's file, for command lines.
    ///
    /// # Panics
    /// Never: paths in tests are UTF-8.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.secret.to_str().expect("paths in tests are UTF-8")
    }

    /// The root of the machine's store, for command lines.
    ///
    /// # Panics
    /// Never: paths in tests are UTF-8.
    #[must_use]
    pub fn store(&self) -> String {
        self.host.root().to_str().expect("paths in tests are UTF-8").to_owned()
    }

    /// The address under which this builder pushes, with settings such as `compression=xz`.
    #[must_use]
    pub fn push_address(&self, server: &Server, settings: &str) -> String {
        server.url(&format!("/as/{}?secret-key={}&{settings}", self.name, self.secret()))
    }

    /// Pushes the closure that was built with stock Nix.
    #[must_use]
    pub fn push(&self, server: &Server, settings: &str) -> Outcome {
        self.host.copy_to(&self.push_address(server, settings), &self.top)
    }
}

/// Whether two machines have the same files under a store path. Nix keeps no times, and checks
/// what it fetches; so this would only differ if Nix were deceived.
#[must_use]
pub fn same_files(one: &Host, other: &Host, path: &str) -> bool {
    let mut diff = Command::new("diff");
    diff.args(["--recursive", "--no-dereference", "--brief"])
        .args([one.files_of(path), other.files_of(path)]);
    Outcome::of(&mut diff).code == 0
}

/// The hash part of a store path.
///
/// # Panics
/// When it is not one.
#[must_use]
pub fn hash_part(path: &str) -> &str {
    &path["/nix/store/".len()..][..32]
}
