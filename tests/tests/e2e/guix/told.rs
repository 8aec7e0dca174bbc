//! What real Guix is told, and does with it, without its daemon: fast, and item by item.

use tests::guix::Machine;
use tests::nar::{file, guix_path};

use super::views::Scene;

#[tokio::test]
async fn guix_reads_each_views_narinfo_and_takes_only_what_its_list_allows() {
    let scene = Scene::start(&[]).await;
    let (item, nar) = (guix_path("told", "told-1.0"), file(b"told"));
    scene.admin.push(&scene.gina, &item, &nar, &[]).await;
    scene.admin.vouch(&scene.alice, &item, &nar, &[]).await;
    let machine = Machine::new(&scene.dir.path().join("machine"));
    let key = scene.admin.get("/gnu/as/gina/signing-key.pub").await.text();
    let url = |view: &str| scene.server.url(&format!("/gnu{view}"));
    let item = item.to_string();
    let known = |view: &str| {
        machine.forget();
        machine.substitute_query(&[&url(view)], &[&item]).ok().contains(&item)
    };
    assert!(!known("/as/gina"), "nobody is authorised");
    machine.authorize(&key);
    for (view, is_known) in [
        ("/as/gina", true),
        ("/signers/2/alice,gina", true),
        ("/as/alice", false),
        ("/as/gus", false),
        ("", false),
        ("/signers/2/gus,gina", false),
    ] {
        assert_eq!(known(view), is_known, "{view}");
    }
    machine.forget();
    let taken = machine.substitute(&[&url("/as/gina")], &item);
    assert!(taken.stdout.starts_with("success sha256:"), "{taken:?}");
    assert_eq!(std::fs::read(machine.substituted(&item)).unwrap(), b"told");
}
