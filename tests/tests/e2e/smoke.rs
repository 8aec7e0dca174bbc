//! A server starts, tells what it is, and ends when it is told to.

use tests::client::Client;
use tests::server::Server;

#[tokio::test]
async fn a_fresh_pool_introduces_itself() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let anybody = Client::new(&server);
    let info = anybody.get("/nix-cache-info").await;
    assert_eq!(info.header("content-type"), "text/x-nix-cache-info");
    let text = info.text();
    assert!(text.starts_with("StoreDir: /nix/store\nWantMassQuery: 1\n"), "{text}");
    assert_eq!(anybody.get("/readyz").await.status, 200);
    server.stop();
}
