//! A process may have only so many files open.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use tests::client::Client;
use tests::program::Outcome;
use tests::server::Server;

use super::load::{Owed, Piece, Refused, signer};

/// A thread that does nothing else has a hundred of these a second.
const MOST_TICKS: u64 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_too_many_files_open_the_pool_says_so_and_waits() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let (client, owed) = (Client::admin(&server), Owed::default());
    client.enrol(&signer().public()).await;
    let [old, new] = ["old", "new"].map(|name| Piece::new(name, 50_000));
    owed.push(&client, &old).await.unwrap();

    let before = limit(&server);
    set_limit(&server, first_free(&server));
    let nar = format!("/nar/{}.nar.zst", old.nar_hash().to_nix32());
    // Over a connection that is there already.
    let answer = client.get(&nar).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "5"), "{}", answer.text());
    assert!(answer.text().starts_with("out_of_files: "), "{}", answer.text());
    let refused = owed.upload(&client, &new).await;
    assert_eq!(refused, Err(Refused::Problem(503, "out_of_files".to_owned())));

    let waiting = tokio::spawn({
        let (client, nar) = (Client::new(&server), nar.clone());
        async move { client.get(&nar).await }
    });
    let ticks = cpu_ticks(&server);
    sleep(Duration::from_secs(1));
    let ticks = cpu_ticks(&server) - ticks;
    assert!(ticks < MOST_TICKS, "it waits for files, and does not spin: {ticks} ticks");
    assert!(!waiting.is_finished());

    set_limit(&server, before);
    assert_eq!(waiting.await.unwrap().status, 200, "who waited is served");
    owed.push(&client, &new).await.unwrap();
    owed.audit(&client).await;
    server.stop();
}

/// The smallest number that no file of the server has.
fn first_free(server: &Server) -> u64 {
    let files = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let open: BTreeSet<u64> = names.map(|name| name.parse().unwrap()).collect();
    (0..).find(|number| !open.contains(number)).unwrap()
}

/// How many files it may open.
fn limit(server: &Server) -> u64 {
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Sets that. The server has raised it as far as it may, which stays as it is.
fn set_limit(server: &Server, files: u64) {
    let mut prlimit = Command::new("prlimit");
    prlimit.args([format!("--pid={}", server.pid()), format!("--nofile={files}:")]);
    Outcome::of(&mut prlimit).ok();
}

/// Hundredths of a second that it has worked.
fn cpu_ticks(server: &Server) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    let (_, after) = stat.rsplit_once(") ").unwrap();
    let numbers: Vec<&str> = after.split(' ').collect();
    // The 14th and the 15th number of proc(5), of which two stand before.
    [11, 12].map(|at: usize| numbers[at].parse::<u64>().unwrap()).iter().sum()
}
