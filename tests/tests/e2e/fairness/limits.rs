//! Limits of tokens, of signers, and of those without a token.

use std::net::IpAddr;
use std::process::Command;

use bytes::Bytes;
use futures_util::stream;
use tests::client::{Answer, Client};
use tests::nar;
use tests::program::{Outcome, built};
use tests::server::Server;

use super::{refused_and_let_in_again, upload, upload_path};

#[tokio::test]
async fn each_limit_of_a_token_refuses_and_lets_in_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let key = nar::key("alice", 1);
    Client::admin(&server).enrol(&key.public()).await;
    let item = nar::attestation(&key, &nar::path("a", "a"), &nar::file(b"a"), &[]);
    for limit in ["requests=4/8s", "nars=2/6s", "attestations=2/6s", "bytes=64KiB/6s"] {
        let token = server.limited_token("upload,attest", &[limit]);
        let client = Client::with_token(&server, &token);
        refused_and_let_in_again("token_over_quota", async || match limit {
            "requests=4/8s" => client.get("/nix-cache-info").await,
            "attestations=2/6s" => client.attest(vec![item.clone()]).await,
            "nars=2/6s" => upload(&client, "one and the same").await,
            _ => upload(&client, &"x".repeat(20 << 10)).await,
        })
        .await;
        // What is not limited is not refused meanwhile.
        assert_eq!(client.get("/healthz").await.status, 200);
        let kind = format!("token_{}", limit.split_once('=').unwrap().0);
        let refused = format!("narpool_over_quota_total{{limit=\"{kind}\"}}");
        let refused = Client::admin(&server).metric(&refused).await;
        assert!((refused - 1.0).abs() < f64::EPSILON, "{limit}: {refused}");
    }
}

#[tokio::test]
async fn batches_and_stock_uploads_count_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--token-limits", "nars=2/1h"]);
    let batch = |token: &str, count: usize| {
        let nars: Vec<Vec<u8>> =
            (0..count).map(|at| nar::file(&[u8::try_from(at).unwrap()])).collect();
        let mut body = Vec::new();
        for nar in &nars {
            let hash = schema::hash::NarHash::of(nar);
            let record = schema::nar_batch::Record {
                nar_hash: hash,
                compression: schema::compression::Compression::None,
                file: nar,
            };
            record.encode_to(&mut body).unwrap();
        }
        let client = Client::with_token(&server, token);
        async move { Answer::to(client.request(reqwest::Method::POST, "/api/v1/nars").body(body)).await }
    };
    let token = server.token("upload");
    assert_eq!(batch(&token, 5).await.problem().code, "larger_than_quota");
    assert_eq!(batch(&token, 3).await.status, 200);
    assert_eq!(batch(&token, 1).await.problem().code, "token_over_quota");
    let nar = nar::file(b"stock");
    let path = format!("/nar/{}.nar", schema::hash::FileHash::of(&nar).to_nix32());
    let client = Client::with_token(&server, &token);
    let told = client.put(&path, nar.clone()).await;
    assert_eq!(told.status, 429);
    assert!(told.text().starts_with("token_over_quota: the token "), "{}", told.text());
    assert!(told.header("retry-after").parse::<u64>().unwrap() > 1800, "{told:?}");
    let unlimited = Client::with_token(&server, &server.limited_token("upload", &["nars=none"]));
    for client in [unlimited, Client::admin(&server)] {
        for at in 0..5 {
            assert_eq!(upload(&client, &format!("{at}")).await.status, 200);
        }
    }
}

#[tokio::test]
async fn who_began_may_finish_and_owes_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let client =
        || Client::with_token(&server, &server.limited_token("upload", &["bytes=1MiB/1h"]));
    let sized = |mib: usize| nar::file(&nar::noise(7, (mib << 20) - 512));
    let put =
        async |client: &Client, nar: &[u8]| client.put(&upload_path(nar), nar.to_owned()).await;
    // Told beforehand, or found when it comes.
    let streamed = async |client: &Client, nar: Vec<u8>| -> Answer {
        let path = upload_path(&nar);
        let pieces: Vec<_> = nar.chunks(64 << 10).map(Bytes::copy_from_slice).collect();
        let pieces = stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
        client.put(&path, reqwest::Body::wrap_stream(pieces)).await
    };
    let one = client();
    assert_eq!(put(&one, &sized(3)).await.problem().code, "larger_than_quota");
    assert_eq!(put(&one, &sized(2)).await.status, 200, "within what may be owed");
    let refused = put(&one, &nar::file(b"small")).await;
    assert_eq!(refused.problem().code, "token_over_quota");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((3500..=3601).contains(&wait), "{wait}");
    assert_eq!(one.get("/nix-cache-info").await.status, 200, "it has no body");

    let other = client();
    let refused = streamed(&other, sized(3)).await;
    assert_eq!(refused.problem().code, "larger_than_quota", "{refused:?}");
    assert_eq!(streamed(&client(), sized(2)).await.status, 200);
    let third = client();
    assert_eq!(put(&third, &sized(1)).await.status, 200);
    let refused = streamed(&third, sized(2)).await;
    assert_eq!(refused.problem().code, "token_over_quota", "{refused:?}");
    assert_eq!(
        Client::admin(&server).metric("narpool_over_quota_total{limit=\"token_bytes\"}").await,
        4.0
    );
}

#[tokio::test]
async fn one_signer_does_not_use_up_what_another_may() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--signer-attestations", "2/6s"]);
    let admin = Client::admin(&server);
    let [alice, bob] = [nar::key("alice", 1), nar::key("bob", 2)];
    for key in [&alice, &bob] {
        admin.enrol(&key.public()).await;
    }
    let nar = nar::file(b"nar");
    let mut count = 0;
    let first = nar::attestation(&alice, &nar::path("0", "0"), &nar, &[]);
    assert_eq!(admin.attest(vec![first.clone()]).await.status, 200);
    refused_and_let_in_again("signer_over_quota", async || {
        count += 1;
        let path = nar::path(&count.to_string(), "path");
        let answer = admin.attest(vec![nar::attestation(&alice, &path, &nar, &[])]).await;
        if answer.status == 429 {
            assert_eq!(admin.attest(vec![first.clone()]).await.status, 200, "it was logged before");
            let same = nar::attestation(&bob, &path, &nar, &[]);
            assert_eq!(admin.attest(vec![same]).await.status, 200);
        }
        answer
    })
    .await;
}

#[tokio::test]
async fn who_has_no_token_is_limited_by_address() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--anonymous-requests", "4/8s"]);
    let anybody = Client::new(&server);
    refused_and_let_in_again("address_over_quota", async || anybody.get("/nix-cache-info").await)
        .await;
    for _ in 0..5 {
        anybody.get("/nix-cache-info").await;
    }
    let told = anybody.get("/api/v1/signers").await;
    assert_eq!(told.problem().code, "address_over_quota");
    assert_eq!(anybody.get("/healthz").await.status, 200);
    let elsewhere = Client::from_address(&server, "127.0.0.2".parse::<IpAddr>().unwrap());
    assert_eq!(elsewhere.get("/nix-cache-info").await.status, 200);
    let token = Client::with_token(&server, &server.token("read"));
    for _ in 0..10 {
        assert_eq!(token.get("/nix-cache-info").await.status, 200);
    }
    // A token that does not hold is none.
    let forged = Client::with_token(&server, "not a token");
    assert_eq!(forged.get("/nix-cache-info").await.status, 429);
}

#[tokio::test]
async fn behind_a_front_each_client_has_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let server =
        Server::start(dir.path(), &["--anonymous-requests", "2/1h", "--fronts", "127.0.0.1"]);
    let ask = async |from: &str, forwarded: &str| {
        let client = Client::from_address(&server, from.parse().unwrap());
        let request = client.request(reqwest::Method::GET, "/nix-cache-info");
        Answer::to(request.header("x-forwarded-for", forwarded)).await.status
    };
    for (from, forwarded, status) in [
        ("127.0.0.1", "203.0.113.1", 200),
        ("127.0.0.1", "203.0.113.1", 200),
        ("127.0.0.1", "203.0.113.1", 429),
        ("127.0.0.1", "203.0.113.2", 200),
        // What a client says itself does not count.
        ("127.0.0.1", "203.0.113.3, 203.0.113.1", 429),
        ("127.0.0.2", "203.0.113.4", 200),
        ("127.0.0.2", "203.0.113.5", 200),
        ("127.0.0.2", "203.0.113.6", 429),
    ] {
        assert_eq!(ask(from, forwarded).await, status, "{from} {forwarded}");
    }
}

#[tokio::test]
async fn tokens_are_listed_with_their_limits_and_revoked_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let token = server.limited_token("upload", &["nars=1/1h", "bytes=50GiB/1d"]);
    let command = |arguments: &[&str]| {
        let mut command = Command::new(built("pool-server"));
        Outcome::of(command.arg("token").args(arguments).arg("--data").arg(server.data())).ok()
    };
    let list = command(&["list"]);
    let line = list.lines().find(|line| line.contains("bytes=50GiB/1d,nars=1/1h")).expect(&list);
    let client = Client::with_token(&server, &token);
    assert_eq!(upload(&client, "one").await.status, 200);
    assert_eq!(upload(&client, "two").await.status, 429);
    command(&["revoke", line.split(' ').next().unwrap()]);
    assert_eq!(upload(&client, "two").await.problem().code, "token_revoked");
}
