//! A host that believes two of two, through its own proxy.

use tests::guix::downloads;
use tests::proxy::Proxy;

use super::scene::{Scene, policy};

#[tokio::test]
async fn two_of_two_install_and_one_of_two_does_not_and_says_why() {
    let scene = Scene::start(&[]);
    let (alice, bob) = (scene.builder("alice", None), scene.builder("bob", None));
    let _ = scene.import(&alice.machine.publish(&[]), &alice.top).ok();
    let cli = scene.cli("");
    let proxy =
        Proxy::start(&cli, &scene.place.path().join("proxy"), &policy(&[&alice, &bob]), &[]);
    let key = tests::client::Client::of(&proxy.url("")).get("/signing-key.pub").await.text();
    let user = scene.user("user", &[&proxy.url("")], &[&key]);
    let refused = user.ensure(&alice.top);
    assert!(refused.code != 0, "{refused:?}");
    let log = proxy.log();
    assert!(log.contains("refused: not_enough_votes") && log.contains("bob"), "{log}");
    let file = scene.place.path().join("proxy/policy.toml");
    let explained = cli.run(&["policy", "explain", file.to_str().unwrap(), &alice.top]);
    assert!(explained.code == 1 && explained.stdout.contains("bob"), "{explained:?}");

    let _ = scene.import(&bob.machine.publish(&[]), &bob.top).ok();
    user.forget();
    let ensured = tests::deadline::wait_for("the second attestation to count", || {
        let ensured = user.ensure(&alice.top);
        user.forget();
        (ensured.code == 0).then_some(ensured)
    });
    let from = downloads(&ensured);
    assert!(from.iter().all(|it| it.url.starts_with(&proxy.url("/nar/"))), "{ensured:?}");
    assert_eq!(user.closure(&alice.top).len(), alice.machine.closure(&alice.top).len());
    let _ = user.verify().ok();
    // The builders' own keys are not what this host trusts.
    let other = scene.user("other", &[&proxy.url("")], &[&alice.key, &bob.key]);
    assert!(other.ensure(&alice.top).code != 0);
}

#[tokio::test]
async fn a_host_is_told_how_to_trust_nothing_but_its_proxy() {
    let scene = Scene::start(&[]);
    let alice = scene.builder("alice", None);
    let _ = scene.import(&alice.machine.publish(&[]), &alice.top).ok();
    let cli = scene.cli("");
    let dir = scene.place.path().join("proxy");
    let proxy = Proxy::start(&cli, &dir, &policy(&[&alice]), &[]);
    let listen = proxy.url("");
    let printed = cli.run(&[
        "proxy",
        "--policy",
        dir.join("policy.toml").to_str().unwrap(),
        "--state-dir",
        dir.to_str().unwrap(),
        "--listen",
        listen.trim_start_matches("http://"),
        "--print-config=guix",
    ]);
    let printed = printed.ok();
    assert!(printed.contains(&format!("--substitute-urls={listen}")), "{printed}");
    let (start, end) = (printed.find("(acl").unwrap(), printed.find("\n\n").unwrap());
    let user = scene.user("user", &[&listen], &[]);
    user.write_acl(&printed[start..end]);
    tests::deadline::wait_for("the index to cover what was imported", || {
        user.forget();
        (user.ensure(&alice.top).code == 0).then_some(())
    });
    let _ = user.verify().ok();
}
