//! Where a user's files belong, by the XDG base directory specification.

use std::env;
use std::path::PathBuf;

/// What `pool login` keeps.
pub(crate) fn config() -> PathBuf {
    dir("XDG_CONFIG_HOME", ".config", "/etc/narpool")
}

/// What must survive a restart of the machine.
pub(crate) fn state() -> PathBuf {
    dir("XDG_STATE_HOME", ".local/state", "/var/lib/narpool")
}

/// `daemon` serves where there is no home: a Nix daemon starts its hooks without one.
fn dir(variable: &str, in_home: &str, daemon: &str) -> PathBuf {
    // The specification says to pass over relative paths.
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    match (absolute(variable), absolute("HOME")) {
        (Some(base), _) => base.join("narpool"),
        (None, Some(home)) => home.join(in_home).join("narpool"),
        (None, None) => PathBuf::from(daemon),
    }
}
