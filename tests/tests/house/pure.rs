//! What the formats and rules are built from: nothing that could do I/O, wait, or tell the time.
//!
//! [`super::layers`] sees to it that their own code does nothing of that kind; this is about the code
//! of others that is compiled into them.

use std::collections::BTreeSet;
use std::process::Command;

use tests::program::Outcome;

/// Every package that `schema` is made of, on any platform, but those that only run in the compiler.
/// Before one is added here, somebody has looked at what it does.
const PARTS: [&str; 42] = [
    "base64",
    "block-buffer",
    "cfg-if",
    // Whether one number or the other, in the same time.
    "cmov",
    "const-oid",
    // How many bits a word has.
    "cpubits",
    "cpufeatures",
    "crypto-bigint",
    "crypto-common",
    "ctutils",
    "curve25519-dalek",
    "digest",
    "ed25519",
    "ed25519-dalek",
    "equivalent",
    "fiat-crypto",
    "hashbrown",
    "hmac",
    "hybrid-array",
    "indexmap",
    "itoa",
    // Asks which instructions the processor has, where `cpufeatures` does.
    "libc",
    "memchr",
    "num-traits",
    "schema",
    "serde",
    "serde_core",
    "serde_json",
    "serde_spanned",
    "sha2",
    "signature",
    "subtle",
    "thiserror",
    "toml",
    "toml_datetime",
    "toml_parser",
    "toml_writer",
    "typenum",
    "utoipa",
    "winnow",
    "zeroize",
    "zmij",
];

#[test]
fn the_rules_are_built_from_nothing_that_acts() {
    let expected: BTreeSet<String> = PARTS.iter().map(|part| (*part).to_owned()).collect();
    assert_eq!(parts("schema"), expected);
    // The same look at a program that does act finds what it acts with.
    let acting = ["tokio", "reqwest", "rustix", "mio"].map(str::to_owned);
    assert!(parts("pool-server").is_superset(&acting.into()));
}

fn parts(package: &str) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(tests::program::project()).args(["tree", "--package", package]);
    command.args(["--edges", "normal,no-proc-macro", "--target", "all", "--prefix", "none"]);
    command.args(["--format", "{p}", "--locked"]);
    let listed = Outcome::of(&mut command).ok();
    listed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}
