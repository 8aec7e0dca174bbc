//! What several pools hold is one set of attestations at whoever mirrors them all, each with its origin.

use std::collections::BTreeMap;
use std::fs;

use schema::key::SecretKey;
use tests::client::Client;
use tests::nar::{attestation, file, key, path};

use super::scene::{Pool, alice, log};

/// A pool of its own where this key has pushed the NAR of a path.
async fn pool_of(signer: &SecretKey, nar: &[u8]) -> Pool {
    let pool = Pool::start(&[]);
    let admin = pool.admin();
    admin.enrol(&signer.public()).await;
    admin.push(signer, &path("shared", "shared"), nar, &[]).await;
    pool
}

#[tokio::test]
async fn three_ledgers_are_one_set_of_words_and_one_nar() {
    let nar = file(b"shared");
    let signers = [alice(), key("bob", 2), key("carol", 3)];
    let mut pools = Vec::new();
    for signer in &signers {
        pools.push(pool_of(signer, &nar).await);
    }
    let mut merged = Pool::start(&[]);
    let report = merged.mirrors(&pools.iter().collect::<Vec<_>>(), &[]);
    assert_eq!(report["nars_fetched"], 1, "each NAR once: {report}");
    let part = path("shared", "shared").base().hash_part();
    let client = Client::new(merged.server());
    let told = client.get(&format!("/api/v1/paths/{part}")).await.json();
    let words = told["claims"][0]["attestations"].as_array().unwrap();
    let told: BTreeMap<&str, &str> = words
        .iter()
        .map(|word| (word["signer"].as_str().unwrap(), word["origin"].as_str().unwrap()))
        .collect();
    for (signer, pool) in signers.iter().zip(&pools) {
        assert_eq!(told[signer.name().as_str()], pool.origin().await);
    }
    let view = "/signers/3/alice,bob,carol";
    let narinfo = client.get(&format!("{view}/{part}.narinfo")).await;
    assert_eq!(narinfo.status, 200, "{}", narinfo.text());
    assert_eq!(narinfo.text().lines().filter(|line| line.starts_with("Sig: ")).count(), 3);

    // Who signs here as well is one voice, and is named once.
    merged.admin().enrol(&alice().public()).await;
    let again = attestation(&alice(), &path("shared", "shared"), &nar, &[]);
    assert_eq!(merged.admin().attest(vec![again]).await.status, 200);
    let narinfo = client.get(&format!("{view}/{part}.narinfo")).await.text();
    assert_eq!(narinfo.lines().filter(|line| line.starts_with("Sig: ")).count(), 3, "{narinfo}");

    // A policy of the operator's hears all of them.
    let policy = merged.dir.path().join("policy.toml");
    let principals: String = signers
        .iter()
        .map(|signer| format!("[principal.{}]\nkeys = [\"{}\"]\n", signer.name(), signer.public()))
        .collect();
    let mut logs = Vec::new();
    for pool in &pools {
        let ledger = merged.ledger_of(&pool.origin().await).await;
        logs.push(format!("\"{}\"", log(&ledger, "attestations").key));
    }
    let text = format!(
        "format = \"narpool-policy/1\"\nname = \"all\"\nversion = 1\nstore_dir = \"/nix/store\"\n\
         [ledger]\nlog = [{}]\n{principals}[group.all]\nk = \"all\"\nmembers = [\"alice\", \"bob\", \"carol\"]\n\
         [default]\nrequire = \"group:all\"\n",
        logs.join(", ")
    );
    fs::write(&policy, text).unwrap();
    merged.stop();
    merged.start_again_with(&["--policies", policy.to_str().unwrap()]);
    let client = Client::new(merged.server());
    let allowed = client.get(&format!("/policy/all/{part}.narinfo")).await;
    assert_eq!(allowed.status, 200, "{}", allowed.text());
}

#[tokio::test]
async fn a_name_means_whom_this_pool_knows_by_it() {
    let nar = file(b"shared");
    let impostor = SecretKey::from_seed("alice".parse().unwrap(), &[66; 32]);
    let elsewhere = pool_of(&impostor, &nar).await;
    let pool = Pool::start(&[]);
    pool.admin().enrol(&alice().public()).await;
    pool.mirrors(&[&elsewhere], &[]);
    let part = path("shared", "shared").base().hash_part();
    let client = Client::new(pool.server());
    for view in ["/signers/1/alice", "/as/alice"] {
        let refused = client.get(&format!("{view}/{part}.narinfo")).await;
        assert_eq!(refused.status, 404, "{view}: {}", refused.text());
        assert!(refused.text().starts_with("not_enough_signers"), "{}", refused.text());
    }
    // Nor may whoever is enrolled elsewhere attest here.
    let word = attestation(&impostor, &path("other", "other"), &nar, &[]);
    assert_eq!(pool.admin().attest(vec![word]).await.status, 422);
}

#[tokio::test]
async fn a_pool_that_lists_a_mirror_is_told_how_far_it_is() {
    let mirror = Pool::start(&[]);
    let key = mirror.admin().get("/api/v1/info").await.json()["logs"]["mirror"].clone();
    let named = format!("{} {}", mirror.url(), key.as_str().unwrap());
    let pool = Pool::start(&["--mirrors", &named]);
    pool.admin().enrol(&alice().public()).await;
    pool.fill(&alice(), 0, 3).await;
    let listed = async || pool.admin().get("/api/v1/mirrors").await.json()["mirrors"][0].clone();
    assert_eq!(listed().await["size"], serde_json::Value::Null);
    mirror.mirrors(&[&pool], &[]);
    let told = listed().await;
    assert_eq!((&told["size"], &told["behind"]), (&3.into(), &0.into()), "{told}");
    pool.fill(&alice(), 3, 2).await;
    assert_eq!(listed().await["behind"], 2);
    mirror.mirrors(&[&pool], &[]);
    assert_eq!(listed().await["behind"], 0);
}
