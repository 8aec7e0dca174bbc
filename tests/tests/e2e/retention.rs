//! What stays, what goes, and what people are told: over plain HTTP and with the command line.

mod collected;
mod deleted;
mod pinned;
mod soak;

use reqwest::Method;
use schema::api::{GcFate, GcLine, GcSummary};
use schema::key::SecretKey;
use schema::narinfo::NarInfo;
use schema::store_path::StorePath;
use tempfile::TempDir;
use tests::cli::Cli;
use tests::client::{Answer, Client};
use tests::deadline::eventually;
use tests::nar::{file, key, noise, path};
use tests::server::Server;

/// The shortest promises there are: ten seconds, and a quarter longer.
const SHORT: [&str; 6] = ["--narinfo-max-age", "0s", "--lease", "10s", "--upload-grace", "1s"];
/// The same, and what was promised to nobody for a second goes.
const BRIEF: [&str; 8] =
    ["--narinfo-max-age", "0s", "--lease", "10s", "--upload-grace", "1s", "--collect-after", "1s"];

/// A pool, its operator, and a signer.
struct Scene {
    server: Server,
    admin: Client,
    alice: SecretKey,
    dir: TempDir,
}

impl Scene {
    /// Nothing is collected but by hand.
    async fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let arguments = [arguments, &["--gc-interval", "0s"]].concat();
        let server = Server::start(&dir.path().join("data"), &arguments);
        let admin = Client::admin(&server);
        let alice = key("alice", 1);
        admin.enrol(&alice.public()).await;
        Self { server, admin, alice, dir }
    }

    /// Pushes a path of a NAR of its own.
    async fn push(&self, name: &str, references: &[&StorePath]) -> StorePath {
        let path = path(name, name);
        let references: Vec<_> = references.iter().map(|it| it.base().clone()).collect();
        self.admin.push(&self.alice, &path, &nar_of(name), &references).await;
        path
    }

    async fn ask(&self, path: &StorePath) -> Answer {
        self.admin.get(&format!("/{}.narinfo", path.base().hash_part())).await
    }

    async fn shown(&self, path: &StorePath) -> NarInfo {
        let answer = self.ask(path).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        NarInfo::parse_nix(&answer.body).unwrap()
    }

    async fn is_shown(&self, path: &StorePath) -> bool {
        // Not by its narinfo: that would promise it.
        let report = self.admin.get(&format!("/api/v1/paths/{}", path.base().hash_part())).await;
        report.json()["refused"].is_null()
    }

    /// Collects, and answers with what became of which NAR.
    async fn collect(&self, dry_run: bool) -> (Vec<(GcFate, String)>, GcSummary) {
        let request = self.admin.request(Method::POST, "/api/v1/gc");
        let answer = Answer::to(request.json(&serde_json::json!({ "dry_run": dry_run }))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let (mut fates, mut end) = (Vec::new(), None);
        for line in answer.json_lines() {
            match serde_json::from_value(line).unwrap() {
                GcLine::Nar(nar) => {
                    let paths = nar.paths.iter().map(|path| path.base().name());
                    fates.push((nar.fate, paths.collect::<Vec<_>>().join(" ")));
                }
                GcLine::End(summary) => end = Some(summary),
                GcLine::Working => {}
            }
        }
        fates.sort_by(|one, other| one.1.cmp(&other.1));
        (fates, end.expect("the last line sums it up"))
    }

    /// Collects until so many files are left.
    async fn collect_until(&self, left: usize) {
        let what = format!("{left} NARs are left");
        eventually(&what, async || {
            self.collect(false).await;
            self.files() == left
        })
        .await;
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.server.data().join("blobs/nar")).unwrap().count()
    }

    fn cli(&self) -> Cli {
        Cli::new(self.dir.path(), &self.server, &self.server.admin_token())
    }
}

fn nar_of(name: &str) -> Vec<u8> {
    let seed = name.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(257) + u64::from(byte));
    file(&noise(seed, 20_000))
}
