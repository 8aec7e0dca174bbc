//! Pins.

use super::{BRIEF, Scene};

#[tokio::test]
async fn a_pin_keeps_a_closure_until_it_is_forgotten() {
    let scene = Scene::start(&BRIEF).await;
    let base = scene.push("base", &[]).await;
    let top = scene.push("top", &[&base]).await;
    let other = scene.push("other", &[]).await;
    let cli = scene.cli();
    let said = cli.run(&["pin", "release", &top.to_string()]).ok();
    assert!(said.contains("release: revision 1 keeps the closure of 1 path"), "{said}");
    scene.collect_until(2).await;
    assert!(scene.is_shown(&top).await && scene.is_shown(&base).await);
    assert!(!scene.is_shown(&other).await);
    let pins = cli.run(&["pins"]).ok();
    assert!(pins.contains("release  revision 1") && pins.contains(&top.to_string()), "{pins}");

    let said = cli.run(&["unpin", "release"]).ok();
    assert!(said.contains("1 revision forgotten"), "{said}");
    scene.collect_until(0).await;
    let gone = cli.run(&["unpin", "release"]);
    assert_eq!(gone.code, 1);
    assert!(gone.stderr.contains("no such pin") && gone.stderr.contains("hint: "), "{gone:?}");
}

#[tokio::test]
async fn revisions_stay_as_long_as_they_are_to() {
    let scene = Scene::start(&BRIEF).await;
    let cli = scene.cli();
    let mut paths = Vec::new();
    for name in ["one", "two", "three"] {
        let path = scene.push(name, &[]).await;
        let _ = cli.run(&["pin", "release", &path.to_string(), "--keep-last", "2"]).ok();
        paths.push(path);
    }
    scene.collect_until(2).await;
    assert!(!scene.is_shown(&paths[0]).await && scene.is_shown(&paths[2]).await);
    let _ = cli.run(&["unpin", "release", "--revision", "2"]).ok();
    scene.collect_until(1).await;
    assert!(scene.is_shown(&paths[2]).await);
}

#[tokio::test]
async fn what_is_not_here_cannot_be_pinned() {
    let scene = Scene::start(&BRIEF).await;
    let path = scene.push("one", &[]).await;
    let cli = scene.cli();
    for (name, path, message) in [
        ("name", "/nix/store/0c4mfyyl4w62xmcdp6m3a9ijajxzz2kc-x".to_owned(), "is not here"),
        ("a/b", path.to_string(), "is not the name of a pin"),
    ] {
        let refused = cli.run(&["pin", name, &path]);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(
            refused.stderr.contains(message) && refused.stderr.contains("hint: "),
            "{refused:?}"
        );
    }
    assert!(cli.run(&["pins"]).ok().starts_with("no pins"));
}
