//! `pool challenge --diff`: which files differ.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use schema::compression::Compression;
use schema::store_path::StorePath;
use serde_json::{Value, json};
use tests::client::Client;
use tests::nar::{path, xz};
use tests::program::Outcome;

use super::{Scene, directory};

/// A path with three claims, packed in three ways; nobody pushed the NAR of the third.
async fn disputed(scene: &Scene) -> StorePath {
    let path = path("disputed", "disputed");
    let library = vec![7; 300_000];
    let mut patched = library.clone();
    patched[200_000] = 8;
    let one = directory(&[("bin*", b"#!"), ("lib.so", &library), ("same", b"same")]);
    let other =
        directory(&[("bin", b"#!"), ("lib.so", &patched), ("more", b""), ("same", b"same")]);
    let third = directory(&[]);
    scene.admin.push(&scene.alice, &path, &one, &[]).await;
    scene.admin.upload(&other, Compression::Xz, xz(&other)).await;
    scene.admin.vouch(&scene.bob, &path, &other, &[]).await;
    scene.admin.vouch(&scene.carol, &path, &third, &[]).await;
    path
}

async fn claims(client: &Client, path: &StorePath) -> Value {
    client.get(&format!("/api/v1/paths/{}", path.base().hash_part())).await.json()
}

#[tokio::test]
async fn the_files_that_differ_are_named() {
    let scene = Scene::start().await;
    let path = disputed(&scene).await;
    let outcome = scene.cli().run(&["challenge", "--diff", &path.to_string()]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let text = &outcome.stdout;
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in {text}"));
    let order = [
        "  1 and 2: 3 differences\n    bin: executable in 1 alone\n",
        "    lib.so: 300000 bytes in 1, 300000 in 2, different from byte 200000 on\n",
        "    more: file, only in 2\n",
        "  1 and 3: not compared: nobody pushed the NAR",
    ];
    assert!(order.map(at).is_sorted(), "{text}");
    assert!(!text.contains("same"), "{text}");
    assert!(outcome.stderr.contains("nobody pushed"), "{}", outcome.stderr);

    let outcome = scene.cli().run(&["challenge", "--json", "--diff=builtin", "--all"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let comparisons = &found["paths"][0]["comparisons"];
    assert_eq!(comparisons[0]["total"], 3);
    let differences = comparisons[0]["differences"].as_array().unwrap();
    assert_eq!(
        differences[0],
        json!({"path": "bin", "difference": "executable", "first": true, "second": false})
    );
    let contents = &differences[1];
    assert_eq!(
        (&contents["difference"], &contents["offset"]),
        (&json!("contents"), &json!(200_000))
    );
    assert_eq!(
        contents["first"]["sha256"],
        // Of 300 000 bytes 0x07.
        json!(sha256(&vec![7; 300_000]))
    );
    assert_eq!(
        differences[2],
        json!({"path": "more", "difference": "only_in_second", "kind": "file"})
    );
    assert!(comparisons[1]["error"].as_str().unwrap().contains("nobody pushed"));
    assert_eq!(comparisons[1].get("differences"), None);
}

#[tokio::test]
async fn claims_may_differ_in_their_references_alone() {
    let scene = Scene::start().await;
    let path = path("refers", "refers");
    let nar = directory(&[]);
    scene.admin.push(&scene.alice, &path, &nar, &[]).await;
    scene.admin.vouch(&scene.bob, &path, &nar, &[path.base().clone()]).await;
    let outcome = scene.cli().run(&["challenge", "--diff", &path.to_string()]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(
        outcome.stdout.contains("     the NAR of 1, but not its references or size\n"),
        "{outcome:?}"
    );
    assert!(!outcome.stdout.contains("1 and"), "there is nothing to compare: {outcome:?}");
}

/// Somebody changes the file of a NAR at the pool, and the client sees it.
#[tokio::test]
async fn a_nar_that_was_tampered_with_is_not_compared() {
    let scene = Scene::start().await;
    let path = disputed(&scene).await;
    let report = claims(&scene.admin, &path).await;
    let url = report["claims"][1]["file"]["url"].as_str().unwrap();
    let blob = scene.server.data().join("blobs").join(url);
    let mut bytes = fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&blob, &bytes).unwrap();
    let outcome = scene.cli().run(&["challenge", "--diff", &path.to_string()]);
    assert_eq!(outcome.code, 1, "the disagreement is there all the same");
    assert!(outcome.stdout.contains("  1 and 2: not compared: "), "{outcome:?}");
    assert!(outcome.stderr.contains("sends another file than it says"), "{outcome:?}");
}

#[tokio::test]
async fn diffoscope_gets_the_files_if_it_is_there() {
    let scene = Scene::start().await;
    let path = path("disputed", "disputed");
    for (key, contents) in [(&scene.alice, &b"one"[..]), (&scene.bob, b"other")] {
        scene.admin.push(key, &path, &directory(&[("file", contents)]), &[]).await;
    }
    let name = path.to_string();
    let arguments = ["challenge", "--diff=diffoscope", &name];
    let bin = scene.dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let run = || Outcome::of(scene.cli().command(&arguments).env("PATH", &bin));
    let missing = run();
    assert_eq!(missing.code, 2);
    assert!(missing.stdout.contains("DISAGREE"), "what is known is told");
    assert!(missing.stderr.contains("error: diffoscope does not start"), "{missing:?}");
    assert!(missing.stderr.contains("hint: install it"), "{missing:?}");

    let fake = bin.join("diffoscope");
    let script = "#!/bin/sh\necho \"$@\"\nread -r one <\"$1/file\" || :\nread -r other <\"$2/file\" || :\n\
                  echo \"$one against $other\"\nexit 1\n";
    fs::write(&fake, script).unwrap();
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
    let found = run();
    assert_eq!(found.code, 1, "{found:?}");
    assert!(found.stdout.ends_with("one against other\n"), "{found:?}");
    let places = found.stdout.lines().rev().nth(1).unwrap();
    assert!(places.contains(&format!("/1/{} ", path.base())), "{places}");
    let place = places.split(' ').next().unwrap();
    assert!(!fs::exists(place).unwrap(), "nothing is left behind");

    fs::write(&fake, "#!/bin/sh\nexit 2\n").unwrap();
    let broken = run();
    assert_eq!(broken.code, 2, "{broken:?}");
    let json = scene.cli().run(&["challenge", "--json", "--diff=diffoscope", "--all"]);
    assert_eq!((json.code, &*json.stdout), (2, ""), "{json:?}");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
