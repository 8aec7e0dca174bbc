//! Stock Nix announces debug information, and copies and substitutes realisations.

use std::fs;
use std::io::Write;

use schema::key::PublicKey;
use schema::realisation::{DrvOutput, SignedRealisation};
use tests::lab::{Builder, Lab, hash_part, same_files};
use tests::nar::unpack;
use tests::nix::{Host, Version};

use super::signers;

tests::with_each_nix!(
    content_addressed_paths_are_substituted_by_what_signers_realised,
    realisations_that_nobody_signed_are_refused_with_the_reason,
    debug_information_is_found_in_the_nar_that_was_pushed,
);

const CONTENT_ADDRESSED: &str = r#"
let
  build = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    PATH = "/usr/bin:/bin";
    args = [ "-euc" script ];
    __contentAddressed = true;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
  };
  inner = build "inner" "echo inner > $out";
in
build "outer" "mkdir $out; ln -s ${inner} $out/inner"
"#;

const WITH_DEBUG_INFORMATION: &str = r#"
derivation {
  name = "program-debug";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  PATH = "/usr/bin:/bin";
  args = [ "-euc" ''
    mkdir -p $out/lib/debug/.build-id/ab
    echo all the symbols > $out/lib/debug/.build-id/ab/cdef0123456789abcdef0123456789abcdef01.debug
  '' ];
}
"#;

/// Adds lines to a machine's nix.conf.
fn configure(host: &Host, lines: &str) {
    host.run(&["nix-store", "--version"]).ok();
    let conf = fs::File::options().append(true).open(host.dir().join("etc/nix.conf"));
    writeln!(conf.unwrap(), "experimental-features = nix-command ca-derivations\n{lines}").unwrap();
}

fn expression(lab: &Lab, text: &str) -> String {
    let file = lab.host("source").dir().join("expression.nix");
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

fn build(host: &Host, file: &str) -> String {
    host.run(&["nix-build", "--no-out-link", file]).ok().trim().to_owned()
}

/// Pushes with realisations: they go with what was evaluated, not with a path.
fn push(lab: &Lab, who: &Builder, file: &str) -> tests::program::Outcome {
    let address = who.push_address(&lab.server, "compression=zstd");
    who.host.run(&["nix", "copy", "--to", &address, "--file", file])
}

/// Gets what `file` evaluates to from a view, and builds nothing.
fn substitute(
    lab: &Lab,
    name: &str,
    view: &str,
    keys: &str,
    file: &str,
) -> (Host, tests::program::Outcome) {
    let host = lab.host(name);
    configure(&host, "");
    let view = lab.server.url(view);
    let outcome = host.run(
        &[
            &["nix", "build", "--no-link", "--max-jobs", "0", "--file", file][..],
            &["--option", "substituters", &view, "--option", "trusted-public-keys", keys],
        ]
        .concat(),
    );
    (host, outcome)
}

/// The output's id, as Nix says.
fn id(host: &Host, file: &str) -> DrvOutput {
    let json = host.run(&["nix", "realisation", "info", "--json", "--file", file]).ok();
    let told: Vec<SignedRealisation> = serde_json::from_str(&json).unwrap();
    told[0].realisation.id.clone()
}

async fn content_addressed_paths_are_substituted_by_what_signers_realised(version: Version) {
    let lab = Lab::start(version, &[]);
    let file = expression(&lab, CONTENT_ADDRESSED);
    let alice = lab.signer("alice").await;
    let bob = lab.signer("bob").await;
    for who in [&alice, &bob] {
        configure(&who.host, &format!("secret-key-files = {}", who.secret()));
    }
    let top = build(&alice.host, &file);
    push(&lab, &alice, &file).ok();

    let address = format!("realisations/{}.doi", id(&alice.host, &file));
    let shown = lab.admin.get(&format!("/{address}")).await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    let shown: SignedRealisation = serde_json::from_slice(&shown.body).unwrap();
    assert_eq!(format!("/nix/store/{}", shown.realisation.out_path), top);
    let key: PublicKey = alice.public.parse().unwrap();
    assert_eq!(
        shown.verify(|name| (name == key.name()).then_some(&key)).unwrap().signatures().len(),
        1
    );

    for (name, view) in [("by-default", ""), ("by-alice", "/signers/1/alice")] {
        let (reader, outcome) = substitute(&lab, name, view, &alice.public, &file);
        outcome.ok();
        assert!(same_files(&alice.host, &reader, &top), "{view}");
    }
    let (reader, outcome) =
        substitute(&lab, "too-early", "/signers/2/alice,bob", &alice.public, &file);
    outcome.failed();
    assert!(!reader.files_of(&top).exists());

    assert_eq!(build(&bob.host, &file), top);
    push(&lab, &bob, &file).ok();
    let both = lab.admin.get(&format!("/signers/2/alice,bob/{address}")).await;
    let both: SignedRealisation = serde_json::from_slice(&both.body).unwrap();
    assert_eq!(signers(&both), ["alice", "bob"]);
    let (reader, outcome) = substitute(&lab, "by-both", "/signers/2/alice,bob", &bob.public, &file);
    outcome.ok();
    assert!(same_files(&bob.host, &reader, &top));
}

async fn realisations_that_nobody_signed_are_refused_with_the_reason(version: Version) {
    let lab = Lab::start(version, &[]);
    let file = expression(&lab, CONTENT_ADDRESSED);
    let alice = lab.signer("alice").await;
    configure(&alice.host, "");
    let top = build(&alice.host, &file);
    let refused = push(&lab, &alice, &file).failed();
    assert!(refused.contains("no signature by alice is there"), "{refused}");
    assert!(refused.contains("secret-key-files"), "{refused}");
    let missing = lab.admin.get(&format!("/realisations/{}.doi", id(&alice.host, &file))).await;
    assert!(missing.text().starts_with("never_seen: "), "{}", missing.text());
    // The path itself is signed by the push, and is there.
    assert_eq!(lab.admin.get(&format!("/{}.narinfo", hash_part(&top))).await.status, 200);
}

async fn debug_information_is_found_in_the_nar_that_was_pushed(version: Version) {
    let lab = Lab::start(version, &[]);
    let file = expression(&lab, WITH_DEBUG_INFORMATION);
    let address = "/as/alice/debuginfo/abcdef0123456789abcdef0123456789abcdef01.debug";
    let alice = lab.signer("alice").await;
    let bob = lab.signer("bob").await;
    for (who, compression) in [(&alice, "xz"), (&bob, "zstd")] {
        let top = build(&who.host, &file);
        let cache =
            who.push_address(&lab.server, &format!("index-debug-info=1&compression={compression}"));
        who.host.copy_to(&cache, &top).ok();

        let told = lab.admin.get(address).await.json();
        let member = told["member"].as_str().unwrap();
        let archive = told["archive"].as_str().unwrap().strip_prefix("..").unwrap();
        let nar = unpack(&lab.admin.get(&format!("/as/alice{archive}")).await.body).unwrap();
        let contents = b"all the symbols\n";
        assert!(nar.windows(contents.len()).any(|window| window == contents));
        assert_eq!(fs::read(who.host.files_of(&top).join(member)).unwrap(), contents);
        let narinfo = lab.admin.get(&format!("/as/alice/{}.narinfo", hash_part(&top))).await.text();
        assert!(narinfo.contains(&format!("\nURL: {}\n", &archive[1..])), "{narinfo}");
    }
    assert_eq!(lab.nar_files().len(), 1);
}
