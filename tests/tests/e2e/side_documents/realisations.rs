//! Realisations over plain HTTP: signatures come together, and a view shows what its signers say.

use tests::nar::key;

use super::{Scene, address, realisation, signed, signers};

#[tokio::test]
async fn signatures_by_signers_come_together() {
    let scene = Scene::start().await;
    let said = realisation("a", "said");
    scene.hidden("", &said, "never_seen").await;

    let mallory = key("mallory", 9);
    let answer = scene.put("/as/alice", &said, &[&scene.alice, &mallory]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = answer.text();
    assert!(told.starts_with("1 attestations added, 0 known\n"), "{told}");
    assert!(told.contains("passed over: a signature by mallory"), "{told}");
    let again = scene.put("", &said, &[&scene.bob, &scene.alice, &scene.bob]).await.text();
    assert!(again.starts_with("1 attestations added, 2 known\n"), "{again}");

    for view in ["", "/as/alice", "/as/bob", "/signers/2/alice,bob"] {
        let shown = scene.shown(view, &said).await;
        assert_eq!((&shown.realisation, signers(&shown)), (&said, vec!["alice", "bob"]), "{view}");
        let keys = [scene.alice.public(), scene.bob.public()];
        let verified = shown.verify(|name| keys.iter().find(|key| key.name() == name)).unwrap();
        assert_eq!(verified.signatures().len(), 2);
    }
    let why = scene.hidden("/signers/2/alice,carol", &said, "not_enough_signers").await;
    assert!(why.contains("have 1 of 2") && why.contains(said.id.as_str()), "{why}");
    assert!(scene.hidden("/as/carol", &said, "not_enough_signers").await.contains("have 0 of 1"));
    scene.hidden("/signers/1/mallory", &said, "unknown_signer").await;
    // Newer clients escape the exclamation mark.
    let escaped = scene.admin.get(&address("", &said).replace('!', "%21")).await;
    assert_eq!(escaped.status, 200);

    let scene = scene.restart().await;
    assert_eq!(signers(&scene.shown("", &said).await), ["alice", "bob"]);
}

#[tokio::test]
async fn a_view_shows_what_most_of_its_signers_say_then_the_oldest() {
    let scene = Scene::start().await;
    let [one, other] = ["one", "other"].map(|name| realisation("b", name));
    scene.put("", &one, &[&scene.alice]).await;
    scene.put("", &other, &[&scene.bob]).await;
    let path = async |view| scene.shown(view, &one).await.realisation.out_path;
    assert_eq!(path("").await, one.out_path);
    assert_eq!(path("/signers/1/bob").await, other.out_path);
    let why = scene.hidden("/signers/2/alice,bob", &one, "signers_disagree").await;
    assert!(why.contains("2 different claims"), "{why}");
    scene.put("", &other, &[&scene.carol]).await;
    assert_eq!(path("").await, other.out_path);
    assert_eq!(path("/signers/2/alice,bob,carol").await, other.out_path);
    assert_eq!(signers(&scene.shown("/signers/1/bob", &one).await), ["bob", "carol"]);

    // Who says two things has no vote for either, but sees the last of them as their own.
    scene.put("", &one, &[&scene.bob]).await;
    assert_eq!(path("/as/bob").await, one.out_path);
    scene.hidden("/signers/1/bob", &one, "not_enough_signers").await;

    // What it depends on is part of what is said.
    let mut deeper = one.clone();
    deeper.dependencies.insert(realisation("c", "x").id, other.out_path.clone());
    scene.put("", &deeper, &[&scene.alice]).await;
    assert_eq!(scene.shown("/as/alice", &one).await.realisation, deeper);
}

#[tokio::test]
async fn a_signer_cannot_say_different_things_without_end() {
    let scene = Scene::start().await;
    for number in 0..16 {
        let said = realisation("d", &format!("number-{number}"));
        assert_eq!(scene.put("", &said, &[&scene.alice]).await.status, 200, "{number}");
    }
    let more = realisation("d", "one-more");
    let refused = scene.put("", &more, &[&scene.bob, &scene.alice]).await;
    assert_eq!(refused.status, 409);
    assert!(refused.text().starts_with("too_many_claims: "), "{}", refused.text());
    scene.hidden("/signers/1/bob", &more, "not_enough_signers").await;
    let known = realisation("d", "number-3");
    assert_eq!(scene.put("", &known, &[&scene.alice]).await.status, 200, "a repeat is nothing new");
    assert_eq!(scene.put("", &more, &[&scene.bob]).await.status, 200);
}

#[tokio::test]
async fn signatures_that_come_at_once_are_all_kept() {
    let scene = Scene::start().await;
    let said = realisation("e", "at-once");
    let keys: Vec<_> =
        (0..12).map(|number| key(&format!("signer-{number}"), 20 + number)).collect();
    for key in &keys {
        scene.admin.enrol(&key.public()).await;
    }
    let puts = keys.iter().map(|key| {
        let body = signed(&said, &[key]).print();
        let request = scene.admin.request(reqwest::Method::PUT, &address("", &said));
        tokio::spawn(tests::client::Answer::to(request.body(body)))
    });
    let puts: Vec<_> = puts.collect();
    for put in puts {
        assert_eq!(put.await.unwrap().status, 200);
    }
    assert_eq!(scene.shown("", &said).await.signatures.len(), keys.len());
}
