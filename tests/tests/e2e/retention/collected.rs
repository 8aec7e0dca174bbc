//! NARs that go by themselves.

use std::time::{Duration, Instant};

use super::{BRIEF, SHORT, Scene};
use schema::api::{GcFate, GcSummary};
use tests::client::Client;
use tests::deadline::eventually;

#[tokio::test]
async fn a_nar_outlives_its_narinfo_and_then_goes_and_says_why() {
    let scene = Scene::start(&BRIEF).await;
    let (asked, never) = (scene.push("asked", &[]).await, scene.push("never", &[]).await);
    eventually("nobody is to attest them any more", async || {
        scene.collect(true).await.0.len() == 4
    })
    .await;
    let served = Instant::now();
    let narinfo = scene.shown(&asked).await;
    let nar = format!("/{}", narinfo.delivery.url);
    let (_, summary) = scene.collect(false).await;
    assert_eq!((summary.kept, summary.swept), (1, 1), "{summary:?}");
    loop {
        let (_, summary) = scene.collect(false).await;
        let got = scene.admin.get(&nar).await.status;
        if served.elapsed() < Duration::from_secs(10) {
            assert_eq!(got, 200, "a NAR is gone that was promised: {summary:?}");
        } else if got == 404 {
            break;
        }
        assert!(served.elapsed() < Duration::from_secs(40), "{summary:?}");
        tokio::task::yield_now().await;
    }
    for path in [&asked, &never] {
        let answer = scene.ask(path).await;
        assert_eq!(answer.status, 404);
        assert!(answer.text().starts_with("collected: "), "{}", answer.text());
        assert!(answer.text().contains("nobody has asked for it"), "{}", answer.text());
        let shown = scene.cli().run(&["show", &path.to_string()]).ok();
        assert!(shown.contains("was collected"), "{shown}");
        assert!(shown.contains("signed by   alice"), "what was said of it stays: {shown}");
    }
    assert_eq!(scene.files(), 0);
    let again = scene.push("asked", &[]).await;
    assert_eq!(scene.shown(&again).await.delivery, narinfo.delivery);
}

#[tokio::test]
async fn without_a_rule_everything_stays() {
    let scene = Scene::start(&SHORT).await;
    scene.push("one", &[]).await;
    let began = Instant::now();
    // Longer than it was promised for.
    while began.elapsed() < Duration::from_secs(3) {
        let (fates, summary) = scene.collect(false).await;
        assert_eq!((fates.len(), summary.kept), (0, 1));
    }
    assert!(scene.admin.metric("narpool_collections_total").await > 2.0);
    assert!((scene.admin.metric("narpool_nars{state=\"shown\"}").await - 1.0).abs() < 0.1);
    let said = scene.cli().run(&["gc"]).ok();
    assert!(said.contains("no rule says what may go"), "{said}");
}

#[tokio::test]
async fn a_budget_keeps_what_was_asked_for_last_with_all_that_it_needs() {
    let budget = [&SHORT[..], &["--max-stored", "130KiB"]].concat();
    let scene = Scene::start(&budget).await;
    let base = scene.push("base", &[]).await;
    let mut paths = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        paths.push(scene.push(name, &[]).await);
    }
    let top = scene.push("top", &[&base]).await;
    // The last one is asked for, and promised for longer than all others.
    scene.shown(&top).await;
    let all = scene.files();
    assert_eq!(all, 9);
    eventually("what is too much is gone", async || {
        scene.collect(false).await;
        scene.files() <= 6
    })
    .await;
    assert!(scene.is_shown(&top).await && scene.is_shown(&base).await);
    let stored: u64 = std::fs::read_dir(scene.server.data().join("blobs/nar"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(stored <= 130 << 10, "{stored} bytes are left");
    let mut shown = 0;
    for path in &paths {
        shown += usize::from(scene.is_shown(path).await);
    }
    assert!((3..7).contains(&shown), "{shown} of the others are shown");
}

#[tokio::test]
async fn who_looks_before_an_upload_is_told_of_nothing_that_is_about_to_go() {
    // Longer than what goes is promised still, once a second has passed.
    let grace = ["--upload-grace", "1h", "--max-stored", "20KiB"];
    let scene = Scene::start(&[&SHORT[..4], &grace].concat()).await;
    let pushed = [scene.push("one", &[]).await, scene.push("two", &[]).await];
    let nars = [scene.shown(&pushed[0]).await, scene.shown(&pushed[1]).await]
        .map(|narinfo| format!("/{}", narinfo.delivery.url));
    eventually("there is room for one", async || scene.collect(false).await.1.waiting == 1).await;
    let goes = usize::from(scene.is_shown(&pushed[0]).await);
    let (reader, nar) = (Client::new(&scene.server), &nars[goes]);
    assert_eq!(reader.get(nar).await.status, 200, "it is promised still");
    assert_eq!(reader.head(nar).await.status, 200);
    let uploader = Client::with_token(&scene.server, &scene.server.token("read,upload"));
    assert_eq!(uploader.get(nar).await.status, 200);
    assert_eq!(uploader.head(nar).await.status, 404);
    assert_eq!(uploader.head(&nars[1 - goes]).await.status, 200);
    scene.push(["one", "two"][goes], &[]).await;
    assert_eq!(uploader.head(nar).await.status, 200);
}

#[tokio::test]
async fn a_dry_run_says_what_would_go_and_does_nothing() {
    let rules = [&BRIEF[..], &["--keep-names", "linux-*", "--keep-signers", "bob"]].concat();
    let scene = Scene::start(&rules).await;
    let base = scene.push("base", &[]).await;
    scene.push("linux-6.1", &[&base]).await;
    let path = scene.push("gone", &[]).await;
    let expected = vec![(GcFate::Unlisted, "gone".to_owned()), (GcFate::Swept, "gone".to_owned())];
    eventually("it would go", async || scene.collect(true).await.0 == expected).await;
    let (_, summary) = scene.collect(true).await;
    let GcSummary { kept, unlisted, swept, waiting, .. } = summary;
    assert_eq!((kept, unlisted, swept, waiting), (2, 1, 1, 0));
    assert_eq!(scene.files(), 3);
    assert!(scene.is_shown(&path).await);
    let said = scene.cli().run(&["gc", "--dry-run"]).ok();
    assert!(said.contains(&format!("would be swept  {path}")), "{said}");
    assert!(said.contains("kept 2 NARs") && !said.contains("no rule"), "{said}");
    let said = scene.cli().run(&["gc"]).ok();
    assert!(said.contains(&format!("swept  {path}")), "{said}");
    assert_eq!(scene.files(), 2);
}

#[tokio::test]
async fn only_an_admin_collects_and_pins_need_their_own_scope() {
    let scene = Scene::start(&BRIEF).await;
    let path = scene.push("one", &[]).await.to_string();
    for (scopes, arguments, message) in [
        ("read,upload,attest,pin", &["gc"][..], "admin"),
        ("read,upload,attest,pin", &["delete", &path, "--reason", "x"], "admin"),
        ("read,upload,attest", &["pin", "name", &path], "pin"),
    ] {
        let token = scene.server.token(scopes);
        let cli = tests::cli::Cli::new(scene.dir.path(), &scene.server, &token);
        let refused = cli.run(arguments);
        assert_eq!(refused.code, 1, "{arguments:?}: {refused:?}");
        assert!(refused.stderr.contains(message), "{refused:?}");
    }
    let token = scene.server.token("read,pin");
    let cli = tests::cli::Cli::new(scene.dir.path(), &scene.server, &token);
    let _ = cli.run(&["pin", "name", &path]).ok();
}
