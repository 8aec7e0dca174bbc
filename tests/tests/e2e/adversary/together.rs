//! Two pools, of which each has the word of one.

use tests::client::Client;
use tests::deadline::eventually;
use tests::server::Server;

use super::{Asker, alice, app, attests_all, bob, policy};

async fn pool(data: &std::path::Path, arguments: &[&str]) -> Server {
    let server = Server::start(data, arguments);
    for key in [alice(), bob()] {
        Client::admin(&server).enrol(&key.public()).await;
    }
    server
}

#[tokio::test]
async fn each_has_one_of_two_and_both_must_be_heard() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (one, two) = (pool(dirs[0].path(), &[]).await, pool(dirs[1].path(), &[]).await);
    attests_all(&Client::admin(&one), &alice()).await;
    attests_all(&Client::admin(&two), &bob()).await;
    let (first, second) = (one.url(""), two.url(""));
    let mut seen = Asker::new(policy(1, ""));
    let alone = seen.asks(&one, &[&first], &app());
    assert_eq!(alone.outcome(&app()), ("unknown", "not_enough_votes"), "{}", alone.all);
    seen.asks(&one, &[&first, &second], &app()).allows();
    seen.asks(&one, &[&second, &first], &app()).allows();

    // A ledger that the policy lists must be asked, too.
    let mut vkeys = Vec::new();
    for server in [&one, &two] {
        let info = Client::new(server).get("/api/v1/info").await.json();
        vkeys.push(info["logs"]["attestations"].to_string());
    }
    let listing = Asker::new(policy(1, &format!("log = [{}]", vkeys.join(", "))));
    let said = listing.asks(&one, &[&first], &app());
    assert_eq!(said.outcome(&app()), ("unknown", "unheard"), "{}", said.all);
    assert!(said.all.contains("not_asked"), "{}", said.all);
    listing.asks(&one, &[&first, &second], &app()).allows();

    two.stop();
    let newcomers = [policy(1, ""), policy(1, &format!("log = [{}]", vkeys.join(", ")))];
    for policy in newcomers {
        let newcomer = Asker::new(policy);
        let said = newcomer.asks(&one, &[&first, &second], &app());
        assert_eq!((said.code, said.outcome(&app())), (1, ("unknown", "unheard")), "{}", said.all);
        assert!(said.all.contains("cannot be reached"), "{}", said.all);
    }
    // What was heard of it before is still whole, for as long as the policy says.
    seen.asks(&one, &[&first, &second], &app()).allows();
    listing.asks(&one, &[&first, &second], &app()).allows();
    seen.policy = policy(2, "max_checkpoint_age = \"1s\"");
    eventually("what was heard to be too old", async || {
        seen.asks(&one, &[&first, &second], &app()).code != 0
    })
    .await;
    let said = seen.asks(&one, &[&first, &second], &app());
    assert_eq!(said.outcome(&app()).0, "unknown", "{}", said.all);
}

/// Evidence that was kept of one pool is not that of another which is called the same.
#[tokio::test]
async fn a_namesake_is_another_pool() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let named = ["--origin", "pool.example"];
    let impostor = pool(dirs[0].path(), &named).await;
    let genuine = pool(dirs[1].path(), &named).await;
    for key in [alice(), bob()] {
        attests_all(&Client::admin(&impostor), &key).await;
    }
    let (first, second) = (impostor.url(""), genuine.url(""));
    let mut seen = Asker::new(policy(1, ""));
    seen.asks(&genuine, &[&first], &app()).allows();
    let both = seen.asks(&genuine, &[&second], &app());
    both.refuses("a namesake", "other_log");
    // Then the policy tells which of them is meant, and the other is away.
    let info = Client::new(&genuine).get("/api/v1/info").await.json();
    seen.policy = policy(2, &format!("log = {}", info["logs"]["attestations"]));
    impostor.stop();
    let said = seen.asks(&genuine, &[&first], &app());
    assert_eq!((said.code, said.outcome(&app()).0), (1, "unknown"), "{}", said.all);
}
