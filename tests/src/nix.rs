//! Stock Nix clients, two versions, each on machines of their own: a directory with a store, a
//! home and a configuration.

/// Runs each test once with each Nix: an `async fn` that takes a [`Version`].
#[macro_export]
macro_rules! with_each_nix {
    ($($test:ident),+ $(,)?) => {
        mod stable {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::nix::Version::Stable).await;
            })+
        }
        mod current {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::nix::Version::Current).await;
            })+
        }
    };
}

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Outcome, project};

/// Which Nix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 2.8, from Debian bookworm.
    Stable,
    /// Whatever Debian sid has: 2.34 or later.
    Current,
}

impl Version {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Stable, Self::Current];

    fn wrapper(self) -> PathBuf {
        let name = match self {
            Self::Stable => "nix-stable",
            Self::Current => "nix-current",
        };
        project().join("tests/lab").join(name)
    }
}

/// One machine with Nix.
pub struct Host {
    dir: PathBuf,
    version: Version,
}

impl Host {
    /// A machine that lives in `dir`.
    ///
    /// # Panics
    /// When the directory cannot be made.
    #[must_use]
    pub fn new(dir: &Path, version: Version) -> Self {
        fs::create_dir_all(dir).expect("the host's directory can be made");
        Self { dir: dir.to_owned(), version }
    }

    /// Where it lives.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The root of its store: `/nix/store/x` lies at `root/nix/store/x`.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// Runs a Nix program, such as `["nix-store", "--realise", path]`.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(self.version.wrapper());
        Outcome::of(command.arg(&self.dir).args(arguments))
    }

    /// Builds the closure of `tests/lab/closure` in this store; answers with its top path. A
    /// flavour changes the NAR of one path, under the same store path.
    ///
    /// # Panics
    /// When it cannot be built.
    #[must_use]
    pub fn build_closure(&self, flavour: Option<&str>) -> String {
        let mut command = Command::new(project().join("tests/lab/closure"));
        Outcome::of(command.arg(&self.dir).args(flavour)).ok().trim().to_owned()
    }

    /// The closure of a path of this store: every path once, references first.
    ///
    /// # Panics
    /// When the path is not there.
    #[must_use]
    pub fn closure(&self, path: &str) -> Vec<String> {
        self.run(&["nix-store", "-qR", path]).ok().lines().map(str::to_owned).collect()
    }

    /// Pushes the closure of a path to a cache.
    #[must_use]
    pub fn copy_to(&self, cache: &str, path: &str) -> Outcome {
        self.run(&["nix", "copy", "--to", cache, path])
    }

    /// Fetches the closure of a path from a cache, trusting only these keys.
    #[must_use]
    pub fn copy_from(&self, cache: &str, trusted: &[&str], path: &str) -> Outcome {
        let trusted = trusted.join(" ");
        self.run(&[
            "nix",
            "copy",
            "--from",
            cache,
            path,
            "--option",
            "trusted-public-keys",
            &trusted,
        ])
    }

    /// Substitutes a path from a cache, trusting only these keys.
    #[must_use]
    pub fn realise(&self, cache: &str, trusted: &[&str], path: &str) -> Outcome {
        let trusted = trusted.join(" ");
        let substituters = ["--option", "substituters", cache];
        let keys = ["--option", "trusted-public-keys", &trusted];
        self.run(&[&["nix-store", "--realise", path], &substituters[..], &keys].concat())
    }

    /// Where the files of a store path lie.
    #[must_use]
    pub fn files_of(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// Makes a key pair called `name`; answers with the secret's file and the public line.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn make_key(&self, name: &str) -> (PathBuf, String) {
        let (secret, public) =
            (self.dir.join(format!("{name}.sec")), self.dir.join(format!("{name}.pub")));
        let files =
            [secret.to_str(), public.to_str()].map(|path| path.expect("paths in tests are UTF-8"));
        let made =
            self.run(&["nix-store", "--generate-binary-cache-key", name, files[0], files[1]]);
        let _ = made.ok();
        let public = fs::read_to_string(public).expect("nix-store writes the public key");
        (secret, public.trim().to_owned())
    }

    /// Forgets every narinfo and every 404 this machine has cached.
    pub fn forget(&self) {
        let _ = fs::remove_dir_all(self.dir.join("home/.cache"));
    }

    /// Gives this machine a token for every server on loopback.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn log_in(&self, token: &str) {
        let etc = self.dir.join("etc");
        fs::create_dir_all(&etc).expect("etc can be made");
        fs::write(etc.join("netrc"), format!("machine 127.0.0.1 login pool password {token}\n"))
            .expect("netrc can be written");
    }
}
