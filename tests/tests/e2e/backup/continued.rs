//! A restored pool does not say what may contradict what it has said.

use std::fs;
use std::path::Path;

use reqwest::Method;
use schema::compression::Compression;
use schema::store_path::StorePath;
use serde_json::json;
use tests::cli::Cli;
use tests::client::{Answer, Client};
use tests::deadline::eventually;
use tests::nar::{attestation, key, zstd};
use tests::server::Server;

use super::{alice, answers_about, push_all, text, thing, upkeep};

#[tokio::test]
async fn a_restored_pool_logs_nothing_until_it_is_continued() {
    let dir = tempfile::tempdir().unwrap();
    let [data, backup, restored] = ["data", "backup", "restored"].map(|it| dir.path().join(it));
    let server = Server::start(&data, &[]);
    let (path, nar) = thing("restored", 1);
    push_all(&server, &[(path.clone(), nar)]).await;
    let _ = upkeep(&data, &["backup", text(&backup)]).ok();
    let before = answers_about(&Client::admin(&server), &path).await;
    server.stop();
    let _ = upkeep(&restored, &["restore", text(&backup)]).ok();

    let server = Server::start(&restored, &[]);
    let client = Client::admin(&server);
    assert_eq!(answers_about(&client, &path).await, before, "reads go on");
    let ready = client.get("/readyz").await;
    assert!(ready.status == 200 && ready.text().contains("restored"), "{}", ready.text());
    let (other, nar) = thing("restored", 2);
    assert!(client.upload(&nar, Compression::Zstd, zstd(&nar)).await.new, "NARs may come");
    let item = || vec![attestation(&alice(), &other, &nar, &[])];
    let collect = client.request(Method::POST, "/api/v1/gc").json(&json!({"dry_run": false}));
    let refusals = [
        Answer::to(collect).await,
        client.attest(item()).await,
        client.ask_to_enrol(&key("bob", 2).public(), None).await,
    ];
    for refused in refusals {
        let problem = refused.problem();
        assert_eq!((problem.status, &*problem.code), (503, "pool_restored"));
        assert!(problem.hint.unwrap_or_default().contains("continue"));
    }
    let busy = upkeep(&restored, &["continue", "--accept-loss"]).failed();
    assert!(busy.contains("another pool-server works in this data directory"), "{busy}");
    server.stop();

    assert_eq!(upkeep(&restored, &["continue"]).code, 2, "how, it must be told");
    let said = upkeep(&restored, &["continue", "--accept-loss"]).ok();
    assert!(said.contains("1 key events and 1 attestations"), "{said}");
    let record = fs::read_to_string(restored.join("continued.jsonl")).unwrap();
    assert!(record.contains("accept-loss") && record.contains(text(&backup)), "{record}");
    let again = upkeep(&restored, &["continue", "--accept-loss"]).failed();
    assert!(again.contains("was not restored, or has been continued"), "{again}");
    let server = Server::start(&restored, &[]);
    let client = Client::admin(&server);
    let logged = client.attest(item()).await;
    assert_eq!(logged.json()["logged"][0]["index"], 1, "{}", logged.text());
    assert!(!client.get("/readyz").await.text().contains("restored"));
    server.stop();
}

#[tokio::test]
async fn a_pool_of_which_a_witness_has_seen_more_does_not_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let [data, backup, restored, witness] =
        ["data", "backup", "restored", "witness"].map(|it| dir.path().join(it));
    let server = Server::start(&data, &[]);
    let logs = Client::new(&server).get("/api/v1/info").await.json()["logs"].clone();
    server.stop();
    let logs = ["keys", "attestations", "index"].map(|log| logs[log].as_str().unwrap().to_owned());
    let watching = Server::start(&witness, &["--witness-logs", &logs.join(",")]);
    let info = Client::new(&watching).get("/api/v1/info").await.json();
    let policy = dir.path().join("policy");
    let witness_key = info["logs"]["witness"].as_str().unwrap();
    let line = format!("witness one {witness_key} {}\nquorum one\n", watching.url("/witness"));
    fs::write(&policy, line).unwrap();
    let with_policy = ["--witness-policy", text(&policy)];

    let server = Server::start(&data, &with_policy);
    push_all(&server, &[thing("seen", 1)]).await;
    let _ = upkeep(&data, &["backup", text(&backup)]).ok();
    push_all(&server, &[thing("seen", 2)]).await;
    let client = Client::new(&server);
    let size = async || {
        let note = client.get("/ledger/attestations/checkpoint").await.text();
        note.lines().nth(1).unwrap_or_default().to_owned()
    };
    eventually("the witness has seen both", async || size().await == "2").await;
    server.stop();
    let _ = upkeep(&restored, &["restore", text(&backup)]).ok();
    let accept = [with_policy[0], with_policy[1], "continue", "--accept-loss"];
    let refused = upkeep(&restored, &accept).failed();
    assert!(refused.contains("has cosigned 2 entries of the log attestations"), "{refused}");
    watching.stop();
    let refused = upkeep(&restored, &accept).failed();
    assert!(refused.contains("does not tell") && refused.contains("--without-witnesses"));
    assert!(restored.join("restored.json").exists());
    let said = upkeep(&restored, &[&accept[..], &["--without-witnesses"]].concat()).ok();
    assert!(said.contains("1 attestations"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_mirror_has_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let [data, backup, restored, mirror] =
        ["data", "backup", "restored", "mirror"].map(|it| dir.path().join(it));
    let server = Server::start(&data, &[]);
    let before: Vec<_> = (0..3).map(|number| thing("kept", number)).collect();
    let after: Vec<_> = (0..300).map(|number| thing("lost", number)).collect();
    push_all(&server, &before).await;
    let _ = upkeep(&data, &["backup", text(&backup)]).ok();
    push_all(&server, &after).await;
    let admin = Client::admin(&server);
    admin.enrol(&key("bob", 2).public()).await;
    admin.vouch(&key("bob", 2), &after[0].0, &after[1].1, &[]).await;

    let copy = Server::start(&mirror, &[]);
    let home = tempfile::tempdir().unwrap();
    let carry = Cli::new(home.path(), &copy, &copy.admin_token());
    let carried = carry.run(&["mirror", "--json", "--from", &server.url("")]);
    assert_eq!(carried.code, 0, "{carried:?}");
    let note = admin.get("/ledger/attestations/checkpoint").await.text();
    let paths: Vec<_> = before.iter().chain(&after).map(|(path, _)| path.clone()).collect();
    let report = async |client: &Client, path: &StorePath| {
        let answer = client.get(&format!("/api/v1/paths/{}", path.base().hash_part())).await;
        answer.json()["claims"].clone()
    };
    let mut reports = Vec::new();
    for path in &paths {
        reports.push(report(&admin, path).await);
    }
    server.stop();
    mirror_is_made_anew(copy, &mirror, &paths).await;

    let _ = upkeep(&restored, &["restore", text(&backup)]).ok();
    let refused = upkeep(&restored, &["continue", "--mirror", text(&data)]).failed();
    assert!(refused.contains("does not mirror"), "{refused}");
    let said = upkeep(&restored, &["continue", "--mirror", text(&mirror)]).ok();
    assert!(said.contains("2 key events and 304 attestations"), "{said}");
    let server = Server::start(&restored, &[]);
    let client = Client::admin(&server);
    let again = client.get("/ledger/attestations/checkpoint").await.text();
    let signed = |note: &str| note.lines().take(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(signed(&again), signed(&note), "the ledger is as it was");
    for ((path, nar), before) in before.iter().chain(&after).zip(&reports) {
        client.upload(nar, Compression::Zstd, zstd(nar)).await;
        assert_eq!(report(&client, path).await, *before, "{path}");
    }
    let audit = Cli::new(home.path(), &server, "").run(&["ledger", "audit", "--json"]).ok();
    assert!(audit.contains("\"findings\":[]") || audit.contains("\"findings\": []"), "{audit}");
    client.vouch(&key("bob", 2), &after[1].0, &after[1].1, &[]).await;
    server.stop();
}

/// The index of a pool that mirrors another is made anew, and tells the same.
async fn mirror_is_made_anew(server: Server, data: &Path, paths: &[StorePath]) {
    let told = async |server: &Server| {
        let client = Client::admin(server);
        let mut told = Vec::new();
        for path in paths {
            let answer = client.get(&format!("/api/v1/paths/{}", path.base().hash_part())).await;
            told.push(answer.text());
        }
        told
    };
    let before = told(&server).await;
    assert!(before.iter().all(|report| report.contains("alice")), "{}", before[0]);
    server.stop();
    let said = upkeep(data, &["reindex"]).ok();
    assert!(said.contains("0 attestations"), "{said}");
    let server = Server::start(data, &[]);
    assert_eq!(told(&server).await, before);
    server.stop();
}
