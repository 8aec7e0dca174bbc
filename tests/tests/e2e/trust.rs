//! What follows from a policy, beside the proxy: views, what lies in a store, what is fetched, and a
//! master that signs for its machines.

use std::fs;
use std::path::{Path, PathBuf};

use schema::key::SecretKey;
use schema::narinfo::NarInfo;
use schema::store_path::StorePath;
use serde_json::Value;
use tests::cli::Cli;
use tests::client::{Answer, Client};
use tests::lab::{Builder, Lab, hash_part, same_files};
use tests::nar::{attestation, file, key, noise, path};
use tests::nix::Version;
use tests::program::Outcome;
use tests::relay::Relay;
use tests::server::Server;

tests::with_each_nix!(a_master_signs_what_its_machines_built_and_moves_no_nar);

/// Of which a master signs all.
const PATHS: usize = 200;

/// `k` of these keys for everything, and a veto for each.
fn policy(name: &str, k: usize, keys: &[&str]) -> String {
    let mut text = format!(
        "format = \"narpool-policy/1\"\nname = \"{name}\"\nversion = 1\nstore_dir = \"/nix/store\"\n"
    );
    for (number, key) in keys.iter().enumerate() {
        text.push_str(&format!("[principal.p{number}]\nkeys = [\"{key}\"]\n"));
    }
    let members: Vec<String> = (0..keys.len()).map(|number| format!("\"p{number}\"")).collect();
    let members = members.join(", ");
    text + &format!(
        "[group.all]\nk = {k}\nmembers = [{members}]\n[default]\nrequire = \"group:all\"\n"
    )
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let file = dir.join(name);
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

fn narinfo(view: &str, path: &StorePath) -> String {
    format!("{view}/{}.narinfo", path.base().hash_part())
}

fn code(answer: &Answer) -> String {
    answer.problem().code
}

#[tokio::test]
async fn a_view_by_a_policy_shows_what_it_allows_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let (alice, bob) = (key("alice", 1), key("bob", 2));
    let lines = [alice.public().to_string(), bob.public().to_string()];
    let file_of =
        |name: &str, k| write(dir.path(), name, &policy(name, k, &[lines[0].as_str(), &lines[1]]));
    let policies = format!("{},{}", file_of("one", 1), file_of("both", 2));
    let server = Server::start(&dir.path().join("pool"), &["--policies", &policies]);
    let admin = Client::admin(&server);
    for key in [&alice, &bob] {
        admin.enrol(&key.public()).await;
    }
    let (library, app) = (path("library", "library-1.0"), path("app", "app-1.0"));
    let references = [library.base().clone()];
    let nars = [file(b"library"), file(b"app")];
    admin.push(&alice, &library, &nars[0], &[]).await;
    admin.push(&alice, &app, &nars[1], &references).await;
    admin.vouch(&bob, &app, &nars[1], &references).await;

    let ask = async |view: &str, path: &StorePath| {
        let request = admin.request(reqwest::Method::GET, &narinfo(view, path));
        Answer::to(request.header("accept", "application/json")).await
    };
    for path in [&library, &app] {
        let shown = ask("/policy/one", path).await;
        assert_eq!(shown.status, 200, "{}", shown.text());
        assert_eq!(NarInfo::parse_nix(&shown.body).unwrap().claim.path(), path);
    }
    // The app has both, but what it refers to has not.
    for path in [&library, &app] {
        let refused = ask("/policy/both", path).await;
        assert_eq!((refused.status, &*code(&refused)), (404, "policy_undecided"));
        let detail = refused.problem().detail;
        assert!(detail.contains(&library.to_string()), "{detail}");
        assert!(detail.contains("p1"), "{detail}");
    }
    admin.vouch(&bob, &library, &nars[0], &[]).await;
    assert_eq!(ask("/policy/both", &app).await.status, 200, "at once, whatever was remembered");

    // Dissent is a veto there, and says so.
    admin.vouch(&bob, &library, &file(b"another"), &[]).await;
    let refused = ask("/policy/both", &app).await;
    assert_eq!((refused.status, &*code(&refused)), (404, "policy_denies"));

    let unknown = ask("/policy/none", &app).await;
    assert_eq!((unknown.status, &*code(&unknown)), (404, "unknown_policy"));
    let never = ask("/policy/one", &path("never", "never-1.0")).await;
    assert_eq!((never.status, &*code(&never)), (404, "never_seen"));
    assert_eq!(admin.get("/policy/one/nix-cache-info").await.status, 200);
}

#[test]
fn a_server_does_not_start_with_what_is_no_policy() {
    let dir = tempfile::tempdir().unwrap();
    let good = policy("good", 1, &[&key("alice", 1).public().to_string()]);
    for (name, text, wrong) in [
        ("typo", good.replace("require", "requires"), "line 11, column 1"),
        ("store", good.replace("/nix/store", "/home/store"), "/home/store"),
    ] {
        let file = write(dir.path(), name, &text);
        let mut command = std::process::Command::new(tests::program::built("pool-server"));
        command.arg("--data").arg(dir.path().join("data")).args(["--policies", &file]);
        let ended = Outcome::of(command.args(["--listen", "127.0.0.1:0"]));
        assert_ne!(ended.code, 0);
        assert!(ended.stderr.contains(&file) && ended.stderr.contains(wrong), "{}", ended.stderr);
        assert!(ended.stderr.contains("hint"), "{}", ended.stderr);
    }
}

/// A pool with what alice built and attested, and a policy that believes her.
struct Scene {
    lab: Lab,
    alice: Builder,
    dir: tempfile::TempDir,
}

impl Scene {
    async fn start() -> Self {
        let lab = Lab::start(Version::Stable, &[]);
        let alice = lab.builder("alice", None).await;
        alice.push(&lab.server, "compression=zstd").ok();
        Self { lab, alice, dir: tempfile::tempdir().unwrap() }
    }

    fn cli(&self) -> Cli {
        Cli::new(self.dir.path(), &self.lab.server, "")
    }

    fn policy(&self, keys: &[&str]) -> String {
        let name = format!("of-{}", keys.len());
        write(self.dir.path(), &name, &policy(&name, keys.len(), keys))
    }

    fn place(&self, name: &str) -> (PathBuf, String) {
        let place = self.dir.path().join(name);
        let text = place.to_str().unwrap().to_owned();
        (place, text)
    }
}

#[tokio::test]
async fn what_lies_in_a_store_is_held_against_a_policy() {
    let scene = Scene::start().await;
    let (top, store) = (scene.alice.top.as_str(), scene.alice.store());
    let hers = scene.policy(&[&scene.alice.public]);
    let verify = |policy: &str, more: &[&str]| {
        let base = ["verify", top, "--policy", policy, "--store", &store, "--json"];
        scene.cli().run(&[&base[..], more].concat())
    };
    for more in [&[][..], &["--deep"]] {
        let ended = verify(&hers, more);
        assert_eq!(ended.code, 0, "{ended:?}");
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(report["paths"], report["allowed"]);
        assert_eq!(report["refused"], Value::Array(Vec::new()));
    }
    let bob = key("bob", 2).public().to_string();
    let ended = verify(&scene.policy(&[&scene.alice.public, &bob]), &[]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.contains("not_enough_votes") && ended.stdout.contains("p1"), "{ended:?}");

    // What was changed behind the database's back shows when it is read.
    let library = scene.alice.host.files_of(top).join("bin");
    let changed = if library.is_dir() { library } else { scene.alice.host.files_of(top) };
    make_writable(&changed);
    fs::write(changed.join("planted"), "evil").unwrap();
    assert_eq!(verify(&hers, &[]).code, 0);
    let ended = verify(&hers, &["--deep"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.contains("damaged"), "{ended:?}");
}

fn make_writable(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn what_a_policy_allows_is_fetched_where_there_is_no_nix() {
    let scene = Scene::start().await;
    let top = scene.alice.top.as_str();
    let hers = scene.policy(&[&scene.alice.public]);
    let (unpacked, to) = scene.place("unpacked");
    let fetched = scene.cli().run(&["fetch", top, "--policy", &hers, "--to", &to]);
    assert_eq!(fetched.code, 0, "{fetched:?}");
    let mut diff = std::process::Command::new("diff");
    diff.args(["--recursive", "--no-dereference"])
        .arg(scene.alice.host.files_of(top))
        .arg(&unpacked);
    assert_eq!(Outcome::of(&mut diff).code, 0);
    let again = scene.cli().run(&["fetch", top, "--policy", &hers, "--to", &to]);
    assert_eq!(again.code, 2, "what is there is not touched");

    let (_, cache) = scene.place("cache");
    let fetched = scene.cli().run(&["fetch", top, "--policy", &hers, "--to", &cache, "--cache"]);
    assert_eq!(fetched.code, 0, "{fetched:?}");
    let reader = scene.lab.host("reader");
    reader.copy_from(&format!("file://{cache}"), &[&scene.alice.public], top).ok();
    for path in scene.alice.host.closure(top) {
        assert!(same_files(&scene.alice.host, &reader, &path), "{path}");
    }

    let bob = key("bob", 2).public().to_string();
    let (nothing, to) = scene.place("nothing");
    let both = scene.policy(&[&scene.alice.public, &bob]);
    let refused = scene.cli().run(&["fetch", top, "--policy", &both, "--to", &to]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("not_enough_votes"), "{refused:?}");
    assert!(!nothing.exists());
}

/// The scene that this began with.
async fn a_master_signs_what_its_machines_built_and_moves_no_nar(version: Version) {
    let lab = Lab::start(version, &[]);
    let dir = tempfile::tempdir().unwrap();
    let master = key("master", 7);
    lab.admin.enrol(&master.public()).await;
    let secret = write(dir.path(), "master.secret", &master.to_text());
    let cli = Cli::new(dir.path(), &lab.server, &lab.server.token("attest"));
    let mut tops = Vec::new();
    for (machine, flavour) in [("machine-1", None), ("machine-2", None)] {
        let host = lab.host(machine);
        host.log_in(&lab.server.token("read,upload,attest"));
        let (its_secret, public) = host.make_key(machine);
        let delegate = ["signer", "delegate", "--root", &secret, &public, "--names", "*"];
        let delegated = cli.run(&[&delegate[..], &["--not-after", "30d"]].concat());
        assert_eq!(delegated.code, 0, "{delegated:?}");
        let top = host.build_closure(flavour);
        let address = lab.server.url(&format!(
            "/as/{machine}?compression=zstd&secret-key={}",
            its_secret.to_str().unwrap()
        ));
        host.copy_to(&address, &top).ok();
        tops.push((host, top));
    }
    let trusted = master.public().to_string();
    let early = lab.host("early");
    assert_ne!(early.copy_from(&lab.server.url(""), &[&trusted], &tops[0].1).code, 0);

    let relay = Relay::before(&lab.server);
    let far = |more: &[&str]| {
        let countersign = ["countersign", "--as", &secret, "--json", "--server", &relay.url()];
        cli.run(&[&countersign[..], more].concat())
    };
    let signed = far(&[]);
    assert_eq!(signed.code, 0, "{signed:?}");
    let report: Value = serde_json::from_str(&signed.stdout).unwrap();
    let claims = report["claims"].as_u64().unwrap();
    assert_eq!(report["signed"], report["claims"], "{report}");
    assert_eq!(claims as usize, tops[0].0.closure(&tops[0].1).len(), "{report}");
    assert_eq!(report["refused"], 0);
    let sent = report["bytes_sent"].as_u64().unwrap();
    assert!(sent < 1024 * claims, "{sent} bytes for {claims} claims");

    for (number, (host, top)) in tops.iter().enumerate() {
        let client = lab.host(&format!("client-{number}"));
        client.copy_from(&lab.server.url(""), &[&trusted], top).ok();
        assert!(same_files(host, &client, top));
        let hash_part = hash_part(top);
        let view = lab.admin.get(&format!("/signers/1/master/{hash_part}.narinfo")).await;
        assert_eq!(view.status, 200);
    }
    let again = far(&[]);
    let report: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((&report["claims"], &report["signed"]), (&Value::from(0), &Value::from(0)));
}

#[tokio::test]
async fn a_kibibyte_a_path_passes_through_a_master_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("pool"), &[]);
    let admin = Client::admin(&server);
    let (master, machine) = (key("master", 7), key("machine", 8));
    admin.enrol(&master.public()).await;
    admin.enrol(&machine.public()).await;
    let paths: Vec<StorePath> =
        (0..PATHS).map(|at| path(&format!("seed {at}"), &format!("name-{at}"))).collect();
    let item = |at: usize| {
        let references: Vec<_> = (1..=6).filter_map(|back| at.checked_sub(back * back)).collect();
        let references: Vec<_> = references.iter().map(|at| paths[*at].base().clone()).collect();
        attestation(&machine, &paths[at], &noise(at as u64, 100), &references)
    };
    assert_eq!(admin.attest((0..PATHS).map(item).collect()).await.status, 200);

    let relay = Relay::before(&server);
    let cli = Cli::new(dir.path(), &server, &server.admin_token());
    let secret = write(dir.path(), "master.secret", &master.to_text());
    let public = machine.public().to_string();
    let countersign = ["countersign", "--as", &secret, "--from", &public, "--json"];
    let signed = cli.run(&[&countersign[..], &["--server", &relay.url()]].concat());
    let report: Value = serde_json::from_str(&signed.stdout).unwrap();
    assert_eq!(report["signed"], PATHS, "{signed:?}");
    let each = relay.bytes() / PATHS as u64;
    assert!(each < 1024, "{each} bytes both ways for each path");
}

#[tokio::test]
async fn a_master_does_not_sign_what_its_machines_disagree_about() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("pool"), &[]);
    let admin = Client::admin(&server);
    let master = key("master", 7);
    admin.enrol(&master.public()).await;
    let machines: Vec<SecretKey> = vec![key("machine-1", 8), key("machine-2", 9)];
    let cli = Cli::new(dir.path(), &server, &server.admin_token());
    let secret = write(dir.path(), "master.secret", &master.to_text());
    for machine in &machines {
        let public = machine.public().to_string();
        let delegate = ["signer", "delegate", "--root", &secret, &public, "--names", "*"];
        assert_eq!(cli.run(&[&delegate[..], &["--not-after", "30d"]].concat()).code, 0);
    }
    let (same, differs) = (path("same", "same-1.0"), path("differs", "differs-1.0"));
    for (machine, contents) in machines.iter().zip([b"one", b"two"]) {
        admin.push(machine, &same, &file(b"same"), &[]).await;
        admin.push(machine, &differs, &file(contents), &[]).await;
    }
    let signed = cli.run(&["countersign", "--as", &secret, "--json"]);
    assert_eq!(signed.code, 1, "{signed:?}");
    let report: Value = serde_json::from_str(&signed.stdout).unwrap();
    assert_eq!((&report["claims"], &report["signed"]), (&Value::from(3), &Value::from(1)));
    assert_eq!(report["refused"], 2, "{report}");
    let signers = admin.get("/api/v1/signers").await.text();
    assert!(signers.contains("master"), "{signers}");
    // A stranger's key is signed for when it is named, and only then.
    let stranger = key("stranger", 10);
    admin.enrol(&stranger.public()).await;
    let theirs = path("theirs", "theirs-1.0");
    admin.push(&stranger, &theirs, &file(b"theirs"), &[]).await;
    let by_name = cli.run(&["countersign", "--as", &secret, "--from", "stranger", "--json"]);
    assert_eq!(by_name.code, 1, "{by_name:?}");
    assert!(by_name.stderr.contains("public key"), "{by_name:?}");
    let public = stranger.public().to_string();
    let by_key = cli.run(&["countersign", "--as", &secret, "--from", &public, "--json"]);
    assert!(by_key.stdout.contains("\"signed\":1"), "{by_key:?}");
}
