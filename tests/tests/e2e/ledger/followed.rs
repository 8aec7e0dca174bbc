//! Those who follow a log: by asking again for its checkpoint, or by being told.

use std::time::{Duration, Instant};

use reqwest::Method;
use tests::client::{Answer, Client};
use tests::deadline::{DEADLINE, eventually};
use tests::nar::{attestation, file, key, path};
use tests::server::Server;
use tokio::time::timeout;

const CHECKPOINT: &str = "/ledger/attestations/checkpoint";
const EVENTS: &str = "/ledger/attestations/events";

/// How many may follow at a time.
const FOLLOWERS: usize = 256;

/// An open stream of events.
struct Follower {
    response: reqwest::Response,
    heard: String,
}

/// An event as the HTML standard reads it.
struct Event {
    name: String,
    id: u64,
    data: String,
}

impl Follower {
    async fn open(client: &Client) -> Self {
        let response = client.request(Method::GET, EVENTS).send().await.unwrap();
        assert_eq!(response.status(), 200);
        Self { response, heard: String::new() }
    }

    /// The next event; nothing at the end.
    async fn next(&mut self) -> Option<Event> {
        while !self.heard.contains("\n\n") {
            let chunk = timeout(DEADLINE, self.response.chunk()).await.expect("something is heard");
            self.heard += std::str::from_utf8(&chunk.unwrap()?).unwrap();
        }
        let (event, rest) = self.heard.split_once("\n\n").unwrap();
        let field = |name: &str| {
            let value = |line: &str| {
                let value = line.strip_prefix(name)?.strip_prefix(':')?;
                Some(value.strip_prefix(' ').unwrap_or(value).to_owned())
            };
            event.lines().filter_map(value).collect::<Vec<_>>()
        };
        let data = field("data").join("\n") + "\n";
        let event = Event {
            name: field("event").concat(),
            id: field("id").concat().parse().unwrap(),
            data,
        };
        self.heard = rest.to_owned();
        Some(event)
    }
}

#[tokio::test]
async fn whoever_has_the_checkpoint_is_not_sent_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let admin = Client::admin(&server);
    let alice = key("alice", 1);
    admin.enrol(&alice.public()).await;
    let holding = |etag: &str| {
        Answer::to(admin.request(Method::GET, CHECKPOINT).header("if-none-match", etag))
    };
    let empty = admin.get(CHECKPOINT).await;
    let etag = empty.header("etag");
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 20, "{etag}");
    for tags in [etag, "*", &format!("\"other\", {etag}")] {
        let same = holding(tags).await;
        assert_eq!((same.status, same.body.len()), (304, 0), "{tags}");
        assert_eq!((same.header("etag"), same.header("cache-control")), (etag, "max-age=1"));
    }
    assert_eq!(holding("\"other\"").await.body, empty.body);
    assert_eq!(admin.head(CHECKPOINT).await.header("etag"), etag);

    admin.vouch(&alice, &path("1", "x"), &file(b"n"), &[]).await;
    let newer = holding(etag).await;
    assert_eq!(newer.status, 200);
    assert_ne!(newer.body, empty.body);
    assert_ne!(newer.header("etag"), etag);
    assert_eq!(holding(newer.header("etag")).await.status, 304);
}

#[tokio::test]
async fn a_new_attestation_is_heard_of_on_an_open_connection() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let admin = Client::admin(&server);
    let alice = key("alice", 1);
    admin.enrol(&alice.public()).await;
    let mut followers = [
        Follower::open(&Client::new(&server)).await,
        Follower::open(&Client::http2(&server)).await,
    ];
    for follower in &mut followers {
        let headers = follower.response.headers();
        assert_eq!(headers["content-type"], "text/event-stream");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["x-accel-buffering"], "no");
        let first = follower.next().await.unwrap();
        assert_eq!((&*first.name, first.id), ("checkpoint", 0));
        assert_eq!(first.data, admin.get(CHECKPOINT).await.text());
    }
    admin.vouch(&alice, &path("1", "x"), &file(b"n"), &[]).await;
    let checkpoint = admin.get(CHECKPOINT).await.text();
    for follower in &mut followers {
        let event = follower.next().await.unwrap();
        assert_eq!((&*event.name, event.id), ("checkpoint", 1));
        assert_eq!(event.data, checkpoint);
    }
    // Whoever comes now begins there.
    let mut late = Follower::open(&Client::new(&server)).await;
    assert_eq!(late.next().await.unwrap().data, checkpoint);

    // Nobody hears of one twice, nor has to hear of each.
    for number in 2..=40 {
        let item = attestation(&alice, &path(&number.to_string(), "x"), &file(b"n"), &[]);
        assert_eq!(admin.attest(vec![item]).await.status, 200);
    }
    let [slow, _] = &mut followers;
    let mut last = 1;
    while last < 40 {
        let event = slow.next().await.unwrap();
        assert!(event.id > last, "{} after {last}", event.id);
        last = event.id;
    }
    assert_eq!(admin.get("/ledger/others/events").await.status, 404);
}

#[tokio::test]
async fn a_pool_that_stops_waits_for_none_of_its_followers() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--drain-timeout", "50s"]);
    let mut followers = [
        Follower::open(&Client::new(&server)).await,
        Follower::open(&Client::http2(&server)).await,
    ];
    for follower in &mut followers {
        assert!(follower.next().await.is_some());
    }
    let start = Instant::now();
    let stopping = tokio::task::spawn_blocking(|| server.stop());
    for follower in &mut followers {
        assert!(follower.next().await.is_none(), "the stream ends as it should");
    }
    stopping.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(25), "it took {:?}", start.elapsed());
}

#[tokio::test]
async fn no_more_than_so_many_follow_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let client = Client::new(&server);
    let mut followers = Vec::new();
    for _ in 0..FOLLOWERS {
        followers.push(Follower::open(&client).await);
    }
    let refused = client.get(EVENTS).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "5"));
    assert!(refused.text().contains("hint: "), "{}", refused.text());
    // Everybody else is served, and a follower that goes makes room.
    assert_eq!(client.get(CHECKPOINT).await.status, 200);
    drop(followers.pop());
    eventually("room for another", async || {
        let response = client.request(Method::GET, EVENTS).send().await.unwrap();
        response.status() == 200
    })
    .await;
}

#[tokio::test]
async fn a_private_pool_is_followed_with_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--private"]);
    for address in [EVENTS, CHECKPOINT] {
        assert_eq!(Client::new(&server).get(address).await.status, 401);
    }
    let reader = Client::with_token(&server, &server.token("read"));
    assert!(Follower::open(&reader).await.next().await.is_some());
}
