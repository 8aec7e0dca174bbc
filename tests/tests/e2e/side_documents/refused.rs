//! Bad input: a clear answer, and nothing is kept.

use schema::realisation::SignedRealisation;
use tests::client::Client;
use tests::nar::key;

use super::{Scene, address, realisation, signed};

#[tokio::test]
async fn a_realisation_that_does_not_hold_is_refused_whole() {
    let scene = Scene::start().await;
    let said = realisation("a", "said");
    let (good, mallory) = (signed(&said, &[&scene.alice]), key("mallory", 9));
    let other = realisation("b", "said");
    // A name that is enrolled, and a signature that its key did not make.
    let forged = signed(&said, &[&scene.alice, &key("bob", 99)]);
    let moved = SignedRealisation { realisation: realisation("a", "moved"), ..good.clone() };
    for (view, body, status, code, says) in [
        ("", "{".to_owned(), 400, "realisation_malformed", "EOF"),
        (
            "",
            good.print().replace("{\"dep", "{\"x\":1,\"dep"),
            400,
            "realisation_malformed",
            "unknown field",
        ),
        (
            "",
            good.print().replace("\"alice:", "\"alice:A"),
            400,
            "realisation_malformed",
            "base 64",
        ),
        ("", good.print().replace("!out", "!../out"), 400, "realisation_malformed", "dot"),
        ("", signed(&other, &[&scene.alice]).print(), 422, "wrong_output", "the address says"),
        ("", signed(&said, &[]).print(), 422, "unsigned", "secret-key-files"),
        ("", signed(&said, &[&mallory]).print(), 422, "unknown_signer", "pool signer enrol"),
        ("", forged.print(), 422, "signature_invalid", "by bob"),
        ("", moved.print(), 422, "signature_invalid", "by alice"),
        ("/as/bob", good.print(), 422, "not_signed_by_builder", "secret-key-files"),
        ("/as/bob", signed(&said, &[]).print(), 422, "not_signed_by_builder", "the view of bob"),
        ("", " ".repeat(300 << 10), 413, "body_too_large", "longer than"),
    ] {
        let answer = scene.admin.put(&address(view, &said), body).await;
        let text = answer.text();
        assert_eq!(answer.status, status, "{code}: {text}");
        assert!(text.starts_with(&format!("{code}: ")) && text.contains(says), "{code}: {text}");
    }
    for file in
        ["sha256:00!out.doi", "x.doi", &format!("{}.json", said.id), &format!("{}!.doi", said.id)]
    {
        for answer in [
            scene.admin.put(&format!("/realisations/{file}"), good.print()).await,
            scene.admin.get(&format!("/realisations/{file}")).await,
        ] {
            assert_eq!(answer.status, 404, "{file}");
            assert!(answer.text().starts_with("no_such_file: "), "{file}: {}", answer.text());
        }
    }
    let uploader = Client::with_token(&scene.server, &scene.server.token("upload"));
    assert_eq!(uploader.put(&address("", &said), good.print()).await.status, 403);
    assert_eq!(Client::new(&scene.server).put(&address("", &said), good.print()).await.status, 401);
    for said in [&said, &other] {
        scene.hidden("", said, "never_seen").await;
    }
}

#[tokio::test]
async fn debug_information_that_could_lie_anywhere_is_refused() {
    let scene = Scene::start().await;
    let address = "/debuginfo/abcdef0123456789abcdef0123456789abcdef01.debug";
    let archive = "../nar/0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73.nar.xz";
    let good = format!(r#"{{"archive":"{archive}","member":"lib/a.debug"}}"#);
    for body in [
        String::new(),
        "[]".to_owned(),
        good.replace("}", r#","size":1}"#),
        good.replace(r#","member":"lib/a.debug""#, ""),
        good.replace("../nar", "/nar"),
        good.replace("../nar", "http://example.org/nar"),
        good.replace(".nar.xz", ".nar.exe"),
        good.replace("0mdq", "Omdq"),
        good.replace("lib/a", "/lib/a"),
        good.replace("lib/a", "../lib/a"),
        good.replace("lib/a", r"lib\u001b/a"),
        good.replace("lib/a", &"a".repeat(5000)),
        format!("{good}{good}"),
    ] {
        let answer = scene.admin.put(address, body.clone()).await;
        let text = answer.text();
        assert_eq!(answer.status, 400, "{body}: {text}");
        assert!(
            text.starts_with("debug_info_malformed: ") && text.contains("\nhint: "),
            "{body}: {text}"
        );
    }
    let long = scene.admin.put(address, " ".repeat(40 << 10)).await;
    assert_eq!((long.status, long.text().starts_with("body_too_large: ")), (413, true));
    for file in [
        "abcdef.debug",
        "ABCDEF0123456789.debug",
        &format!("{}.debug", "a".repeat(129)),
        "0123456789abcdef.txt",
    ] {
        let answer = scene.admin.put(&format!("/debuginfo/{file}"), good.clone()).await;
        assert_eq!(answer.status, 404, "{file}");
        assert!(answer.text().starts_with("no_such_file: "), "{file}: {}", answer.text());
    }
    let attester = Client::with_token(&scene.server, &scene.server.token("attest"));
    assert_eq!(attester.put(address, good.clone()).await.status, 403);
    assert_eq!(Client::new(&scene.server).put(address, good.clone()).await.status, 401);
    let answer = scene.admin.get(address).await;
    assert!(answer.text().starts_with("no_debug_info: "), "{}", answer.text());
}
