//! Backups beside a running server that takes uploads.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use schema::store_path::StorePath;
use serde_json::Value;
use tests::cli::Cli;
use tests::client::Client;
use tests::deadline::eventually;
use tests::server::Server;

use super::{alice, answers_about, files, push_all, text, thing, upkeep};

/// Who upload at once.
const WRITERS: u64 = 4;

type Acknowledged = Arc<Mutex<Vec<(StorePath, Vec<u8>)>>>;

/// Pushes until it is told to stop, and notes what was acknowledged.
async fn write_on(client: Client, writer: u64, acknowledged: Acknowledged, stop: Arc<AtomicBool>) {
    let mut number = writer * 1_000_000;
    while !stop.load(Ordering::Relaxed) {
        let (path, nar) = thing("load", number);
        client.push(&alice(), &path, &nar, &[]).await;
        acknowledged.lock().unwrap().push((path, nar));
        number += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_has_all_that_was_acknowledged_before() {
    let dir = tempfile::tempdir().unwrap();
    let [data, backup, restored] = ["data", "backup", "restored"].map(|it| dir.path().join(it));
    let server = Server::start(&data, &[]);
    push_all(&server, &[]).await;
    let (acknowledged, stop) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (client, acknowledged) = (Client::admin(&server), Arc::clone(&acknowledged));
            tokio::spawn(write_on(client, writer, acknowledged, Arc::clone(&stop)))
        })
        .collect();
    eventually("some pushes", async || acknowledged.lock().unwrap().len() > 40).await;

    let before = acknowledged.lock().unwrap().clone();
    let made = tokio::task::block_in_place(|| upkeep(&data, &["backup", text(&backup), "--json"]));
    let after = acknowledged.lock().unwrap().len();
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let made: Value = serde_json::from_str(&made.ok()).unwrap();
    let nars = made["nars"].as_u64().unwrap();
    assert!(nars >= before.len() as u64, "{nars} of {}", before.len());
    assert_eq!(made["missing"], 0);
    println!("{} acknowledged before, {after} after, {nars} in the backup", before.len());

    let outcome = upkeep(&restored, &["restore", text(&backup), "--json"]).ok();
    let outcome: Value = serde_json::from_str(&outcome).unwrap();
    assert_eq!((&outcome["nars"], &outcome["absent"]), (&made["nars"], &Value::from(0)));
    let copy = Server::start(&restored, &[]);
    let (original, client) = (Client::admin(&server), Client::admin(&copy));
    for (path, nar) in &before {
        let answers = answers_about(&client, path).await;
        assert_eq!(answers, answers_about(&original, path).await, "{path}");
        assert!(answers.values().filter(|(status, _)| *status == 200).count() >= 4, "{answers:?}");
        assert!(
            answers.values().any(|(_, body)| tests::nar::unpack(body).is_ok_and(|it| it == *nar))
        );
    }
    let home = tempfile::tempdir().unwrap();
    let audit = Cli::new(home.path(), &copy, "").run(&["ledger", "audit", "--json"]).ok();
    let audit: Value = serde_json::from_str(&audit).unwrap();
    assert_eq!(audit["findings"], Value::Array(Vec::new()), "{audit}");
    assert_eq!(audit["logs"]["attestations"]["size"], made["sizes"]["attestations"]);
    copy.stop();
    server.stop();
}

#[tokio::test]
async fn a_backup_is_its_operators_alone_and_none_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let [data, backup, small] = ["data", "backup", "small"].map(|it| dir.path().join(it));
    let server = Server::start(&data, &[]);
    let things: Vec<_> = (0..3).map(|number| thing("small", number)).collect();
    push_all(&server, &things).await;
    // The first token is often removed. The door needs none.
    fs::remove_file(data.join("admin.token")).unwrap();
    let said = upkeep(&data, &["backup", text(&backup)]).ok();
    assert!(said.contains("3 attestations, with 3 NARs"), "{said}");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&backup), mode(&data.join("control"))), (0o700, 0o600));
    for name in ["pool.key", "witness.key", "mirror.key", "tokens.json"] {
        assert_eq!(mode(&backup.join(name)), 0o600, "{name}");
    }
    assert!(!files(&backup).iter().any(|it| it.ends_with("unfinished")));

    let whole = files(&backup);
    let refused = upkeep(&data, &["backup", text(&backup)]).failed();
    assert!(refused.contains("is there already") && refused.contains("hint: "), "{refused}");
    assert_eq!(files(&backup), whole);

    let made = upkeep(&data, &["backup", "--no-nars", text(&small), "--json"]).ok();
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!((&made["nars"], &made["with_nars"]), (&Value::from(3), &Value::from(false)));
    assert!(!files(&small).iter().any(|it| it.contains(".nar.")));
    server.stop();
    assert!(!data.join("control").exists(), "a server that ended listens no more");

    // Without a server the command does it alone, and restores say what is not there.
    let offline = dir.path().join("offline");
    let said = upkeep(&data, &["backup", text(&offline)]).ok();
    assert!(said.contains("with 3 NARs"), "{said}");
    let refused = upkeep(&data, &["restore", text(&offline)]).failed();
    assert!(refused.contains("is not empty"), "{refused}");
    let lacking = dir.path().join("lacking");
    let said = upkeep(&lacking, &["restore", text(&small)]).ok();
    assert!(said.contains("0 NARs; 3 NARs are not here"), "{said}");
    let copy = Server::start(&lacking, &[]);
    let (path, _) = &things[0];
    let question = format!("/api/v1/paths/{}", path.base().hash_part());
    let report = Client::new(&copy).get(&question).await;
    assert_eq!(report.json()["claims"].as_array().unwrap().len(), 1);
    let narinfo = format!("/as/alice/{}.narinfo", path.base().hash_part());
    assert_eq!(Client::new(&copy).get(&narinfo).await.status, 404);
    copy.stop();
}
