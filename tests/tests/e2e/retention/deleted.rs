//! Paths that are taken down.

use super::{SHORT, Scene, nar_of};
use schema::compression::Compression;
use schema::hash::NarHash;
use tests::client::Answer;
use tests::nar::{attestation, zstd};

#[tokio::test]
async fn a_path_that_is_taken_down_is_not_to_be_had_and_says_why() {
    let scene = Scene::start(&SHORT).await;
    let (path, other) = (scene.push("taken", &[]).await, scene.push("other", &[]).await);
    let nar = format!("/{}", scene.shown(&path).await.delivery.url);
    let cli = scene.cli();
    let text = path.to_string();
    let said = cli.run(&["delete", &text, "--reason", "no licence"]).ok();
    assert!(said.contains(&format!("taken down: {text}")), "{said}");

    let answer = scene.ask(&path).await;
    assert_eq!(answer.status, 410);
    assert!(answer.text().contains("taken down by the operator: no licence"), "{}", answer.text());
    assert_eq!(scene.admin.get(&nar).await.status, 200, "it was promised");
    assert!(scene.is_shown(&other).await);

    let address =
        format!("/api/v1/nars/{}?compression=zstd", NarHash::of(&nar_of("taken")).to_nix32());
    let brought = scene.admin.put(&address, zstd(&nar_of("taken"))).await;
    assert_eq!((brought.status, &*brought.problem().code), (410, "nar_deleted"));
    let vouched = attestation(&scene.alice, &path, &nar_of("taken"), &[]);
    let vouched = scene.admin.attest(vec![vouched]).await;
    assert_eq!((vouched.status, &*vouched.problem().code), (410, "path_deleted"));

    scene.collect_until(1).await;
    assert_eq!(scene.admin.get(&nar).await.status, 404);
    let listed = cli.run(&["deletions"]).ok();
    assert!(listed.contains(&text) && listed.contains("no licence"), "{listed}");
    let anybody = tests::client::Client::new(&scene.server).get("/api/v1/deletions").await;
    assert_eq!(anybody.json()["deletions"][0]["reason"], "no licence");

    let said = cli.run(&["undelete", &text]).ok();
    assert!(said.contains("may be there again"), "{said}");
    scene.admin.upload(&nar_of("taken"), Compression::Zstd, zstd(&nar_of("taken"))).await;
    assert_eq!(scene.ask(&path).await.status, 200, "what was attested before is so still");
    assert_eq!(cli.run(&["undelete", &text]).code, 1);
}

#[tokio::test]
async fn a_takedown_can_break_promises_when_it_must() {
    let scene = Scene::start(&SHORT).await;
    let path = scene.push("taken", &[]).await;
    let nar = format!("/{}", scene.shown(&path).await.delivery.url);
    let _ = scene.cli().run(&["delete", &path.to_string(), "--reason", "secret", "--now"]).ok();
    assert_eq!(scene.admin.get(&nar).await.status, 404);
    assert_eq!(scene.files(), 0);
}

#[tokio::test]
async fn a_nar_of_two_paths_stays_while_one_is_taken_down() {
    let scene = Scene::start(&SHORT).await;
    let (one, other) = (tests::nar::path("1", "one"), tests::nar::path("2", "other"));
    for path in [&one, &other] {
        scene.admin.push(&scene.alice, path, &nar_of("shared"), &[]).await;
    }
    let cli = scene.cli();
    let _ = cli.run(&["delete", &one.to_string(), "--reason", "x", "--now"]).ok();
    assert_eq!((scene.ask(&one).await.status, scene.ask(&other).await.status), (410, 200));
    assert_eq!(scene.files(), 1);
    let _ = cli.run(&["delete", &other.to_string(), "--reason", "x", "--now"]).ok();
    assert_eq!(scene.files(), 0);
}

#[tokio::test]
async fn a_reason_is_wanted_and_bounded() {
    let scene = Scene::start(&SHORT).await;
    let path = scene.push("one", &[]).await;
    for reason in ["", " ", "a\u{7}", &"x".repeat(1001)] {
        let body = serde_json::json!({ "path": path, "reason": reason });
        let request = scene.admin.request(reqwest::Method::POST, "/api/v1/deletions").json(&body);
        let answer = Answer::to(request).await;
        assert_eq!((answer.status, &*answer.problem().code), (422, "bad_reason"), "{reason:?}");
    }
    assert!(scene.is_shown(&path).await);
}

#[tokio::test]
async fn mirrors_are_told_what_their_sources_took_down() {
    let scene = Scene::start(&SHORT).await;
    let mirror = Scene::start(&SHORT).await;
    let path = scene.push("taken", &[]).await;
    let source = scene.server.url("");
    let carry = ["mirror", "--from", &source];
    assert!(!mirror.cli().run(&carry).stderr.contains("took down"));
    let _ = scene.cli().run(&["delete", &path.to_string(), "--reason", "no licence"]).ok();
    let carried = mirror.cli().run(&carry);
    let told = format!("warning: {source} took down {path}: no licence");
    assert!(carried.stderr.contains(&told), "{carried:?}");
    assert_eq!(mirror.files(), 1, "it is for the mirror's operator to say");
}
