//! A pool, and machines with real Guix around it.

use std::path::PathBuf;

use tempfile::TempDir;
use tests::cli::Cli;
use tests::guix::{Machine, Publisher};
use tests::lab::place_for_machines;
use tests::program::Outcome;
use tests::server::Server;

/// A pool and its machines, which go with it.
pub(super) struct Scene {
    pub(super) server: Server,
    pub(super) place: TempDir,
    _pool: TempDir,
}

/// A machine that has built the closure, and its key.
pub(super) struct Builder {
    pub(super) machine: Machine,
    pub(super) name: String,
    pub(super) key: String,
    pub(super) top: String,
}

impl Scene {
    pub(super) fn start(arguments: &[&str]) -> Self {
        let pool = tempfile::tempdir().unwrap();
        let server = Server::start(pool.path(), arguments);
        Self { server, place: place_for_machines(), _pool: pool }
    }

    /// Somebody with this token who runs `pool`.
    pub(super) fn cli(&self, token: &str) -> Cli {
        Cli::new(self.place.path(), &self.server, token)
    }

    /// The operator's `pool`.
    pub(super) fn operator(&self, arguments: &[&str]) -> Outcome {
        self.cli(&self.server.admin_token()).run(arguments)
    }

    /// A machine that has built the closure, and whose key the pool knows by the machine's name.
    pub(super) fn builder(&self, name: &str, flavour: Option<&str>) -> Builder {
        let machine = Machine::new(&self.place.path().join(name));
        let (top, key) = (machine.build_closure(flavour), machine.generate_key());
        let file = format!("{name}={}", text(machine.public_key_file()));
        let _ = self.operator(&["signer", "enrol", &file]).ok();
        Builder { machine, name: name.to_owned(), key, top }
    }

    /// A machine that knows these servers, and trusts these keys.
    pub(super) fn user(&self, name: &str, urls: &[&str], keys: &[&str]) -> Machine {
        let machine = Machine::with_servers(&self.place.path().join(name), urls);
        keys.iter().for_each(|key| machine.authorize(key));
        machine
    }

    /// The address of a view for Guix.
    pub(super) fn view(&self, view: &str) -> String {
        self.server.url(&format!("/gnu{view}"))
    }

    /// Has the pool gather the closure from a publisher.
    pub(super) fn import(&self, publisher: &Publisher, top: &str) -> Outcome {
        self.operator(&["import", &publisher.url(), "--closure", top, "--json"])
    }

    /// How many files of NARs the pool keeps.
    pub(super) fn nars(&self) -> usize {
        std::fs::read_dir(self.server.data().join("blobs/nar")).unwrap().count()
    }
}

pub(super) fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap()
}

/// The item of this name in a closure.
pub(super) fn named<'c>(closure: &'c [String], name: &str) -> &'c str {
    closure.iter().find(|item| item.ends_with(name)).expect("the closure has one of this name")
}

/// A policy that wants all of them.
pub(super) fn policy(builders: &[&Builder]) -> String {
    let mut text = "format = \"narpool-policy/1\"\nname = \"both\"\nversion = 1\n\
                    expires = 2100-01-01T00:00:00Z\nstore_dir = \"/gnu/store\"\n"
        .to_owned();
    let names: Vec<String> = builders.iter().map(|it| format!("\"{}\"", it.name)).collect();
    for builder in builders {
        let digits = builder.key.split('#').nth(1).unwrap();
        let name = &builder.name;
        text.push_str(&format!("[principal.{name}]\nkeys = [\"{name}:ecdsa:{digits}\"]\n"));
    }
    let members = names.join(", ");
    text + &format!(
        "[group.both]\nk = \"all\"\nmembers = [{members}]\n[default]\nrequire = \"group:both\"\n"
    )
}
