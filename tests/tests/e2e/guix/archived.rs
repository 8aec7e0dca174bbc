//! The pool on a stick: what `guix archive` and `nix-store` export and import, with real ones.

use std::fs;
use std::path::{Path, PathBuf};

use tests::guix::Machine;
use tests::nix::{Host, Version};
use tests::program::Outcome;

use super::scene::{Scene, named, policy, text};

/// What `guix archive --export` writes of a closure.
fn exported(machine: &Machine, top: &str) -> PathBuf {
    let script = "guix archive --export --recursive \"$1\" > /tmp/stick";
    let _ = machine.run(&["sh", "-c", script, "sh", top]).ok();
    machine.dir().join("tmp/stick")
}

/// What `guix archive --import` makes of a file.
fn taken(machine: &Machine, stick: &Path) -> Outcome {
    fs::copy(stick, machine.dir().join("tmp/stick")).unwrap();
    machine.run(&["sh", "-c", "guix archive --import < /tmp/stick"])
}

/// A copy of a file in which a byte of the text `of` differs.
fn damaged(file: &Path, of: &str) -> PathBuf {
    let mut bytes = fs::read(file).unwrap();
    let at = bytes.windows(of.len()).position(|part| part == of.as_bytes());
    bytes[at.expect("it is in there")] ^= 1;
    let copy = file.with_extension("damaged");
    fs::write(&copy, bytes).unwrap();
    copy
}

/// A copy of the first item of an archive, and the end, without the signature.
fn unsigned(file: &Path) -> PathBuf {
    let mut bytes = fs::read(file).unwrap();
    let at = bytes.windows(10).position(|part| part == b"(signature").unwrap();
    // Before it stand that there is one, and its length.
    bytes.truncate(at - 16);
    bytes.extend([0; 16]);
    let copy = file.with_extension("unsigned");
    fs::write(&copy, bytes).unwrap();
    copy
}

impl Scene {
    fn import_archive(&self, file: &Path, options: &[&str]) -> Outcome {
        let file = text(file.to_owned());
        self.operator(&[&["import", "--archive", &file], options].concat())
    }

    /// Writes an archive of what a policy allows, on a user's word.
    fn export(&self, policy: &str, path: &str, options: &[&str]) -> (PathBuf, Outcome) {
        let files = ["policy.toml", "stick.export"].map(|name| self.place.path().join(name));
        fs::write(&files[0], policy).unwrap();
        let [policy, stick] = files.map(text);
        let state = text(self.place.path().join("state"));
        let fetch =
            ["fetch", path, "--policy", &policy, "--export", "--to", &stick, "--state-dir", &state];
        let outcome = self.cli("").run(&[&fetch[..], options].concat());
        (stick.into(), outcome)
    }
}

#[tokio::test]
async fn what_guix_exports_is_kept_and_is_attested_by_whoever_says_so() {
    let scene = Scene::start(&[]);
    let alice = scene.builder("alice", None);
    let (stick, closure) =
        (exported(&alice.machine, &alice.top), alice.machine.closure(&alice.top));
    let refused = scene.import_archive(&damaged(&stick, "Do as you please"), &[]);
    assert!(refused.code == 1 && refused.stderr.contains("item "), "{refused:?}");
    let kept = scene.import_archive(&stick, &["--compression", "zstd:3"]).ok();
    assert!(kept.contains(&format!("imported {} paths", closure.len())), "{kept}");
    assert_eq!(scene.nars(), closure.len());
    // Who signed the archive did not sign a claim.
    let user = scene.user("user", &[&scene.view("/as/alice")], &[&alice.key]);
    assert!(user.ensure(&alice.top).code != 0);
    let key = text(alice.machine.secret_key_file());
    let refused = scene.import_archive(&unsigned(&stick), &["--key", &key]);
    assert!(refused.code == 1 && refused.stderr.contains("nobody signed it"), "{refused:?}");
    let attested = scene.import_archive(&stick, &["--key", &key]).ok();
    assert!(attested.contains(&format!("{} new", closure.len())), "{attested}");
    assert_eq!(scene.nars(), closure.len());
    user.forget();
    let _ = user.ensure(&alice.top).ok();
    let _ = user.verify().ok();
}

#[tokio::test]
async fn an_archive_by_a_stranger_is_refused_by_the_digits_of_its_key() {
    let scene = Scene::start(&[]);
    let stranger = Machine::new(&scene.place.path().join("stranger"));
    let (top, key) = (stranger.build_closure(None), stranger.generate_key());
    let refused = scene.import_archive(&exported(&stranger, &top), &[]);
    let digits = key.split('#').nth(1).unwrap();
    assert!(refused.code == 1 && refused.stderr.contains(digits), "{refused:?}");
    assert!(refused.stderr.contains("pool signer enrol"), "{refused:?}");
    assert_eq!(scene.nars(), 0);
}

#[tokio::test]
async fn guix_imports_what_a_policy_allows_from_a_stick_and_nothing_else() {
    let scene = Scene::start(&[]);
    let (alice, bob) = (scene.builder("alice", None), scene.builder("bob", None));
    let _ = scene.import(&alice.machine.publish(&[]), &alice.top).ok();
    let key = text(scene.place.path().join("stick.sec"));
    let _ = scene.operator(&["key", "generate", "stick-1", "--guix", "--out", &key]).ok();
    let acl = scene.operator(&["key", "acl", &key]).ok();
    let both = policy(&[&alice, &bob]);
    let (stick, refused) = scene.export(&both, &alice.top, &["--key", &key]);
    assert!(refused.code == 1 && refused.stderr.contains("bob"), "{refused:?}");
    assert!(!stick.exists());

    let _ = scene.import(&bob.machine.publish(&[]), &bob.top).ok();
    let stick = tests::deadline::wait_for("the second attestation to count", || {
        let (stick, exported) = scene.export(&both, &alice.top, &["--key", &key]);
        (exported.code == 0).then_some(stick)
    });
    let stranger = scene.user("stranger", &[], &[&alice.key, &bob.key]);
    assert!(taken(&stranger, &stick).code != 0);
    assert!(!stranger.holds(&alice.top));
    let user = scene.user("user", &[], &[&acl]);
    let refused = taken(&user, &damaged(&stick, "Do as you please"));
    assert!(refused.code != 0 && !user.holds(&alice.top), "{refused:?}");
    let _ = taken(&user, &stick).ok();
    let closure = alice.machine.closure(&alice.top);
    assert_eq!(user.closure(&alice.top).len(), closure.len());
    let _ = user.verify().ok();
    let shapes = named(&closure, "-shapes");
    assert_eq!(user.nar_hash(shapes), alice.machine.nar_hash(shapes));
}

#[tokio::test]
async fn nix_store_exports_into_the_pool_and_imports_from_it() {
    let scene = Scene::start(&[]);
    let host = |name: &str| Host::new(&scene.place.path().join(name), Version::Current);
    let builder = host("builder");
    let top = builder.build_closure(None);
    let (secret, public) = builder.make_key("builder-1");
    let _ = scene.operator(&["signer", "enrol", &text(builder.dir().join("builder-1.pub"))]).ok();
    let stick = text(builder.dir().join("stick"));
    let export = "nix-store --export $(nix-store -qR \"$1\") > \"$2\"";
    let _ = builder.run(&["sh", "-c", export, "sh", &top, &stick]).ok();

    let unsigned = scene.import_archive(Path::new(&stick), &[]);
    assert!(unsigned.code == 1 && unsigned.stderr.contains("--key FILE"), "{unsigned:?}");
    let _ = scene.import_archive(Path::new(&stick), &["--key", &text(secret)]).ok();
    let closure = builder.closure(&top);
    assert_eq!(scene.nars(), closure.len());
    let reader = host("reader");
    let _ = reader.realise(&scene.server.url("/as/builder-1"), &[&public], &top).ok();
    assert_eq!(reader.closure(&top), closure);

    let policy = format!(
        "format = \"narpool-policy/1\"\nname = \"one\"\nversion = 1\n\
         expires = 2100-01-01T00:00:00Z\nstore_dir = \"/nix/store\"\n\
         [principal.builder]\nkeys = [\"{public}\"]\n[default]\nrequire = \"builder\"\n"
    );
    let stick = tests::deadline::wait_for("the index to cover what was imported", || {
        let (stick, exported) = scene.export(&policy, &top, &[]);
        (exported.code == 0).then_some(stick)
    });
    let offline = host("offline");
    let _ = offline.run(&["sh", "-c", "nix-store --import < \"$1\"", "sh", &text(stick)]).ok();
    assert_eq!(offline.closure(&top), closure);
    let _ = offline.run(&["nix-store", "--verify", "--check-contents"]).ok();
}
