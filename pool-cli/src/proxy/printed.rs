//! What `--print-config` prints: how a host is set up to trust nothing but its own proxy.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use schema::guix::acl::{Acl, AclKey};
use schema::guix::ecdsa::EcdsaKey;
use schema::guix::key_file::print_public;
use schema::key::PublicKey;

use super::door::Loopback;
use crate::exit::Failure;

/// Where systemd keeps the state of the unit.
const STATE: &str = "/var/lib/narpool-proxy";

/// Which of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// All of them, each under its name.
    All,
    /// The lines for nix.conf.
    NixConf,
    /// A service and its socket.
    Systemd,
    /// The same as a NixOS module.
    NixOs,
    /// How guix-daemon is told, on any system.
    Guix,
    /// The same as a part of a Guix System configuration.
    GuixSystem,
}

/// What the files are made from.
pub(crate) struct Setup {
    /// Where the proxy listens.
    pub(crate) listen: Loopback,
    /// The host's key.
    pub(crate) key: PublicKey,
    /// The state directory in which that key lies.
    pub(crate) state: PathBuf,
    /// This program.
    pub(crate) program: PathBuf,
    /// The command line after `pool proxy`.
    pub(crate) words: Vec<Word>,
}

/// A word of a command line.
pub(crate) enum Word {
    /// As it is.
    Text(String),
    /// A file, which the service gets under this name. It may be secret, and may lie where the service
    /// sees nothing: systemd hands it over.
    File(&'static str, PathBuf),
}

impl Setup {
    /// The text to print.
    ///
    /// # Errors
    /// What is for another package manager than the policy's.
    pub(crate) fn print(&self, which: Which) -> Result<String> {
        let systemd = self.systemd();
        Ok(match (which, self.key.guix()) {
            (Which::Systemd, _) => systemd,
            (Which::NixConf, None) => self.nix_conf(),
            (Which::NixOs, None) => self.nixos(),
            (Which::All, None) => [self.nix_conf(), systemd, self.nixos()].join("\n"),
            (Which::Guix, Some(key)) => self.guix(key),
            (Which::GuixSystem, Some(key)) => self.guix_system(key),
            (Which::All, Some(key)) => [self.guix(key), systemd, self.guix_system(key)].join("\n"),
            (Which::NixConf | Which::NixOs, Some(_)) => {
                return Err(of_other("/gnu/store", "guix or guix-system").into());
            }
            (Which::Guix | Which::GuixSystem, None) => {
                return Err(of_other("another store than /gnu/store", "nix.conf or nixos").into());
            }
        })
    }

    fn nix_conf(&self) -> String {
        format!(
            "### /etc/nix/nix.conf: these lines instead of others of the same names\n\
             # The proxy is the only substituter, and its key the only one to be trusted: who else is\n\
             # believed is what the policy says. No `extra-` lines beside these, and no trusted-users:\n\
             # they may name other substituters.\n\
             substituters = http://{}\n\
             trusted-public-keys = {}\n\
             trusted-substituters =\n\
             require-sigs = true\n\
             # Nix would remember a refusal for an hour, even if the missing signer attests the path in\n\
             # the next minute. It can be told so for all substituters only.\n\
             narinfo-cache-negative-ttl = 0\n",
            self.listen, self.key
        )
    }

    fn systemd(&self) -> String {
        let mut text = format!(
            "{}### /etc/systemd/system/narpool-proxy.socket\n\
             [Unit]\n\
             Description=Socket of the narpool proxy\n\n\
             [Socket]\n\
             ListenStream={}\n\n\
             [Install]\n\
             WantedBy=sockets.target\n\n\
             ### /etc/systemd/system/narpool-proxy.service\n\
             [Unit]\n\
             Description=narpool proxy: what this host's policy allows, for its package manager\n\
             Requires=narpool-proxy.socket\n\
             After=network.target narpool-proxy.socket\n\n\
             [Service]\n\
             ExecStart={}\n",
            self.about_the_key(),
            self.listen,
            self.command()
        );
        for file in self.files() {
            let _ = writeln!(text, "LoadCredential={file}");
        }
        for (name, value) in SANDBOX {
            let _ = writeln!(text, "{name}={value}");
        }
        text
    }

    fn nixos(&self) -> String {
        let mut text = format!(
            "### a NixOS module\n{}\
             {{ lib, ... }}:\n\
             {{\n  \
               nix.settings = {{\n    \
                 substituters = lib.mkForce [ {} ];\n    \
                 trusted-public-keys = lib.mkForce [ {} ];\n    \
                 narinfo-cache-negative-ttl = 0;\n  \
               }};\n  \
               systemd.sockets.narpool-proxy = {{\n    \
                 wantedBy = [ \"sockets.target\" ];\n    \
                 listenStreams = [ {} ];\n  \
               }};\n  \
               systemd.services.narpool-proxy = {{\n    \
                 requires = [ \"narpool-proxy.socket\" ];\n    \
                 after = [ \"network.target\" \"narpool-proxy.socket\" ];\n    \
                 serviceConfig = {{\n      \
                   ExecStart = {};\n",
            self.about_the_key(),
            nix_string(&format!("http://{}", self.listen)),
            nix_string(&self.key.to_string()),
            nix_string(&self.listen.to_string()),
            nix_string(&self.command())
        );
        let files: Vec<String> = self.files().map(|file| nix_string(&file)).collect();
        let _ = writeln!(text, "      LoadCredential = [ {} ];", files.join(" "));
        for (name, value) in SANDBOX {
            let _ = writeln!(text, "      {name} = {};", nix_string(value));
        }
        text.push_str("    };\n  };\n}\n");
        text
    }

    fn guix(&self, key: &EcdsaKey) -> String {
        let acl = Acl { keys: vec![AclKey::Ecdsa(key.clone())] };
        format!(
            "### /etc/guix/acl: this key instead of all others. Who else is believed is what the policy\n\
             ### says.\n{}\n\
             ### The command line of guix-daemon: the proxy is the only one to be asked\n\
             guix-daemon --substitute-urls=http://{} --discover=no\n",
            acl.print(),
            self.listen
        )
    }

    fn guix_system(&self, key: &EcdsaKey) -> String {
        let key = print_public(key).replace('\\', "\\\\").replace('"', "\\\"");
        format!(
            "### a part of a Guix System configuration\n\
             (modify-services %base-services\n  \
               (guix-service-type config =>\n    \
                 (guix-configuration\n      \
                   (inherit config)\n      \
                   (substitute-urls '(\"http://{}\"))\n      \
                   (discover? #f)\n      \
                   (authorize-key? #t)\n      \
                   (authorized-keys\n        \
                     (list (plain-file \"narpool-proxy.pub\" \"{key}\"))))))\n",
            self.listen
        )
    }

    /// The unit looks for its key in its own state directory.
    fn about_the_key(&self) -> String {
        if self.state == Path::new(STATE) {
            return String::new();
        }
        format!(
            "### The key {} lies in {}, but the service\n\
             ### keeps its own in {STATE}. Print this again, as root and with\n\
             ### --state-dir {STATE}, or the package manager is told of the wrong key.\n",
            self.key.name(),
            self.state.display()
        )
    }

    fn command(&self) -> String {
        let mut words = vec![quoted(&self.program.to_string_lossy()), "proxy".to_owned()];
        words.extend(self.words.iter().map(|word| match word {
            Word::Text(text) => quoted(text),
            Word::File(name, _) => format!("${{CREDENTIALS_DIRECTORY}}/{name}"),
        }));
        words.join(" ")
    }

    fn files(&self) -> impl Iterator<Item = String> {
        self.words.iter().filter_map(|word| match word {
            Word::Text(_) => None,
            Word::File(name, path) => {
                Some(format!("{name}:{}", path.to_string_lossy().replace('%', "%%")))
            }
        })
    }
}

fn of_other(store: &str, which: &str) -> Failure {
    Failure::could_not_tell(format!("the policy is about {store}"))
        .hint(format!("--print-config={which}"))
}

/// All that the service needs is its state directory and the network.
const SANDBOX: [(&str, &str); 32] = [
    ("Type", "notify"),
    ("Restart", "on-failure"),
    ("DynamicUser", "yes"),
    ("StateDirectory", "narpool-proxy"),
    ("StateDirectoryMode", "0700"),
    ("UMask", "0077"),
    ("CapabilityBoundingSet", ""),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("NoNewPrivileges", "yes"),
    ("PrivateDevices", "yes"),
    ("PrivateTmp", "yes"),
    ("PrivateUsers", "yes"),
    ("ProcSubset", "pid"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHome", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectProc", "invisible"),
    ("ProtectSystem", "strict"),
    ("RemoveIPC", "yes"),
    ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallErrorNumber", "EPERM"),
    ("SystemCallFilter", "@system-service"),
    ("TimeoutStopSec", "45"),
];

/// One word of a command line of systemd's.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,+@".contains(&byte);
    if word.bytes().all(plain) {
        return word.to_owned();
    }
    let escapes = [('\\', "\\\\"), ('"', "\\\""), ('%', "%%"), ('$', "$$")];
    let escaped = escapes.iter().fold(word.to_owned(), |word, (from, to)| word.replace(*from, to));
    format!("\"{escaped}\"")
}

fn nix_string(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${");
    format!("\"{text}\"")
}
