//! What one pool holds is at the other afterwards, entry for entry and byte for byte.

use schema::tlog::checkpoint::SignedCheckpoint;
use schema::tlog::note::VerifierKey;
use tests::client::Client;

use super::scene::{Pool, alice, files, log, nar, store_path};

const LOGS: [&str; 3] = ["keys", "attestations", "index"];

/// That `mirror` has the logs of `of` byte for byte, and says so with its own key.
async fn assert_same_logs(of: &Pool, mirror: &Pool) {
    let ledger = mirror.ledger_of(&of.origin().await).await;
    let info = mirror.admin().get("/api/v1/info").await.json();
    let cosigner: VerifierKey = info["logs"]["mirror"].as_str().unwrap().parse().unwrap();
    for name in LOGS {
        let here = log(&ledger, name);
        let key: VerifierKey = here.key.parse().unwrap();
        let there = of.admin().get(&format!("/ledger/{name}/checkpoint")).await.body;
        let there = SignedCheckpoint::open(&there, &key).unwrap();
        let shown = mirror.admin().get(&format!("{}/checkpoint", here.address)).await.body;
        let shown = SignedCheckpoint::open(&shown, &key).unwrap();
        assert_eq!(shown.checkpoint(), there.checkpoint(), "{name}");
        assert_eq!(shown.cosignatures([&cosigner]).unwrap().len(), 1, "{name}");
        let size = there.size();
        let original = files(&of.admin(), &format!("/ledger/{name}"), size).await;
        let copy = files(&mirror.admin(), &here.address, size).await;
        assert_eq!(original, copy, "{name}");
    }
}

#[tokio::test]
async fn everything_is_carried_once_and_served_as_it_was() {
    let a = Pool::start(&[]);
    let b = Pool::start(&[]);
    a.admin().enrol(&alice().public()).await;
    a.fill(&alice(), 0, 20).await;
    a.covers(20).await;
    let report = b.mirrors(&[&a], &[]);
    assert_eq!(report["nars_fetched"], 20, "{report}");
    assert_eq!(report["nars_absent"], 0, "{report}");
    assert_same_logs(&a, &b).await;
    let (one, other) = (Client::new(a.server()), Client::new(b.server()));
    for number in 0..20 {
        let part = store_path(number).base().hash_part();
        let narinfo = one.get(&format!("/{part}.narinfo")).await;
        assert_eq!(narinfo.status, 200);
        let mirrored = other.get(&format!("/{part}.narinfo")).await;
        assert_eq!(mirrored.text(), narinfo.text());
        let url = narinfo.text().lines().find_map(|it| it.strip_prefix("URL: ").map(str::to_owned));
        let url = url.unwrap();
        let file = other.get(&format!("/{url}")).await;
        assert_eq!(file.body, one.get(&format!("/{url}")).await.body);
        assert_eq!(tests::nar::unpack(&file.body).unwrap(), nar(number));
    }
    // Where it came from is told.
    let part = store_path(3).base().hash_part();
    let told = other.get(&format!("/api/v1/paths/{part}")).await.json();
    let word = &told["claims"][0]["attestations"][0];
    assert_eq!(word["origin"], a.origin().await.as_str());
    assert_eq!(word["signer"], "alice");
    // Nothing is done twice.
    let report = b.mirrors(&[&a], &[]);
    assert_eq!(report["nars_fetched"], 0, "{report}");
    assert_eq!(report["entries"], serde_json::json!({}), "{report}");
}

#[tokio::test]
async fn a_mirror_goes_on_where_it_was_and_hands_on_what_it_has() {
    let a = Pool::start(&[]);
    let mut b = Pool::start(&[]);
    let c = Pool::start(&[]);
    a.admin().enrol(&alice().public()).await;
    a.fill(&alice(), 0, 5).await;
    b.mirrors(&[&a], &[]);
    a.fill(&alice(), 5, 300).await;
    b.stop();
    b.start_again();
    a.covers(305).await;
    let report = b.mirrors(&[&a], &[]);
    assert_eq!(report["entries"][a.origin().await.as_str()]["attestations"], 300, "{report}");
    assert_same_logs(&a, &b).await;
    // From the mirror, not from the pool.
    let report = c.mirrors(&[&b], &["--all-ledgers"]);
    assert_eq!(report["nars_fetched"], 305, "{report}");
    assert_same_logs(&a, &c).await;
    // In a circle, too, everything comes to rest.
    b.admin().enrol(&tests::nar::key("bob", 2).public()).await;
    b.fill(&tests::nar::key("bob", 2), 1000, 3).await;
    b.covers(3).await;
    a.mirrors(&[&b], &[]);
    b.mirrors(&[&a], &[]);
    let last = a.mirrors(&[&b], &[]);
    assert_eq!(last["entries"], serde_json::json!({}), "{last}");
    assert_same_logs(&b, &a).await;
    let held = a.admin().get("/api/v1/ledgers").await.json();
    assert_eq!(held["ledgers"].as_array().unwrap().len(), 2, "its own, and b's: {held}");
}
