//! Backups are made, restored and continued; the index is made anew; and all of it may be cut short.

mod continued;
mod killed;
mod reindexed;
mod under_load;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use schema::key::SecretKey;
use schema::store_path::StorePath;
use tests::client::Client;
use tests::nar::{file, key, noise, path};
use tests::program::{Outcome, built};
use tests::server::Server;

/// `pool-server` with this command on a data directory.
fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(built("pool-server"));
    command.args(arguments).arg("--data").arg(data).env_clear();
    command
}

/// Runs it to its end.
fn upkeep(data: &Path, arguments: &[&str]) -> Outcome {
    Outcome::of(&mut command(data, arguments))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Who vouches for everything here.
fn alice() -> SecretKey {
    key("alice", 1)
}

/// A store path, and the NAR that it has.
fn thing(seed: &str, number: u64) -> (StorePath, Vec<u8>) {
    let nar = file(&noise(number, 3000 + usize::try_from(number % 7).unwrap() * 9000));
    (path(&format!("{seed}-{number}"), "thing"), nar)
}

async fn push_all(server: &Server, things: &[(StorePath, Vec<u8>)]) {
    let admin = Client::admin(server);
    admin.enrol(&alice().public()).await;
    for (path, nar) in things {
        admin.push(&alice(), path, nar, &[]).await;
    }
}

/// What a pool answers to everything that one asks about a path.
async fn answers_about(client: &Client, path: &StorePath) -> BTreeMap<String, (u16, Vec<u8>)> {
    let hash_part = path.base().hash_part();
    let narinfo = client.get(&format!("/as/alice/{hash_part}.narinfo")).await;
    let url = narinfo.text();
    let url = url.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap_or("none");
    let url = format!("/as/alice/{url}");
    let questions = [
        format!("/as/alice/{hash_part}.narinfo"),
        format!("/as/alice/{hash_part}.ls"),
        format!("/{hash_part}.narinfo"),
        format!("/api/v1/paths/{hash_part}"),
        url,
    ];
    let mut answers = BTreeMap::new();
    for question in questions {
        let answer = client.get(&question).await;
        answers.insert(question, (answer.status, answer.body.to_vec()));
    }
    answers
}

/// Everything that is in a directory, by its path.
fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(files(&path));
        } else {
            names.push(path.display().to_string());
        }
    }
    names.sort();
    names
}
