//! Mirrors of some of the NARs, which say where the others are.

use std::fs;

use schema::hash::NarHash;
use tests::client::Client;
use tests::nar::{file, key, path, unpack};

use super::scene::{Pool, alice, nar, store_path};

mod pulled;

/// Which of the first `count` NARs a pool has.
async fn present(pool: &Pool, count: u64) -> Vec<u64> {
    let client = pool.admin();
    let mut present = Vec::new();
    for number in 0..count {
        let hash = NarHash::of(&nar(number)).to_nix32();
        if client.get(&format!("/nar/{hash}.nar.zst")).await.status == 200 {
            present.push(number);
        }
    }
    present
}

async fn original() -> Pool {
    let a = Pool::start(&[]);
    a.admin().enrol(&alice().public()).await;
    a.fill(&alice(), 0, 14).await;
    a.covers(14).await;
    a
}

#[tokio::test]
async fn a_mirror_has_what_it_asks_for_and_says_where_the_rest_is() {
    let a = original().await;
    let b = Pool::start(&[]);
    // Of these numbers, 6 and 13 are large.
    let report = b.mirrors(&[&a], &["--max-size", "100K"]);
    assert_eq!(report["nars_fetched"], 12, "{report}");
    assert_eq!(present(&b, 14).await, (0..14).filter(|it| it % 7 != 6).collect::<Vec<_>>());
    let part = store_path(6).base().hash_part();
    let client = Client::new(b.server());
    let refused = client.get(&format!("/{part}.narinfo")).await;
    assert_eq!(refused.status, 404);
    let said = refused.text();
    assert!(said.contains("no_nar") && said.contains(&format!("it is at {}", a.url())), "{said}");
    // The ledger is whole none the less.
    let told = client.get(&format!("/api/v1/paths/{part}")).await.json();
    assert_eq!(told["claims"][0]["attestations"][0]["signer"], "alice");
    // What was left out is looked at again when that is asked for.
    let report = b.mirrors(&[&a], &[]);
    assert_eq!(report["nars_fetched"], 0, "{report}");
    let report = b.mirrors(&[&a], &["--rescan", "--name", "item-6"]);
    assert_eq!(report["nars_fetched"], 1, "{report}");
    let report = b.mirrors(&[&a], &["--rescan"]);
    assert_eq!(report["nars_fetched"], 1, "{report}");
    assert_eq!(present(&b, 14).await.len(), 14);
}

#[tokio::test]
async fn names_signers_and_policies_choose() {
    let a = original().await;
    let bob = key("bob", 2);
    a.admin().enrol(&bob.public()).await;
    for number in 3..6 {
        a.admin().vouch(&bob, &store_path(number), &nar(number), &[]).await;
    }
    a.covers(17).await;
    let chosen = async |arguments: &[&str]| {
        let b = Pool::start(&[]);
        b.mirrors(&[&a], arguments);
        present(&b, 14).await
    };
    assert_eq!(chosen(&["--name", "item-1*"]).await, [1, 10, 11, 12, 13]);
    assert_eq!(chosen(&["--name", "item-1*", "--max-size", "2K"]).await, [1, 10, 11, 12]);
    assert_eq!(chosen(&["--signer", "bob"]).await, [3, 4, 5]);
    assert_eq!(chosen(&["--signer", "bob", "--signer", "alice"]).await.len(), 14);
    let policy = a.dir.path().join("policy.toml");
    let text = format!(
        "format = \"narpool-policy/1\"\nname = \"both\"\nversion = 1\nstore_dir = \"/nix/store\"\n\
         [principal.alice]\nkeys = [\"{}\"]\n[principal.bob]\nkeys = [\"{}\"]\n\
         [group.both]\nk = 2\nmembers = [\"alice\", \"bob\"]\n[default]\nrequire = \"group:both\"\n",
        alice().public(),
        bob.public()
    );
    fs::write(&policy, text).unwrap();
    assert_eq!(chosen(&["--policy", policy.to_str().unwrap()]).await, [3, 4, 5]);
}

#[tokio::test]
async fn roots_bring_all_that_they_refer_to() {
    let a = Pool::start(&[]);
    let admin = a.admin();
    admin.enrol(&alice().public()).await;
    let names = ["top", "middle", "bottom", "beside"];
    let store = |name: &str| path(name, name);
    let contents = |name: &str| file(name.repeat(100).as_bytes());
    for (at, name) in names.iter().enumerate() {
        let below = names[..3].get(at + 1).filter(|_| at < 2);
        let references: Vec<_> = below.iter().map(|name| store(name).base().clone()).collect();
        admin.push(&alice(), &store(name), &contents(name), &references).await;
    }
    let b = Pool::start(&[]);
    let list = b.dir.path().join("roots");
    fs::write(&list, format!("# what we run\n{}  # and its closure\n\n", store("top"))).unwrap();
    let report = b.mirrors(&[&a], &["--roots", list.to_str().unwrap()]);
    assert_eq!(report["nars_fetched"], 3, "{report}");
    let client = Client::new(b.server());
    for (name, status) in [("top", 200), ("middle", 200), ("bottom", 200), ("beside", 404)] {
        let part = store(name).base().hash_part();
        assert_eq!(client.get(&format!("/{part}.narinfo")).await.status, status, "{name}");
    }
    // The list is read anew each time.
    fs::write(&list, store("beside").base().hash_part().to_string()).unwrap();
    let report = b.mirrors(&[&a], &["--roots", list.to_str().unwrap()]);
    assert_eq!(report["nars_fetched"], 1, "{report}");
}

#[tokio::test]
async fn askers_are_sent_to_where_a_nar_is() {
    let a = original().await;
    let b = Pool::start(&["--absent-nars", "redirect"]);
    b.mirrors(&[&a], &["--name", "nothing"]);
    let client = Client::new(b.server());
    let narinfo = client.get(&format!("/{}.narinfo", store_path(6).base().hash_part())).await;
    assert_eq!(narinfo.status, 200, "{}", narinfo.text());
    let original = Client::new(a.server());
    let there = original.get(&format!("/{}.narinfo", store_path(6).base().hash_part())).await;
    assert_eq!(narinfo.text(), there.text());
    let hash = NarHash::of(&nar(6)).to_nix32();
    let address = format!("/nar/{hash}.nar.zst");
    let sent = client.get(&address).await;
    assert_eq!(sent.status, 307);
    assert_eq!(sent.headers["location"], format!("{}{address}", a.url()).as_str());
    assert_eq!(sent.headers["cache-control"], "no-store");
    assert_eq!(unpack(&original.get(&address).await.body).unwrap(), nar(6));
    // By views, too.
    let sent = client.get(&format!("/signers/1/alice{address}")).await;
    assert_eq!(sent.status, 307);
    assert_eq!(client.get(&format!("/nar/{hash}.nar.xz")).await.status, 404);
}
