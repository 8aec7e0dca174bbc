//! `pool policy`: a first file, what is to be said of it, and why a path is not allowed by it.

use std::fs;

use tests::cli::Cli;
use tests::client::Client;
use tests::nar::{file, key, path};
use tests::server::Server;

#[tokio::test]
async fn a_first_policy_is_made_and_checked_and_explains_itself() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("pool"), &[]);
    let admin = Client::admin(&server);
    let (alice, bob) = (key("alice", 1), key("bob", 2));
    for key in [&alice, &bob] {
        admin.enrol(&key.public()).await;
    }
    let cli = Cli::new(dir.path(), &server, "");
    let out = dir.path().join("mine.toml");
    let (out, lines) = (out.to_str().unwrap(), [&alice, &bob].map(|key| key.public().to_string()));
    let signers = ["--signer", lines[0].as_str(), "--signer", lines[1].as_str()];
    let init = ["policy", "init", "--name", "mine", "--out", out];
    cli.run(&[&init[..], &signers].concat()).ok();
    let made = fs::read_to_string(out).unwrap();
    assert!(made.contains("\nk = 2\n") && made.contains("\n# "), "{made}");
    let again = cli.run(&[&init[..], &signers].concat());
    assert_eq!((again.code, fs::read_to_string(out).unwrap()), (2, made.clone()), "{again:?}");

    let checked = cli.run(&["policy", "check", out]);
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(checked.stderr.contains("never expires"), "{checked:?}");
    assert!(!checked.stderr.contains("one member alone"), "{checked:?}");
    fs::write(out, made.replace("\nk = 2\n", "\nk = 1\n")).unwrap();
    let checked = cli.run(&["policy", "check", out]);
    assert!(checked.code == 0 && checked.stderr.contains("one member alone"), "{checked:?}");
    fs::write(out, made.replace("\nk = 2\n", "\nk = 3\n")).unwrap();
    let wrong = cli.run(&["policy", "check", out]);
    assert_eq!(wrong.code, 1, "{wrong:?}");
    let line = made.lines().position(|line| line == "k = 2").unwrap() + 1;
    assert!(wrong.stderr.contains(&format!("mine.toml:{line}:5")), "{wrong:?}");
    assert!(wrong.stderr.contains("hint: "), "{wrong:?}");
    fs::write(out, &made).unwrap();

    let (library, app) = (path("library", "library-1.0"), path("app", "app-1.0"));
    let references = [library.base().clone()];
    for signer in [&alice, &bob] {
        admin.vouch(signer, &app, &file(b"app"), &references).await;
    }
    admin.vouch(&alice, &library, &file(b"library"), &[]).await;
    let explain = || cli.run(&["policy", "explain", out, &app.to_string()]);
    let refused = explain();
    assert_eq!(refused.code, 1, "{refused:?}");
    // A tree: the app, and below it what it lacks, and whom that lacks.
    let text = &refused.stdout;
    let below = text.find(&format!("\n  {library}\n")).unwrap_or_else(|| panic!("{text}"));
    assert!(text.find(&app.to_string()).is_some_and(|at| at < below), "{text}");
    assert!(text[below..].contains("not_enough_votes"), "{text}");
    assert!(text[below..].contains("signer2"), "bob is silent: {text}");
    assert!(text.contains("signer1 for claim") && text.contains("counted"), "{text}");
    assert!(text.contains("0 of 2 paths allowed"), "{text}");
    admin.vouch(&bob, &library, &file(b"library"), &[]).await;
    let allowed = explain();
    assert_eq!(allowed.code, 0, "{allowed:?}");
    assert!(allowed.stdout.contains("2 of 2 paths allowed"), "{allowed:?}");
}
