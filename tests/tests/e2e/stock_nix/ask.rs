//! What stock Nix can ask of a pool besides substituting.

use tests::lab::{Lab, hash_part};
use tests::nix::Version;

tests::with_each_nix!(every_question_is_answered);

async fn every_question_is_answered(version: Version) {
    let lab = Lab::start(version, &[]);
    let alice = lab.builder("alice", None).await;
    let (pool, top) = (lab.server.url(""), &alice.top);
    alice.push(&lab.server, "compression=zstd").ok();
    let reader = lab.host("reader");

    let mut known: Vec<_> = reader
        .run(&["nix", "path-info", "-r", "--store", &pool, top])
        .ok()
        .lines()
        .map(str::to_owned)
        .collect();
    let mut closure = alice.host.closure(top);
    known.sort();
    closure.sort();
    assert_eq!(known, closure);
    let signatures = reader.run(&["nix", "path-info", "--sigs", "--store", &pool, top]).ok();
    assert!(signatures.contains("alice:"), "{signatures}");
    let json = reader.run(&["nix", "path-info", "--json", "--store", &pool, top]).ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let info = if json.is_array() { &json[0] } else { &json[top.as_str()] };
    assert!(info["narSize"].as_u64() > Some(500), "{json}");
    assert!(info["downloadSize"].as_u64() > Some(100), "{json}");

    let listed = reader.run(&["nix", "store", "ls", "--store", &pool, "-lR", top]).ok();
    assert!(
        listed.lines().any(|line| line.starts_with("-r-xr-xr-x") && line.ends_with("./bin/app")),
        "{listed}"
    );
    let app =
        reader.run(&["nix", "store", "cat", "--store", &pool, &format!("{top}/bin/app")]).ok();
    assert_eq!(app, std::fs::read_to_string(alice.host.files_of(top).join("bin/app")).unwrap());
    let keys = ["--option", "trusted-public-keys", &alice.public];
    reader
        .run(&[&["nix", "store", "verify", "--store", &pool, "-r", top], &keys[..]].concat())
        .ok();

    let absent = top.replace(hash_part(top), "00000000000000000000000000000000");
    reader.run(&["nix", "path-info", "--store", &pool, &absent]).failed();

    let none_yet = reader.run(&["nix", "log", "--store", &pool, top]).failed();
    assert!(none_yet.contains("not available"), "{none_yet}");
    let derivation = alice.host.run(&["nix-store", "-q", "--deriver", top]).ok();
    let derivation = derivation.trim();
    alice
        .host
        .run(&["nix", "store", "copy-log", "--to", &lab.server.url("/as/alice"), derivation])
        .ok();
    assert_eq!(reader.run(&["nix", "log", "--store", &pool, top]).ok(), "building app-1.0\n");
}
