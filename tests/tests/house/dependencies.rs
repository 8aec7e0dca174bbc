//! Which package may depend on which, as `cargo metadata` tells.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tests::program::Outcome;

use super::homes::{AT_HOME_ANYWHERE, HOMES};
use super::project::Project;

/// Every member, and the members it may know.
const MEMBERS: [(&str, &[&str]); 4] = [
    ("schema", &[]),
    ("pool-server", &["schema"]),
    ("pool-cli", &["schema"]),
    ("tests", &["schema", "pool-server"]),
];

pub(super) fn breaches(project: &Project) -> Vec<String> {
    let metadata = metadata(&project.root);
    let packages = metadata["packages"].as_array().expect("cargo lists the packages");
    let mut names: Vec<_> = packages.iter().map(name).collect();
    names.sort_unstable();
    let mut breaches = Vec::new();
    if names != ["pool-cli", "pool-server", "schema", "tests"] {
        breaches.push(format!("the members are {names:?}"));
    }
    for package in packages {
        let allowed = MEMBERS.iter().find(|(member, _)| *member == name(package));
        let allowed = allowed.map_or(&[][..], |(_, allowed)| allowed);
        for dependency in package["dependencies"].as_array().expect("cargo lists the dependencies")
        {
            let for_tests = dependency["kind"] == "dev";
            breaches.extend(breach(name(package), name(dependency), allowed, for_tests));
        }
    }
    breaches
}

fn breach(package: &str, dependency: &str, allowed: &[&str], for_tests: bool) -> Option<String> {
    if MEMBERS.iter().any(|(member, _)| *member == dependency) {
        let known = allowed.contains(&dependency);
        return (!known).then(|| format!("{package} must not depend on {dependency}"));
    }
    let crate_name = dependency.replace('-', "_");
    let listed = HOMES.iter().any(|home| home.package == package && home.crate_name == crate_name)
        || AT_HOME_ANYWHERE
            .iter()
            .any(|(known, crates)| *known == package && crates.contains(&&*crate_name))
        || for_tests
        || package == "tests";
    (!listed).then(|| {
        format!("{package} depends on {dependency}, which has no home there: see homes.rs")
    })
}

fn name(value: &Value) -> &str {
    value["name"].as_str().expect("it has a name")
}

fn metadata(root: &Path) -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    serde_json::from_str(&Outcome::of(&mut command).ok()).expect("cargo speaks JSON")
}
