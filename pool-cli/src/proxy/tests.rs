//! The proxy over its own socket, with a stand-in for the judge.

mod printed;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use schema::api::Problem;
use schema::claim::{Claim, Dialect};
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::key::PublicKey;
use schema::narinfo::NarInfo;
use schema::narinfo::guix::{GuixNarInfo, SignatureLine};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::*;
use crate::judge::Allowed;
use crate::source::Pace;
use crate::source::tests::scripted::{Reply, Scripted, allowed, bytes, quiet};

/// Answers what it is told to.
#[derive(Default)]
struct StandIn(Mutex<HashMap<HashPart, Arc<Allowed>>>);

impl StandIn {
    fn allow(&self, allowed: Allowed) -> Arc<Allowed> {
        let allowed = Arc::new(allowed);
        let path = allowed.claim.path().base().hash_part();
        self.0.lock().unwrap().insert(path, Arc::clone(&allowed));
        allowed
    }
}

impl Decides for StandIn {
    fn answer(self: Arc<Self>, path: HashPart) -> BoxFuture<'static, Answer> {
        let found = self.0.lock().unwrap().get(&path).cloned();
        let refusal = Refusal {
            code: "not_enough_votes",
            detail: format!("{path}: lacks 1 of 2: farm attested; bob has not"),
            hint: Some("wait for bob".to_owned()),
        };
        Box::pin(async move { Answer { path: None, outcome: found.ok_or(refusal) } })
    }

    fn status(&self) -> Vec<String> {
        vec!["policy stand-in".to_owned()]
    }
}

struct Running {
    address: SocketAddr,
    judge: Arc<StandIn>,
    key: PublicKey,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<Result<()>>,
    _state: tempfile::TempDir,
}

impl Running {
    async fn start(pools: &[&Scripted]) -> Self {
        Self::start_for(Dialect::Nix, pools).await
    }

    async fn start_for(dialect: Dialect, pools: &[&Scripted]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let key = HostKey::of(state.path(), dialect).unwrap();
        let public = key.public();
        let access: Vec<_> = pools.iter().map(|pool| pool.access.clone()).collect();
        let sources = Sources::new(&access, &[], Pace::default(), quiet()).unwrap();
        let judge: Arc<StandIn> = Arc::default();
        let store_dir = match dialect {
            Dialect::Nix => StoreDir::nix(),
            Dialect::Guix => StoreDir::guix(),
        };
        let proxy = Proxy::new(judge.clone(), Arc::new(sources), key, store_dir, quiet());
        let door = Door::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = door.address().to_string().parse().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let served = tokio::spawn(serve(proxy, door, quiet(), stopped));
        Self { address, judge, key: public, stop, served, _state: state }
    }

    async fn ask(&self, method: &str, path: &str, header: &str) -> Heard {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: proxy\r\n{header}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase();
        Heard { head, body: answer[end + 4..].to_vec() }
    }

    async fn get(&self, path: &str) -> Heard {
        self.ask("GET", path, "").await
    }
}

struct Heard {
    /// In lower case.
    head: String,
    body: Vec<u8>,
}

impl Heard {
    fn status(&self) -> &str {
        &self.head["http/1.1 ".len()..][..3]
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

const PATH: &str = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz";

fn file_of(nar: &[u8]) -> String {
    format!("nar/{PATH}-{}.nar", NarHash::of(nar).to_nix32())
}

#[tokio::test]
async fn a_narinfo_is_that_of_the_claim_signed_by_this_host_alone() {
    let proxy = Running::start(&[]).await;
    let nar = bytes(1, 100);
    let mut it = allowed("hello-2.12", &nar, &[(0, Compression::Xz)]);
    it.content_address =
        "fixed:r:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73".parse().ok();
    let allowed = proxy.judge.allow(it);
    let answer = proxy.get(&format!("/{PATH}.narinfo")).await;
    assert!(answer.head.contains("content-type: text/x-nix-narinfo"), "{}", answer.head);
    let signature = answer.text().lines().find(|line| line.starts_with("Sig: ")).unwrap();
    let hash = allowed.claim.nar_hash();
    let expected = format!(
        "StorePath: /nix/store/{PATH}-hello-2.12\nURL: {}\nCompression: none\nFileHash: {hash}\n\
         FileSize: 100\nNarHash: {hash}\nNarSize: 100\nReferences: \n{signature}\n\
         CA: fixed:r:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\n",
        file_of(&nar)
    );
    assert_eq!(answer.text(), expected);
    let read = NarInfo::parse_nix(&answer.body).unwrap();
    assert_eq!(read.signatures.len(), 1);
    assert_eq!(read.signatures[0].name(), proxy.key.name());
    let signed = read.claim.signed_bytes();
    assert!(proxy.key.verifies(signed.as_bytes(), read.signatures[0].signature()));
    // The same question gets the same bytes, and HEAD the same header.
    assert_eq!(proxy.get(&format!("/{PATH}.narinfo")).await.body, answer.body);
    let head = proxy.ask("HEAD", &format!("/{PATH}.narinfo"), "").await;
    assert!(head.body.is_empty() && head.status() == "200");
    assert!(head.head.contains(&format!("content-length: {}", answer.body.len())));
}

#[tokio::test]
async fn guix_is_shown_its_own_kind_of_narinfo() {
    let proxy = Running::start_for(Dialect::Guix, &[]).await;
    let nar = bytes(1, 100);
    let nix = allowed("hello-2.12", &nar, &[(0, Compression::Xz)]);
    let elsewhere = proxy.judge.allow(nix);
    let path = format!("/{PATH}.narinfo");
    let answer = proxy.get(&path).await;
    assert!(answer.text().starts_with("other_path: /nix/store/"), "{}", answer.text());
    assert!(answer.head.contains("cache-control: max-age=1"), "{}", answer.head);
    let claim = &elsewhere.claim;
    let item = format!("/gnu/store/{}", claim.path().base()).parse().unwrap();
    let claim = Claim::new(item, claim.nar_hash(), claim.nar_size(), Vec::new()).unwrap();
    let (content_address, files) = (None, Vec::new());
    proxy.judge.allow(Allowed { claim: Arc::new(claim.clone()), content_address, files });
    let answer = proxy.get(&path).await;
    assert!(answer.head.contains("content-type: application/x-nix-narinfo"), "{}", answer.head);
    assert!(answer.head.contains("cache-control: max-age=60"), "{}", answer.head);
    let narinfo = GuixNarInfo::parse(&answer.body).unwrap();
    assert_eq!(narinfo.claim, claim.in_guix(None));
    let Some(SignatureLine::Ecdsa(signature)) = narinfo.signature else { panic!("unsigned") };
    assert!(signature.holds(narinfo.claim.id().as_bytes()));
    assert_eq!(Some(signature.key()), proxy.key.guix());
    assert_eq!(narinfo.deliveries[0].url, file_of(&nar));
    let key = proxy.get("/signing-key.pub").await;
    assert!(key.text().starts_with("(public-key \n (ecc \n  (curve Ed25519)\n"), "{}", key.text());
}

#[tokio::test]
async fn a_refusal_says_why() {
    let proxy = Running::start(&[]).await;
    for path in [format!("/{PATH}.narinfo"), format!("/{}", file_of(b"x"))] {
        let answer = proxy.get(&path).await;
        assert_eq!(answer.status(), "404");
        assert!(answer.head.contains("no-store") && answer.head.contains("text/plain"));
        let text = format!(
            "not_enough_votes: {PATH}: lacks 1 of 2: farm attested; bob has not\nhint: wait for bob\n"
        );
        assert_eq!(answer.text(), text);
        let answer = proxy.ask("GET", &path, "Accept: application/problem+json\r\n").await;
        assert!(answer.head.contains("content-type: application/problem+json"));
        let problem: Problem = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((problem.status, &*problem.code), (404, "not_enough_votes"));
        assert!(problem.detail.contains("bob has not"));
    }
    for (path, code) in [
        (format!("/{PATH}.ls"), "not_attested"),
        (format!("/log/{PATH}-x.drv"), "not_attested"),
        ("/realisations/sha256:00!out.doi".to_owned(), "not_attested"),
        ("/debuginfo/00".to_owned(), "not_attested"),
        ("/nar/0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73.nar".to_owned(), "no_such"),
        (format!("/{}.narinfo", &PATH[1..]), "no_such"),
        ("/a/b/c".to_owned(), "no_such"),
    ] {
        let answer = proxy.get(&path).await;
        assert_eq!(answer.status(), "404", "{path}");
        assert!(answer.text().starts_with(code), "{path}: {}", answer.text());
    }
    let put = proxy.ask("PUT", &format!("/{PATH}.narinfo"), "Content-Length: 0\r\n").await;
    assert!(put.status() == "405" && put.text().starts_with("read_only"), "{}", put.text());
}

#[tokio::test]
async fn a_nar_is_served_whole_or_not_at_all() {
    let nar = bytes(2, 2_000_000);
    let file = zstd(&nar);
    let good = Scripted::with(Reply::File(file.clone())).await;
    let proxy = Running::start(&[&good]).await;
    proxy.judge.allow(allowed("a", &nar, &[(0, Compression::Zstd)]));
    let path = format!("/{}", file_of(&nar));
    let head = proxy.ask("HEAD", &path, "").await;
    assert!(head.head.contains("content-length: 2000000") && good.asked().is_empty());
    let answer = proxy.ask("GET", &path, "Range: bytes=5-\r\n").await;
    assert!(answer.status() == "200" && answer.body == nar);
    assert!(answer.head.contains("content-length: 2000000"), "{}", answer.head);
    assert!(answer.head.contains("content-type: application/x-nix-nar"), "{}", answer.head);

    let mut wrong = nar.clone();
    wrong[0] ^= 1;
    let bad = Scripted::with(Reply::File(zstd(&wrong))).await;
    let proxy = Running::start(&[&bad]).await;
    proxy.judge.allow(allowed("a", &nar, &[(0, Compression::Zstd)]));
    let answer = proxy.get(&path).await;
    assert_eq!((answer.status(), answer.body.len()), ("200", 2_000_000 - (64 << 10)));
    let metrics = proxy.get("/metrics").await;
    let source = &bad.access.server;
    for line in [
        "narpool_proxy_nars_total{result=\"broken_off\"} 1".to_owned(),
        "narpool_proxy_nars_total{result=\"sent\"} 0".to_owned(),
        format!("narpool_proxy_source_faults_total{{source=\"{source}\",code=\"nar_swapped\"}} 1"),
    ] {
        assert!(metrics.text().lines().any(|it| it == line), "{line}\n{}", metrics.text());
    }
    let status = proxy.get("/").await;
    let line = format!("{source}: 0 given, nar_swapped 1");
    assert!(status.text().contains(&line), "{}", status.text());
    assert!(status.text().contains("policy stand-in"), "{}", status.text());
}

#[tokio::test]
async fn a_nar_that_nobody_gives_is_a_404_or_worth_another_try() {
    let nar = bytes(3, 1000);
    for (reply, status, code) in [
        (Reply::Head("404 Not Found"), "404", "does not have the NAR"),
        (Reply::File(bytes(4, 1000)), "404", "another NAR"),
        (Reply::Head("500 Oops"), "503", "500 Internal Server Error"),
    ] {
        let pool = Scripted::with(reply).await;
        let proxy = Running::start(&[&pool]).await;
        proxy.judge.allow(allowed("a", &nar, &[(0, Compression::None)]));
        let answer = proxy.get(&format!("/{}", file_of(&nar))).await;
        assert_eq!(answer.status(), status);
        assert!(answer.text().starts_with("no_nar: ") && answer.text().contains(code));
        assert!(answer.text().contains(&pool.access.server), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_nar_of_a_narinfo_that_no_longer_holds_is_not_served() {
    let (old, new) = (bytes(5, 1000), bytes(6, 1000));
    let pool = Scripted::with(Reply::File(old.clone())).await;
    let proxy = Running::start(&[&pool]).await;
    proxy.judge.allow(allowed("a", &new, &[(0, Compression::None)]));
    let answer = proxy.get(&format!("/{}", file_of(&old))).await;
    assert!(answer.status() == "404" && answer.text().starts_with("another_nar"));
    assert!(pool.asked().is_empty());
}

#[tokio::test]
async fn a_nar_is_fetched_while_its_narinfo_is_read() {
    let nar = bytes(7, 1000);
    let pool = Scripted::with(Reply::File(nar.clone())).await;
    let proxy = Running::start(&[&pool]).await;
    proxy.judge.allow(allowed("a", &nar, &[(0, Compression::None)]));
    proxy.ask("HEAD", &format!("/{PATH}.narinfo"), "").await;
    assert!(pool.asked().is_empty());
    proxy.get(&format!("/{PATH}.narinfo")).await;
    assert_eq!(proxy.get(&format!("/{}", file_of(&nar))).await.body, nar);
    assert_eq!(pool.asked().len(), 1);
    let metrics = proxy.get("/metrics").await;
    let taken = "narpool_proxy_fetched_ahead_total{result=\"taken\"} 1";
    assert!(metrics.text().contains(taken), "{}", metrics.text());
}

#[tokio::test]
async fn what_is_in_flight_is_finished() {
    let nar = bytes(8, 2_000_000);
    let gate = Arc::new(Semaphore::new(0));
    let pool = Scripted::with(Reply::Later(Arc::clone(&gate), nar.clone())).await;
    let proxy = Running::start(&[&pool]).await;
    assert_eq!(proxy.get("/healthz").await.text(), "ok\n");
    let info = proxy.get("/nix-cache-info").await;
    assert_eq!(info.text(), "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 10\n");
    proxy.judge.allow(allowed("a", &nar, &[(0, Compression::None)]));
    let path = format!("/{}", file_of(&nar));
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: p\r\n\r\n").as_bytes()).await.unwrap();
    while pool.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    proxy.stop.send(()).unwrap();
    // It is closed to whoever comes now.
    while TcpStream::connect(proxy.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.ends_with(&nar));
    proxy.served.await.unwrap().unwrap();
}

fn zstd(nar: &[u8]) -> Vec<u8> {
    crate::decode::tests::packed(Compression::Zstd, nar)
}
