//! A host's own proxy, which is told of mirrors by the pool that it hears.

use std::fs;

use reqwest::Method;
use schema::hash::NarHash;
use schema::store_path::StorePath;
use tempfile::TempDir;
use tests::cli::Cli;
use tests::client::{Answer, Client};
use tests::deadline::eventually;
use tests::double::{Double, Lie};
use tests::mirror::Mirror;
use tests::nar::{file, noise, path, zstd};
use tests::proxy::Proxy;
use tests::server::Server;

use super::alice;

fn policy() -> String {
    format!(
        "format = \"narpool-policy/1\"\nname = \"test\"\nversion = 1\nstore_dir = \"/nix/store\"\n\
         [principal.alice]\nkeys = [\"{}\"]\n[group.one]\nk = 1\nmembers = [\"alice\"]\n\
         [default]\nrequire = \"group:one\"\n",
        alice().public()
    )
}

/// How much longer the NAR of a file is than the file, for lengths that are multiples of eight.
const EMPTY: usize = 112;

/// A pool whose NARs cannot be had there any more, and two mirrors that have them: one of them behind
/// somebody who may lie.
struct Scene {
    pool: Server,
    liar: Double,
    honest: Double,
    /// The path, and its NAR.
    installed: Vec<(StorePath, Vec<u8>)>,
    dir: TempDir,
    _mirrors: [(Server, TempDir); 2],
}

impl Scene {
    async fn new() -> Self {
        let installed: Vec<_> = [100_000, 3 << 20]
            .map(|len| (path(&len.to_string(), "nar-1.0"), file(&noise(len as u64, len))))
            .into();
        let dir = tempfile::tempdir().unwrap();
        let mirrors = [(); 2].map(|()| {
            let data = tempfile::tempdir().unwrap();
            (Server::start(data.path(), &[]), data)
        });
        let [liar, honest] = [0, 1].map(|at| Double::before(&mirrors[at].0));
        let named = [
            Mirror::new("liar.example/mirror", 1).named_at(&liar.url()),
            Mirror::new("honest.example/mirror", 2).named_at(&honest.url()),
        ];
        let data = dir.path().join("pool");
        let pool = Server::start(&data, &["--mirrors", &named.join(",")]);
        for server in [&pool, &mirrors[0].0, &mirrors[1].0] {
            let admin = Client::admin(server);
            admin.enrol(&alice().public()).await;
            for (path, nar) in &installed {
                admin.push(&alice(), path, nar, &[]).await;
            }
        }
        for file in fs::read_dir(data.join("blobs/nar")).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        Self { pool, liar, honest, installed, dir, _mirrors: mirrors }
    }

    fn proxy(&self, arguments: &[&str]) -> Proxy {
        let cli = Cli::new(self.dir.path(), &self.pool, "");
        Proxy::start(
            &cli,
            &tempfile::tempdir_in(self.dir.path()).unwrap().keep(),
            &policy(),
            arguments,
        )
    }
}

/// What the proxy gives for a path, after it has shown the narinfo.
async fn installs(client: &Client, path: &StorePath) -> Option<Answer> {
    let narinfo = client.get(&format!("/{}.narinfo", path.base().hash_part())).await;
    assert_eq!(narinfo.status, 200, "{}", narinfo.text());
    let text = narinfo.text();
    let url = text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap();
    Answer::unless_gone(client.request(Method::GET, &format!("/{url}"))).await.ok()
}

async fn knows_mirrors(client: &Client) {
    eventually("the mirrors to be known", async || {
        let status = client.get("/").await.text();
        status.matches("(mirror): ").count() == 2 && status.matches(", answers in ").count() == 3
    })
    .await;
}

#[tokio::test]
async fn what_the_pool_has_lost_comes_from_a_mirror() {
    let scene = Scene::new().await;
    let proxy = scene.proxy(&[]);
    let client = Client::of(&proxy.url(""));
    knows_mirrors(&client).await;
    for (path, nar) in &scene.installed {
        let given = installs(&client, path).await.expect("a whole answer");
        assert_eq!((given.status, NarHash::of(&given.body)), (200, NarHash::of(nar)));
    }
    let given = |of: &Double| format!("narpool_proxy_source_nars_total{{source=\"{}\"}}", of.url());
    let mut by_mirrors = 0.0;
    for mirror in [&scene.liar, &scene.honest] {
        by_mirrors += client.metric(&given(mirror)).await;
    }
    assert_eq!(by_mirrors, 2.0);
    proxy.stop();

    // Without mirrors there is nobody to ask.
    let proxy = scene.proxy(&["--no-mirrors"]);
    let client = Client::of(&proxy.url(""));
    let (path, _) = &scene.installed[0];
    assert_ne!(installs(&client, path).await.expect("a whole answer").status, 200);
    assert!(!client.get("/").await.text().contains("(mirror)"));
    proxy.stop();
    scene.pool.stop();
}

#[tokio::test]
async fn mirrors_that_lie_are_named_and_nothing_wrong_is_passed_on() {
    let scene = Scene::new().await;
    let mirrors = [&scene.liar, &scene.honest];
    for (path, nar) in &scene.installed {
        // As long as the right one.
        let swapped = zstd(&file(&noise(7, nar.len() - EMPTY)));
        for mirror in mirrors {
            mirror.tells(Lie::Swaps(swapped.clone().into()));
        }
        let proxy = scene.proxy(&[]);
        let client = Client::of(&proxy.url(""));
        knows_mirrors(&client).await;
        let lies = async |of: &Double| {
            let url = of.url();
            let code = "code=\"nar_swapped\"";
            let name = format!("narpool_proxy_source_faults_total{{source=\"{url}\",{code}}}");
            client.metric_if_any(&name).await.unwrap_or_default()
        };
        // Of a large NAR some is with the client when the lie is known: the next mirror is asked when
        // the client asks again.
        eventually("both to be named", async || {
            let given = installs(&client, path).await;
            assert!(given.is_none_or(|given| given.status != 200), "it is wrong and whole");
            lies(mirrors[0]).await >= 1.0 && lies(mirrors[1]).await >= 1.0
        })
        .await;
        for mirror in mirrors {
            let said = format!("from {}: it sent another NAR than it should", mirror.url());
            assert!(proxy.log().contains(&said), "{}", proxy.log());
        }
        scene.honest.is_honest();
        eventually("the honest one to be asked", async || {
            let given = installs(&client, path).await.filter(|given| given.status == 200);
            given.is_some_and(|given| {
                assert_eq!(NarHash::of(&given.body), NarHash::of(nar));
                true
            })
        })
        .await;
        proxy.stop();
    }
    scene.pool.stop();
}
