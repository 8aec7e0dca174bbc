//! Two builders whose NARs for one store path differ.

use std::fs;

use tests::cli::Cli;
use tests::lab::{Lab, hash_part};
use tests::nix::{Host, Version};

tests::with_each_nix!(each_view_serves_what_its_signer_built);

async fn each_view_serves_what_its_signer_built(version: Version) {
    let lab = Lab::start(version, &[]);
    let alice = lab.builder("alice", Some("vanilla")).await;
    let bob = lab.builder("bob", Some("chocolate")).await;
    let carol = lab.signer("carol").await;
    assert_eq!(alice.top, bob.top);
    let closure = alice.host.closure(&alice.top);
    let flavoured = closure.iter().find(|path| path.ends_with("-flavoured")).unwrap();
    let flavour = |host: &Host| fs::read_to_string(host.files_of(flavoured)).unwrap();
    alice.push(&lab.server, "compression=zstd").ok();
    bob.push(&lab.server, "compression=zstd").ok();
    assert_eq!(lab.nar_files().len(), closure.len() + 1, "both are stored");

    let keys = [&*alice.public, &bob.public];
    let fetch = |name: &str, view: &str| {
        let reader = lab.host(name);
        reader.realise(&lab.server.url(view), &keys, &alice.top).ok();
        flavour(&reader)
    };
    assert_eq!(fetch("reads-as-alice", "/as/alice"), "vanilla\n");
    assert_eq!(fetch("reads-as-bob", "/as/bob"), "chocolate\n");
    assert_eq!(fetch("reads-alice", "/signers/1/alice"), "vanilla\n");
    assert_eq!(fetch("reads-bob", "/signers/1/bob"), "chocolate\n");
    // One signer each: the oldest claim.
    assert_eq!(fetch("reads-either", "/signers/1/bob,alice"), "vanilla\n");
    assert_eq!(fetch("reads-default", ""), "vanilla\n");
    // What bob signed is not there, so alice's is not taken in its place.
    let trusts_bob = lab.host("trusts-bob");
    trusts_bob.realise(&lab.server.url(""), &[&bob.public], flavoured).failed();
    assert!(!trusts_bob.files_of(flavoured).exists());

    let both = |path: &str| format!("/signers/2/alice,bob/{}.narinfo", hash_part(path));
    let refused = lab.admin.get(&both(flavoured)).await;
    assert_eq!(refused.status, 404);
    assert!(refused.text().contains("disagree"), "{}", refused.text());
    assert_eq!(lab.admin.get(&both(&alice.top)).await.status, 200, "about the rest they agree");

    let cli = Cli::new(carol.host.dir(), &lab.server, &lab.server.token("attest"));
    let shown = cli.run(&["show", flavoured]).ok();
    let at = |what: &str| shown.find(what).unwrap_or_else(|| panic!("no {what} in {shown}"));
    assert!(
        at("claim 1") < at("signed by   alice") && at("signed by   alice") < at("claim 2"),
        "{shown}"
    );
    assert!(
        at("claim 2") < at("signed by   bob") && at("signed by   bob") < at("DISAGREE"),
        "{shown}"
    );

    // Carol built what bob did, and two are more than one.
    cli.run(&["attest", &bob.top, "--store", &bob.store(), "--key", carol.secret()]).ok();
    assert_eq!(fetch("reads-most", ""), "chocolate\n");
    assert_eq!(fetch("reads-two", "/signers/2/alice,bob,carol"), "chocolate\n");
}
