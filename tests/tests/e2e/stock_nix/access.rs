//! Stock Nix and a pool that does not let everybody read.

use tests::client::Client;
use tests::lab::{Lab, hash_part, same_files};
use tests::nix::Version;

tests::with_each_nix!(a_private_pool_serves_those_with_a_token);

async fn a_private_pool_serves_those_with_a_token(version: Version) {
    let lab = Lab::start(version, &["--private"]);
    let (pool, alice) = (lab.server.url(""), lab.builder("alice", None).await);
    alice.push(&lab.server, "compression=zstd").ok();

    let reader = lab.host("reader");
    reader.realise(&pool, &[&alice.public], &alice.top).failed();
    assert!(!reader.files_of(&alice.top).exists());
    reader.forget();
    reader.log_in(&lab.server.token("read"));
    reader.realise(&pool, &[&alice.public], &alice.top).ok();
    assert!(same_files(&alice.host, &reader, &alice.top));

    // To read is not to push.
    let (secret, public) = reader.make_key("reader");
    lab.admin.enrol(&public.parse().unwrap()).await;
    let cache =
        lab.server.url(&format!("/as/reader?compression=zstd&secret-key={}", secret.display()));
    let refused = reader.copy_to(&cache, &alice.top).failed();
    assert!(refused.contains("allows read; this needs"), "{refused}");

    let anybody = Client::new(&lab.server);
    let narinfo = format!("/{}.narinfo", hash_part(&alice.top));
    assert_eq!(anybody.get(&narinfo).await.status, 401);
}
