//! Whatever is killed while it makes or restores a backup, or the index: nothing is there by halves.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use tests::client::Client;
use tests::deadline::eventually;
use tests::random::Random;
use tests::run::{long, seed};
use tests::server::Server;

use super::{answers_about, command, push_all, text, thing, upkeep};

/// A moment within so long.
fn moment(whole: Duration, random: &mut Random) {
    let micros = u64::try_from(whole.as_micros()).unwrap().max(1);
    thread::sleep(Duration::from_micros(random.within(0..micros)));
}

/// Ends it at an instant left to chance, within about as long as it takes.
fn run_and_kill(data: &Path, arguments: &[&str], (whole, random): (Duration, &mut Random)) {
    let mut command = command(data, arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    moment(whole, random);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// How long it takes when nobody kills it.
fn timed(data: &Path, arguments: &[&str]) -> Duration {
    let start = Instant::now();
    let _ = upkeep(data, arguments).ok();
    start.elapsed()
}

/// Restores all, or refuses and leaves nothing.
fn is_restored(backup: &Path, to: &Path) -> bool {
    let outcome = upkeep(to, &["restore", text(backup)]);
    if outcome.code == 0 {
        let said = outcome.ok();
        assert!(said.contains("40 attestations, 40 NARs; 0 NARs are not here"), "{said}");
        return true;
    }
    let refused = outcome.failed();
    assert!(refused.contains("hint: ") && !to.exists(), "{refused}");
    false
}

fn rounds() -> u64 {
    if long() { 60 } else { 8 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_half_backup_is_ever_restored() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::start(&data, &[]);
    let things: Vec<_> = (0..40).map(|number| thing("killed", number)).collect();
    push_all(&server, &things).await;
    let mut random = Random::new(seed());
    let takes = timed(&data, &["backup", text(&dir.path().join("first"))]);
    let (mut whole, mut torn) = (0, 0);
    for round in 0..rounds() {
        let backup = dir.path().join(format!("backup-{round}"));
        let partial = dir.path().join(format!("backup-{round}.partial"));
        if random.one_of(&[true, false]) {
            // The server that makes it is killed, and not only whoever waits for that.
            let mut command = command(&data, &["backup", text(&backup)]);
            let mut asking = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
            moment(takes, &mut random);
            server.kill();
            asking.wait().unwrap();
            server = Server::start(&data, &[]);
        } else {
            run_and_kill(&data, &["backup", text(&backup)], (takes, &mut random));
            eventually("the server is done, or has given up", async || !partial.exists()).await;
        }
        // What the server that is left makes may be there a moment later, and is then whole, too.
        let there = backup.exists();
        let restored = dir.path().join(format!("restored-{round}"));
        if is_restored(&backup, &restored) {
            whole += 1;
            continue;
        }
        assert!(!there, "a backup that is there is whole");
        torn += 1;
        // It may have been killed with all but its name: what matters is that nothing is half there.
        let _ = is_restored(&partial, &restored);
    }
    println!("{whole} were whole, {torn} were not");
    server.stop();
    let backup = dir.path().join("backup-last");
    fs::create_dir_all(dir.path().join("backup-last.partial/index")).unwrap();
    fs::write(dir.path().join("backup-last.partial/unfinished"), "").unwrap();
    let said = upkeep(&data, &["backup", text(&backup)]).ok();
    assert!(said.contains("with 40 NARs"), "what was left of an attempt is cleared: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_server_starts_on_a_half_restored_directory() {
    let dir = tempfile::tempdir().unwrap();
    let [data, backup] = ["data", "backup"].map(|it| dir.path().join(it));
    let server = Server::start(&data, &[]);
    push_all(&server, &(0..40).map(|number| thing("half", number)).collect::<Vec<_>>()).await;
    server.stop();
    let _ = upkeep(&data, &["backup", text(&backup)]).ok();
    let mut random = Random::new(seed());
    let takes = timed(&dir.path().join("first"), &["restore", text(&backup)]);
    let mut half = 0;
    for round in 0..rounds() {
        let restored = dir.path().join(format!("restored-{round}"));
        run_and_kill(&restored, &["restore", text(&backup)], (takes, &mut random));
        let note = fs::read_to_string(restored.join("restored.json")).unwrap_or_default();
        if note.contains("\"whole\": true") || !restored.exists() {
            continue;
        }
        if note.is_empty() {
            // Nothing was put there before the note.
            let names = super::files(&restored);
            assert!(names.iter().all(|it| it.ends_with("restored.json.new")), "{names:?}");
            continue;
        }
        half += 1;
        let refused = upkeep(&restored, &["--listen", "127.0.0.1:0"]).failed();
        assert!(refused.contains("was being restored and is not whole"), "{refused}");
    }
    println!("{half} were half restored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_was_not_made_to_the_end_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    let things: Vec<_> = (0..40).map(|number| thing("index", number)).collect();
    push_all(&server, &things).await;
    let mut before = Vec::new();
    for (path, _) in &things {
        before.push(answers_about(&Client::admin(&server), path).await);
    }
    server.stop();
    let mut random = Random::new(seed());
    let takes = timed(&data, &["reindex"]);
    for _ in 0..rounds() {
        run_and_kill(&data, &["reindex"], (takes, &mut random));
        let server = Server::start(&data, &[]);
        for ((path, _), before) in things.iter().zip(&before) {
            assert_eq!(answers_about(&Client::admin(&server), path).await, *before);
        }
        server.stop();
    }
    let said = upkeep(&data, &["reindex"]).ok();
    assert!(said.contains("40 attestations, 40 NARs"), "{said}");
    assert!(!data.join("index.new").exists(), "what was left is cleared");
}
