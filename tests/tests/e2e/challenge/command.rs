//! `pool challenge`: text, JSON, totals, closures and exit codes.

use std::fs;
use std::path::Path;

use schema::hash::NarHash;
use schema::store_path::StorePath;
use serde_json::{Value, json};
use tests::cli::Cli;
use tests::lab::Lab;
use tests::nar::{file, path};
use tests::nix::Version;

use super::Scene;

/// A binary cache in a directory, as `nix copy --to file://…` makes it, as the local store.
fn local_store(dir: &Path, paths: &[(&StorePath, &[u8], &[&StorePath])]) -> String {
    let dir = dir.join("cache");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
    for (path, nar, references) in paths {
        let hash_part = path.base().hash_part();
        let references: Vec<&str> = references.iter().map(|path| path.base().as_str()).collect();
        let narinfo = format!(
            "StorePath: {path}\nURL: {hash_part}.nar\nCompression: none\nNarHash: {}\nNarSize: {}\n\
             References: {}\n",
            NarHash::of(nar),
            nar.len(),
            references.join(" ")
        );
        fs::write(dir.join(format!("{hash_part}.narinfo")), narinfo).unwrap();
        fs::write(dir.join(format!("{hash_part}.nar")), nar).unwrap();
    }
    format!("file://{}", dir.display())
}

fn json_of(cli: &Cli, arguments: &[&str], code: i32) -> Value {
    let outcome = cli.run(&[&["challenge", "--json"], arguments].concat());
    assert_eq!(outcome.code, code, "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[tokio::test]
async fn people_are_told_who_says_what_and_what_it_comes_to() {
    let scene = Scene::start().await;
    let [agreed, alone, split] = ["1", "2", "3"].map(|seed| path(seed, "hello-2.12"));
    let (a, b) = (file(b"a"), file(b"b"));
    for (path, nar, signer) in [
        (&agreed, &a, &scene.alice),
        (&agreed, &a, &scene.bob),
        (&alone, &a, &scene.alice),
        (&split, &a, &scene.bob),
        (&split, &b, &scene.carol),
        (&split, &a, &scene.alice),
    ] {
        scene.admin.vouch(signer, path, nar, &[]).await;
    }
    let (hash_a, hash_b) = (NarHash::of(&a), NarHash::of(&b));
    let mut named = [&agreed, &alone, &split].map(|path| path.to_string());
    named.sort();
    let arguments: Vec<&str> = named.iter().rev().map(String::as_str).collect();
    let line = |path: &String| match path {
        path if *path == agreed.to_string() => {
            format!("agree     {path}\n  1  {hash_a}  alice, bob\n")
        }
        path if *path == alone.to_string() => format!("alone     {path}\n  1  {hash_a}  alice\n"),
        path => format!("DISAGREE  {path}\n  1  {hash_a}  alice, bob\n  2  {hash_b}  carol\n"),
    };
    let expected = named.iter().map(line).collect::<String>()
        + "3 paths: 1 disagree, 1 agree, 1 alone, 0 unknown\n\
           signer   paths  agreed  disagreed  alone\n\
           alice        3       2          1      1\n\
           bob          2       2          1      0\n\
           carol        1       0          1      0\n";
    let outcome = scene.cli().run(&[&["challenge"], &arguments[..]].concat());
    assert_eq!((outcome.code, &*outcome.stdout, &*outcome.stderr), (1, &*expected, ""));
    // The local store has carol's, and what alice says of the other.
    let store = local_store(scene.dir.path(), &[(&split, &b, &[]), (&alone, &a, &[])]);
    let found = json_of(&scene.cli(), &["--store", &store, &split.to_string()], 1);
    assert_eq!(
        found,
        json!({
            "paths": [{
                "hash_part": split.base().hash_part(),
                "store_path": split,
                "verdict": "disagree",
                "local": hash_b,
                "claims": [
                    {"claim": found["paths"][0]["claims"][0]["claim"], "nar_hash": hash_a,
                     "local": false, "signers": ["alice", "bob"]},
                    {"claim": found["paths"][0]["claims"][1]["claim"], "nar_hash": hash_b,
                     "local": true, "signers": ["carol"]},
                ],
            }],
            "signers": [
                {"signer": "alice", "paths": 1, "agreed": 1, "disagreed": 1, "alone": 0},
                {"signer": "bob", "paths": 1, "agreed": 1, "disagreed": 1, "alone": 0},
                {"signer": "carol", "paths": 1, "agreed": 0, "disagreed": 1, "alone": 0},
            ],
            "disagree": 1, "agree": 0, "alone": 0, "unknown": 0,
        })
    );
    let all = json_of(&scene.cli(), &["--all"], 1);
    assert_eq!(all["paths"].as_array().unwrap().len(), 1);
    assert_eq!(all["paths"][0]["store_path"], json!(split));
    let agrees = json_of(&scene.cli(), &["--store", &store, &alone.to_string()], 0);
    assert_eq!(agrees["paths"][0]["verdict"], "agree", "the local store has the same");
}

#[tokio::test]
async fn the_exit_status_tells_no_yes_and_perhaps() {
    let scene = Scene::start().await;
    let [agreed, unknown, split] = ["1", "2", "3"].map(|seed| path(seed, "built"));
    scene.admin.vouch(&scene.alice, &agreed, &file(b"a"), &[]).await;
    scene.admin.vouch(&scene.bob, &agreed, &file(b"a"), &[]).await;
    let [agreed, unknown] = [agreed, unknown].map(|path| path.to_string());
    let hash_part = unknown["/nix/store/".len()..][..32].to_owned();
    let cli = scene.cli();
    let code = |arguments: &[&str]| cli.run(&[&["challenge"], arguments].concat()).code;
    assert_eq!(code(&["--all"]), 0, "nobody disagrees");
    assert_eq!(code(&[&agreed]), 0);
    assert_eq!(code(&[&unknown]), 2);
    assert_eq!(code(&[&agreed, &unknown]), 2);
    scene.admin.vouch(&scene.alice, &split, &file(b"a"), &[]).await;
    scene.admin.vouch(&scene.bob, &split, &file(b"b"), &[]).await;
    assert_eq!(code(&[&unknown, &split.to_string()]), 1, "what is found is found");
    assert_eq!(code(&["--all"]), 1);
    let outcome = cli.run(&["challenge", &hash_part, &unknown]);
    let path = format!("unknown   {unknown}\n");
    assert!(
        outcome.stdout.starts_with(&path) || outcome.stdout.contains(&hash_part),
        "{outcome:?}"
    );
    assert!(outcome.stdout.contains("1 path: 0 disagree, 0 agree, 0 alone, 1 unknown\n"));
    for wrong in [&[][..], &["--all", &agreed], &["--all", "--closure"], &["/etc/passwd"]] {
        assert_eq!(code(wrong), 2, "{wrong:?}");
    }
    assert_eq!(code(&["--store", "/no/such/store", &agreed]), 2);
    let gone = ["challenge", "--all", "--server", "http://127.0.0.1:9"];
    assert_eq!(cli.run(&gone).code, 2);
}

#[tokio::test]
async fn a_closure_is_followed_here_and_at_the_pool() {
    let scene = Scene::start().await;
    let [top, middle, leaf, other] = ["1", "2", "3", "4"].map(|seed| path(seed, seed));
    let (a, b) = (file(b"a"), file(b"b"));
    let base = |path: &StorePath| path.base().clone();
    scene.admin.vouch(&scene.alice, &top, &a, &[base(&middle), base(&top)]).await;
    scene.admin.vouch(&scene.alice, &middle, &a, &[base(&leaf)]).await;
    scene.admin.vouch(&scene.alice, &leaf, &a, &[]).await;
    scene.admin.vouch(&scene.bob, &leaf, &b, &[base(&other)]).await;
    scene.admin.vouch(&scene.bob, &other, &a, &[]).await;
    let top_text = top.to_string();
    let paths = |found: &Value| {
        let paths = found["paths"].as_array().unwrap().iter();
        let mut paths: Vec<_> = paths.map(|it| it["store_path"].clone()).collect();
        paths.sort_by_key(ToString::to_string);
        paths
    };
    let sorted = |paths: &[&StorePath]| {
        let mut paths: Vec<Value> = paths.iter().map(|path| json!(path)).collect();
        paths.sort_by_key(ToString::to_string);
        paths
    };
    assert_eq!(paths(&json_of(&scene.cli(), &[&top_text], 0)), [json!(top)]);
    let found = json_of(&scene.cli(), &["--closure", &top_text], 1);
    assert_eq!(paths(&found), sorted(&[&top, &middle, &leaf, &other]), "of every claim");
    // In text, only what is wrong, and what was named.
    let text = scene.cli().run(&["challenge", "--closure", &top_text]).stdout;
    assert!(text.contains(&format!("DISAGREE  {leaf}\n")), "{text}");
    assert!(text.contains(&format!("alone     {top}\n")), "{text}");
    assert!(!text.contains(&middle.to_string()), "{text}");

    // Here the leaf is as bob says, the middle as nobody says.
    let store = [(&top, &a[..], &[&middle][..]), (&middle, &b, &[&leaf]), (&leaf, &b, &[])];
    let store = local_store(scene.dir.path(), &store);
    let found = json_of(&scene.cli(), &["--store", &store, "--closure", &top_text], 1);
    assert_eq!(paths(&found), sorted(&[&top, &middle, &leaf]), "the store knows what it needs");
    assert_eq!((&found["disagree"], &found["agree"]), (&json!(2), &json!(1)));
    let text = scene.cli().run(&["challenge", "--store", &store, &middle.to_string()]).stdout;
    assert!(
        text.contains(&format!("  -  {}  in the local store alone\n", NarHash::of(&b))),
        "{text}"
    );
}

/// With stock Nix's own database, and paths that really were built twice.
#[tokio::test]
async fn a_real_closure_is_challenged_against_a_real_store() {
    let lab = Lab::start(Version::Stable, &[]);
    let alice = lab.builder("alice", Some("vanilla")).await;
    let bob = lab.builder("bob", Some("chocolate")).await;
    alice.push(&lab.server, "compression=zstd").ok();
    let cli = Cli::new(bob.host.dir(), &lab.server, &lab.server.token("read,attest"));
    let closure = bob.host.closure(&bob.top);
    let store = bob.store();
    // Bob said nothing yet: his store alone disagrees.
    let ask = ["--store", &store, "--closure", &bob.top];
    let found = json_of(&cli, &ask, 1);
    let count = |key: &str| found[key].as_u64().unwrap() as usize;
    assert_eq!((count("disagree"), count("agree")), (1, closure.len() - 1));
    let flavoured = closure.iter().find(|path| path.ends_with("-flavoured")).unwrap();
    let text = cli.run(&["challenge", "--store", &store, "--closure", "--diff", &bob.top]);
    assert_eq!(text.code, 1);
    assert!(text.stdout.contains(&format!("DISAGREE  {flavoured}\n")), "{}", text.stdout);
    // "vanilla\n" and "chocolate\n", one of them from the database's own store.
    assert!(text.stdout.contains("8 bytes in 1, 10 in local"), "{}", text.stdout);

    cli.run(&["attest", &bob.top, "--store", &store, "--key", bob.secret()]).ok();
    let found = json_of(&cli, &["--all", "--store", &store], 1);
    assert_eq!(found["paths"].as_array().unwrap().len(), 1);
    assert_eq!(found["paths"][0]["store_path"], json!(flavoured));
    assert_eq!(found["paths"][0]["claims"][1]["local"], json!(true));
}
