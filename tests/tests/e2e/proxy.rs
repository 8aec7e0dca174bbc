//! Stock Nix that trusts nothing but its host's own proxy.

use std::fs;
use std::time::Instant;

use schema::api::AttestItem;
use schema::key::{PublicKey, SecretKey};
use schema::narinfo::NarInfo;
use tempfile::TempDir;
use tests::cli::Cli;
use tests::client::Client;
use tests::deadline::eventually;
use tests::lab::{Builder, Lab, hash_part, same_files};
use tests::nar::{key, unpack};
use tests::nix::{Host, Version};
use tests::proxy::Proxy;

tests::with_each_nix!(
    two_of_three_must_agree_on_all_of_a_closure,
    nars_are_whole_whoever_gives_them,
    what_nix_remembers_does_not_outlive_the_policy,
);

/// The pool has what alice built and attested; bob and carol are keys.
struct Scene {
    lab: Lab,
    alice: Builder,
    bob: SecretKey,
    carol: SecretKey,
    /// What alice says of each path of the closure.
    built: Vec<NarInfo>,
    dir: TempDir,
}

impl Scene {
    async fn start(version: Version, compression: &str) -> Self {
        let lab = Lab::start(version, &[]);
        let alice = lab.builder("alice", None).await;
        let (bob, carol) = (key("bob", 2), key("carol", 3));
        for key in [&bob, &carol] {
            lab.admin.enrol(&key.public()).await;
        }
        alice.push(&lab.server, &format!("compression={compression}")).ok();
        let mut built = Vec::new();
        for path in alice.host.closure(&alice.top) {
            let narinfo = lab.admin.get(&format!("/as/alice/{}.narinfo", hash_part(&path))).await;
            built.push(NarInfo::parse_nix(&narinfo.body).unwrap());
        }
        let dir = tempfile::tempdir().unwrap();
        Self { lab, alice, bob, carol, built, dir }
    }

    /// `k` of alice, bob and carol.
    fn policy(&self, k: usize) -> String {
        let alice: PublicKey = self.alice.public.parse().unwrap();
        let keys = [alice, self.bob.public(), self.carol.public()];
        let mut text = format!(
            "format = \"narpool-policy/1\"\nname = \"test\"\nversion = {k}\n\
             store_dir = \"/nix/store\"\n\n"
        );
        for key in keys {
            text.push_str(&format!("[principal.{}]\nkeys = [\"{key}\"]\n\n", key.name()));
        }
        text.push_str(&format!(
            "[group.three]\nk = {k}\nmembers = [\"alice\", \"bob\", \"carol\"]\n\n\
             [default]\nrequire = \"group:three\"\n"
        ));
        text
    }

    /// Somebody else who built the same attests those paths whose names `which` likes.
    async fn attests(&self, key: &SecretKey, which: impl Fn(&str) -> bool) {
        let claims = self.built.iter().map(|narinfo| &narinfo.claim);
        let items = claims
            .filter(|claim| which(claim.path().base().name()))
            .map(|claim| AttestItem::new(claim, key.sign(claim.signed_bytes().as_bytes())));
        let answer = self.lab.admin.attest(items.collect()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// The machine's own command, which knows the pool and no token.
    fn cli(&self) -> Cli {
        Cli::new(self.dir.path(), &self.lab.server, "")
    }

    fn proxy(&self, k: usize, arguments: &[&str]) -> Proxy {
        Proxy::start(&self.cli(), &self.dir.path().join("proxy"), &self.policy(k), arguments)
    }

    /// A machine that is set up as the proxy says, but for what `unlike` says.
    fn reader(&self, name: &str, proxy: &Proxy, unlike: &str) -> Host {
        let host = self.lab.host(name);
        let _ = host.run(&["nix", "--version"]).ok();
        let file = host.dir().join("etc/nix.conf");
        let before = fs::read_to_string(&file).unwrap();
        let conf = [before.as_str(), &proxy.nix_conf(&self.cli()), unlike].join("\n");
        fs::write(&file, conf).unwrap();
        host
    }

    fn path_of(&self, name: &str) -> String {
        let paths = self.built.iter().map(|narinfo| narinfo.claim.path());
        paths.filter(|path| path.base().name() == name).map(ToString::to_string).next().unwrap()
    }

    fn same_files(&self, host: &Host) {
        for path in self.alice.host.closure(&self.alice.top) {
            assert!(same_files(&self.alice.host, host, &path), "{path} is another");
        }
    }
}

fn narinfo_of(path: &str) -> String {
    format!("/{}.narinfo", hash_part(path))
}

async fn two_of_three_must_agree_on_all_of_a_closure(version: Version) {
    let scene = Scene::start(version, "zstd").await;
    let (top, library) = (&scene.alice.top, &scene.path_of("library-1.0"));
    scene.attests(&scene.bob, |name| name != "library-1.0").await;
    let proxy = scene.proxy(2, &[]);
    let client = Client::of(&proxy.url(""));

    // All that the top refers to counts.
    for path in [top, library] {
        let refused = client.get(&narinfo_of(path)).await;
        assert_eq!(refused.status, 404);
        let text = refused.text();
        assert!(text.contains(library.as_str()), "{text}");
        assert!(text.contains("alice") && text.contains("bob") && text.contains("carol"), "{text}");
        assert!(!text.contains(scene.path_of("shapes").as_str()), "{text}");
    }
    let shapes = client.get(&narinfo_of(&scene.path_of("shapes"))).await;
    assert_eq!(shapes.status, 200, "{}", shapes.text());
    let shown = NarInfo::parse_nix(&shapes.body).unwrap();
    assert!(scene.built.iter().any(|built| built.claim == shown.claim));
    assert!(shown.signatures.len() == 1 && shown.deriver.is_none());

    let reader = scene.reader("reader", &proxy, "");
    let remembering = scene.reader("remembers", &proxy, "narinfo-cache-negative-ttl = 3600\n");
    for host in [&reader, &remembering] {
        host.run(&["nix-store", "--realise", top]).failed();
        assert!(!host.files_of(top).exists() && !host.files_of(library).exists());
    }

    scene.attests(&scene.carol, |name| name == "library-1.0").await;
    let start = Instant::now();
    eventually("the second signer to count", async || {
        client.get(&narinfo_of(top)).await.status == 200
    })
    .await;
    assert!(start.elapsed().as_secs() < 30, "it took {:?}", start.elapsed());
    assert_eq!(reader.run(&["nix-store", "--realise", top]).ok().trim(), top);
    scene.same_files(&reader);
    // Without the printed setting Nix does not even ask again, until its memory is removed.
    remembering.run(&["nix-store", "--realise", top]).failed();
    remembering.forget();
    remembering.run(&["nix-store", "--realise", top]).ok();
    proxy.stop();
}

async fn nars_are_whole_whoever_gives_them(version: Version) {
    let scene = Scene::start(version, "none").await;
    let top = &scene.alice.top;
    // What alice built lies in another pool, too: with a wrong byte in each NAR of the first, and
    // at different places, the second is a mirror.
    let mirror = Lab::start(version, &[]);
    mirror.admin.enrol(&scene.alice.public.parse().unwrap()).await;
    let token = mirror.server.token("upload,attest");
    let cli = Cli::new(scene.alice.host.dir(), &mirror.server, &token);
    let (store, secret) = (scene.alice.store(), scene.alice.secret());
    cli.run(&["push", top, "--store", &store, "--key", secret]).ok();
    let files = scene.lab.nar_files();
    for (at, file) in files.iter().enumerate() {
        let mut nar = unpack(&fs::read(file).unwrap()).unwrap();
        let place = nar.len() * at / files.len();
        nar[place] ^= 1;
        // The file itself is not to be written.
        fs::remove_file(file).unwrap();
        fs::write(file, nar).unwrap();
    }

    let alone = scene.proxy(1, &[]);
    let reader = scene.reader("reader", &alone, "");
    reader.run(&["nix-store", "--realise", top]).failed();
    for path in scene.alice.host.closure(top) {
        // Nix leaves files of half a NAR behind, which are nothing to it.
        reader.run(&["nix-store", "--check-validity", &path]).failed();
    }
    alone.stop();

    let proxy = scene.proxy(1, &["--from", &mirror.server.url("")]);
    let reader = scene.reader("second-reader", &proxy, "");
    // The wrong byte of the large NAR may be with Nix before any small one has shown who lies. Then
    // Nix gives up, and whoever asks again is given the NAR by the mirror.
    let tried = reader.run(&["nix-store", "--realise", top]);
    assert!(tried.code == 0 || tried.stderr.contains("partial file"), "{}", tried.stderr);
    assert_eq!(reader.run(&["nix-store", "--realise", top]).ok().trim(), top);
    scene.same_files(&reader);
    let client = Client::of(&proxy.url(""));
    let pool = scene.lab.server.url("");
    let lies =
        format!("narpool_proxy_source_faults_total{{source=\"{pool}\",code=\"nar_swapped\"}}");
    assert!(client.metric(&lies).await >= 1.0);
    let status = client.get("/").await.text();
    assert!(status.contains(&pool) && status.contains("nar_swapped"), "{status}");
    assert!(proxy.log().contains("it sent another NAR than it should"), "{}", proxy.log());
}

async fn what_nix_remembers_does_not_outlive_the_policy(version: Version) {
    let scene = Scene::start(version, "xz&compression-level=0").await;
    let top = &scene.alice.top;
    let one = scene.proxy(1, &[]);
    let address = one.url("").trim_start_matches("http://").to_owned();
    let reader = scene.reader("reader", &one, "");
    // Nix has all narinfos now, and no NAR.
    reader.run(&["nix-store", "--realise", "--dry-run", top]).ok();
    one.stop();

    let two = scene.proxy(2, &["--listen", &address]);
    reader.run(&["nix-store", "--realise", top]).failed();
    assert!(!reader.files_of(top).exists());
    scene.attests(&scene.bob, |_| true).await;
    let client = Client::of(&two.url(""));
    eventually("the second signer to count", async || {
        client.get(&narinfo_of(top)).await.status == 200
    })
    .await;
    reader.run(&["nix-store", "--realise", top]).ok();
    scene.same_files(&reader);
}
