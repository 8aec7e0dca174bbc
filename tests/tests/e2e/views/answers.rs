//! What else is answered under a view, and how long clients may keep it.

use reqwest::Method;
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::listing::{Listing, Node};
use schema::narinfo::NarInfo;
use serde_json::Value;
use tests::client::{Answer, Client};
use tests::nar::{file, noise, path, xz, zstd};

use super::{Scene, narinfo_of, signers};

const VIEWS: [&str; 3] = ["", "/signers/1/alice,bob", "/as/alice"];

#[tokio::test]
async fn head_agrees_with_get() {
    let scene = Scene::start(&[]).await;
    let (path, other) = (path("head", "head"), path("other", "other"));
    let nar = file(b"head");
    scene.admin.upload(&nar, Compression::Xz, xz(&nar)).await;
    scene.admin.vouch(&scene.alice, &path, &nar, &[]).await;
    let log = "log/00000000000000000000000000000000-head.drv";
    scene.admin.put(&format!("/{log}"), "made\n").await;
    let nar_hash = NarHash::of(&nar).to_nix32();
    let parts = [path.base().hash_part(), other.base().hash_part()];
    let files: Vec<_> =
        parts.iter().flat_map(|part| [format!("{part}.narinfo"), format!("{part}.ls")]).collect();
    let mut asked = Vec::new();
    for view in VIEWS {
        asked.extend(files.iter().map(|file| format!("{view}/{file}")));
        asked.extend(
            ["nix-cache-info", log, "log/none.drv", "log/x", "none"]
                .map(|file| format!("{view}/{file}")),
        );
        asked.extend(
            [".nar.xz", ".nar", ".nar.zst"].map(|end| format!("{view}/nar/{nar_hash}{end}")),
        );
        asked.push(format!("{view}/get-narinfos-v1"));
    }
    asked.extend(
        ["healthz", "readyz", "nowhere/at/all", "as/dave/nix-cache-info"]
            .map(|file| format!("/{file}")),
    );
    let api = [
        "info",
        "signers",
        &*format!("nars/{nar_hash}"),
        &*format!("paths/{}", parts[1]),
        "openapi.json",
    ];
    asked.extend(api.map(|file| format!("/api/v1/{file}")));
    for address in &asked {
        let (mut get, mut head) = (scene.admin.get(address).await, scene.admin.head(address).await);
        assert_eq!(get.header("content-length"), get.body.len().to_string(), "{address}");
        for answer in [&mut get, &mut head] {
            answer.headers.remove("date");
        }
        assert_eq!((get.status, &get.headers), (head.status, &head.headers), "{address}");
        assert!(head.body.is_empty(), "{address}");
    }
}

#[tokio::test]
async fn answers_say_how_long_they_hold() {
    let scene = Scene::start(&["--narinfo-max-age", "7m", "--missing-max-age", "3s"]).await;
    let (known, unknown) = (path("known", "known"), path("unknown", "unknown"));
    scene.admin.push(&scene.alice, &known, &file(b"known"), &[]).await;
    for view in VIEWS {
        let found = scene.ask(view, &known).await;
        assert_eq!(found.header("content-type"), "text/x-nix-narinfo");
        assert_eq!(found.header("cache-control"), "max-age=420");
        assert_eq!(scene.ask(view, &unknown).await.header("cache-control"), "max-age=3");
        // A cache between must not give a person's answer to a program.
        assert_eq!(scene.ask(view, &unknown).await.header("vary"), "accept");
    }
    assert_eq!(
        scene.ask("/signers/2/alice,bob", &known).await.header("cache-control"),
        "max-age=3"
    );
    // Other things that are not there may be uploaded next.
    let nar = format!("/nar/{}.nar.xz", NarHash::of(b"absent").to_nix32());
    let listing = format!("/{}.ls", unknown.base().hash_part());
    for absent in [
        &*nar,
        &listing,
        "/log/00000000000000000000000000000000-x.drv",
        "/as/a%20b/00000000000000000000000000000000.narinfo",
    ] {
        let answer = scene.admin.get(absent).await;
        assert_eq!((answer.status, answer.header("cache-control")), (404, "no-store"), "{absent}");
    }
    let fresh = Scene::start(&[]).await;
    fresh.admin.push(&fresh.alice, &known, &file(b"known"), &[]).await;
    assert_eq!(fresh.ask("", &known).await.header("cache-control"), "max-age=60");
    assert_eq!(fresh.ask("", &unknown).await.header("cache-control"), "max-age=10");
}

#[tokio::test]
async fn whoever_has_an_answer_is_not_sent_it_again() {
    let scene = Scene::start(&["--narinfo-max-age", "7m"]).await;
    let (known, nar) = (path("known", "known"), file(b"known"));
    scene.admin.push(&scene.alice, &known, &nar, &[]).await;
    let holding = async |address: &str, etag: &str| {
        Answer::to(scene.admin.request(Method::GET, address).header("if-none-match", etag)).await
    };
    for (view, kind) in VIEWS.iter().flat_map(|view| [(view, "narinfo"), (view, "ls")]) {
        let address = format!("{view}/{}.{kind}", known.base().hash_part());
        let whole = scene.admin.get(&address).await;
        let etag = whole.header("etag");
        assert!(etag.starts_with('"') && etag.len() > 50, "{address}: {etag}");
        for tags in [etag, &format!("\"x\", W/{etag}")] {
            let same = holding(&address, tags).await;
            assert_eq!((same.status, same.body.len()), (304, 0), "{address}");
            assert_eq!((same.header("etag"), same.header("cache-control")), (etag, "max-age=420"));
        }
        assert_eq!(holding(&address, "\"x\"").await.body, whole.body);
    }
    // One more signature makes it another narinfo; the listing is still the NAR's.
    let [narinfo, listing] =
        ["narinfo", "ls"].map(|kind| format!("/{}.{kind}", known.base().hash_part()));
    let before = [scene.admin.get(&narinfo).await, scene.admin.get(&listing).await];
    scene.admin.vouch(&scene.bob, &known, &nar, &[]).await;
    assert_eq!(holding(&narinfo, before[0].header("etag")).await.status, 200);
    assert_eq!(holding(&listing, before[1].header("etag")).await.status, 304);
    // What is not there cannot be the same.
    let absent = narinfo_of("", &path("unknown", "unknown"));
    assert_eq!(holding(&absent, "*").await.status, 404);
}

#[tokio::test]
async fn the_pool_lists_what_it_takes() {
    let scene = Scene::start(&[]).await;
    let (path, nar) = (path("listed", "listed"), file(b"0123456789"));
    scene.admin.push(&scene.alice, &path, &nar, &[]).await;
    let address = format!("/{}.ls", path.base().hash_part());
    let answer = scene.admin.get(&format!("/as/alice{address}")).await;
    assert_eq!(answer.header("content-type"), "application/json");
    let listing: Listing = serde_json::from_value(answer.json()).unwrap();
    let Node::Regular { size: 10, executable: false, nar_offset: Some(offset) } = listing.root
    else {
        panic!("{listing:?}")
    };
    assert_eq!(&nar[usize::try_from(offset).unwrap()..][..10], b"0123456789");

    // What a client says is in it counts for nothing.
    let lie = r#"{"version":1,"root":{"type":"symlink","target":"/"}}"#;
    assert_eq!(scene.admin.put(&address, lie).await.status, 200);
    assert_eq!(scene.admin.get(&address).await.body, answer.body);
    assert_eq!(scene.admin.get(&format!("/as/bob{address}")).await.status, 404, "as its narinfo");
}

async fn batch(scene: &Scene, method: &str, address: &str, asked: &str) -> Vec<Value> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let answer = Answer::to(scene.admin.request(method, address).body(asked.to_owned())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    answer.json_lines()
}

#[tokio::test]
async fn many_narinfos_come_at_once() {
    let scene = Scene::start(&[]).await;
    let [top, left, right, leaf] = ["top", "left", "right", "leaf"].map(|name| path(name, name));
    let edges = [
        (&top, vec![&left, &right, &top]),
        (&left, vec![&leaf]),
        (&right, vec![&leaf]),
        (&leaf, vec![]),
    ];
    for (path, references) in &edges {
        let references: Vec<_> = references.iter().map(|path| path.base().clone()).collect();
        scene.admin.push(&scene.alice, path, &file(path.to_string().as_bytes()), &references).await;
    }
    let part = |path: &schema::store_path::StorePath| path.base().hash_part().to_string();
    let unseen = part(&path("unseen", "unseen"));
    let names = |lines: &[Value]| {
        lines.iter().map(|line| line["hash_part"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let info = scene.admin.get("/nix-cache-info").await.text();
    assert!(info.contains("\nGetNarInfosV1: /get-narinfos-v1\n"), "{info}");

    for method in ["QUERY", "POST"] {
        let asked = format!("{}\n{unseen}\n{}\n", part(&leaf), part(&top));
        let lines = batch(&scene, method, "/get-narinfos-v1", &asked).await;
        assert_eq!(names(&lines), [part(&leaf), unseen.clone(), part(&top)], "in the order asked");
        assert_eq!(lines[0]["narinfo"].as_str().unwrap(), scene.ask("", &leaf).await.text());
        assert_eq!(
            (&lines[1]["refused"]["code"], &lines[1]["narinfo"]),
            (&"never_seen".into(), &Value::Null)
        );

        let lines =
            batch(&scene, method, "/signers/1/alice/get-narinfos-v1?closure=1", &part(&top)).await;
        let mut met = names(&lines);
        assert_eq!(met[0], part(&top));
        assert_eq!(met[3], part(&leaf), "breadth first, each once");
        met.sort();
        let mut all = [&top, &left, &right, &leaf].map(part);
        all.sort();
        assert_eq!(met, all);
        assert!(lines.iter().all(|line| line["narinfo"].is_string()));

        // A view of bob's shows nothing of it, so nothing is followed.
        let lines = batch(&scene, method, "/as/bob/get-narinfos-v1?closure=1", &part(&top)).await;
        assert_eq!((lines.len(), &lines[0]["refused"]["code"]), (1, &"not_enough_signers".into()));
        assert!(batch(&scene, method, "/get-narinfos-v1", "").await.is_empty());
    }
    let wrong = scene.admin.get("/get-narinfos-v1").await;
    assert_eq!(wrong.status, 405);
    let request =
        scene.admin.request(Method::POST, "/get-narinfos-v1").body(format!("{unseen}\nnonsense\n"));
    let malformed = Answer::to(request).await;
    assert_eq!(malformed.status, 400);
    assert!(malformed.text().contains("line 2"), "{}", malformed.text());
}

#[tokio::test]
async fn a_narinfo_that_is_put_is_merged() {
    let scene = Scene::start(&[]).await;
    let (path, nar) = (path("merged", "merged"), file(b"merged"));
    scene.admin.push(&scene.alice, &path, &nar, &[]).await;
    let shown = scene.shown("", &path).await;

    // As `nix store sign` does: all that was served, and one line more; and then once more.
    let mut signed = scene.shown("", &path).await;
    signed.signatures.push(scene.bob.sign(shown.claim.signed_bytes().as_bytes()));
    signed.delivery.url = "nar/elsewhere.nar".to_owned();
    signed.delivery.file_size = Some(1);
    for added in ["1 attestations added, 1 known\n", "0 attestations added, 2 known\n"] {
        let answer = scene.admin.put(&narinfo_of("", &path), signed.print_nix()).await;
        assert_eq!((answer.status, &*answer.text()), (200, added));
    }
    let merged = scene.shown("/signers/2/alice,bob", &path).await;
    assert_eq!(signers(&merged), ["alice", "bob"]);
    assert_eq!(merged.delivery, shown.delivery, "where the NAR lies is for the pool to say");

    // One that leaves alice's line out takes nothing away.
    signed.signatures = vec![scene.carol.sign(shown.claim.signed_bytes().as_bytes())];
    scene.admin.put(&narinfo_of("/as/carol", &path), signed.print_nix()).await;
    assert_eq!(signers(&scene.shown("", &path).await), ["alice", "bob", "carol"]);
}

#[tokio::test]
async fn build_logs_are_kept_as_they_came_first() {
    let scene = Scene::start(&[]).await;
    let log = "log/00000000000000000000000000000000-made-1.0.drv";
    assert_eq!(scene.admin.get(&format!("/{log}")).await.status, 404);
    assert_eq!(scene.admin.put(&format!("/as/alice/{log}"), "built\n").await.status, 200);
    assert_eq!(scene.admin.put(&format!("/as/bob/{log}"), "forged\n").await.status, 200);
    for view in VIEWS {
        let answer = scene.admin.get(&format!("{view}/{log}")).await;
        assert_eq!((answer.status, &*answer.text()), (200, "built\n"));
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
}

#[tokio::test]
async fn http2_carries_both_ways() {
    let scene = Scene::start(&[]).await;
    let client = Client::http2(&scene.server).holding(&scene.server.token("upload,attest"));
    let (path, nar) = (path("http2", "http2"), file(&noise(4, 3 << 20)));
    client.push(&scene.alice, &path, &nar, &[]).await;
    let narinfo = client.get(&narinfo_of("/as/alice", &path)).await;
    let url = NarInfo::parse_nix(&narinfo.body).unwrap().delivery.url;
    assert!(client.get(&format!("/{url}")).await.body == zstd(&nar));
    let head = client.head(&format!("/{url}")).await;
    assert_eq!(head.header("content-length"), zstd(&nar).len().to_string());
    assert_eq!(client.get(&narinfo_of("/as/bob", &path)).await.status, 404);
}

#[tokio::test]
async fn an_operator_sees_how_it_is() {
    let scene = Scene::start(&[]).await;
    let anybody = Client::new(&scene.server);
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(anybody.get(probe).await.status, 200);
    }
    let (known, unknown) = (path("known", "known"), path("unknown", "unknown"));
    scene.admin.push(&scene.alice, &known, &file(b"known"), &[]).await;
    scene.ask("", &known).await;
    scene.ask("/as/alice", &known).await;
    scene.ask("", &unknown).await;
    let url = scene.shown("", &known).await.delivery.url;
    let sent = scene.admin.get(&format!("/{url}")).await.body.len();
    let metrics = anybody.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    for line in [
        "narpool_narinfos_total{result=\"served\"} 3",
        "narpool_narinfos_total{result=\"never_seen\"} 1",
        "narpool_nars_received_total{result=\"stored\"} 1",
        "narpool_attestations_received_total{result=\"new\"} 1",
        "narpool_requests_total{route=\"/{hash}.narinfo\",status=\"2xx\"} 3",
        "narpool_requests_total{route=\"/{hash}.narinfo\",status=\"4xx\"} 1",
        "narpool_ledger_entries 1",
        &format!("narpool_nar_bytes_total{{direction=\"out\"}} {sent}"),
        &format!("narpool_nar_bytes_total{{direction=\"in\"}} {sent}"),
    ] {
        assert!(metrics.text().lines().any(|it| it == line), "no {line} in {}", metrics.text());
    }
    let info: schema::api::Info =
        serde_json::from_value(anybody.get("/api/v1/info").await.json()).unwrap();
    assert_eq!(
        (info.attestations, info.open_enrolment, info.store_dir.as_str()),
        (1, false, "/nix/store")
    );
    let described = anybody.get("/api/v1/openapi.json").await.text();
    assert!(described == schema::api::OPENAPI, "it is not what is published");
    let nowhere = anybody.get("/nowhere/info").await;
    assert_eq!(nowhere.status, 404);
    assert!(nowhere.text().starts_with("no_such_route: "));
}
