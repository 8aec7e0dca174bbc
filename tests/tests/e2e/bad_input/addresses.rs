//! Addresses, methods and headers that lead nowhere, and should.

use schema::hash::NarHash;
use tests::nar;
use tests::wire::Request;

use super::{Case, Target};

const HASH: &str = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz";

#[test]
fn addresses_lead_to_what_is_served_and_nowhere_else() {
    let target = Target::start(&[]);
    let nar = nar::file(b"x");
    target.upload(&nar);
    let name = format!("{}.nar", NarHash::of(&nar).to_nix32());
    let none = |address: &str, code| Case::new(address, &Request::new("GET", address), 404, code);
    let bad = |address: &str, code| Case::new(address, &Request::new("GET", address), 400, code);
    let names = |count: usize| (0..count).map(|at| format!("s{at}")).collect::<Vec<_>>().join(",");
    target.refuses(vec![
        none("/../admin.token", "no_such_route"),
        none("/nar/../../admin.token", "no_such_route"),
        none("/nar/..%2f..%2fadmin.token", "no_such_file"),
        none("/nar/%2e%2e%2fadmin.token", "no_such_file"),
        none("/%2e%2e%2fadmin.token", "no_such_file"),
        none("/admin.token", "no_such_file"),
        none("/nar/", "no_such_route"),
        none("/nar//", "no_such_route"),
        none(&format!("//nar/{name}"), "no_such_route"),
        none(&format!("/nar/{name}/"), "no_such_route"),
        none(&format!("/nar/{name}%00"), "no_such_file"),
        none(&format!("/nar/{name}.lz4"), "no_such_file"),
        none(&format!("/nar/{}", name.to_uppercase()), "no_such_file"),
        none(&format!("/nar/x{}", &name[1..]), "no_nar"),
        none(&format!("/nar/{}.nar", "a".repeat(5000)), "no_nar"),
        none("/.narinfo", "no_such_file"),
        none(&format!("/{HASH}"), "no_such_file"),
        none(&format!("/{HASH}.narinfo.narinfo"), "no_such_file"),
        none(&format!("/{}.narinfo", HASH.to_uppercase()), "no_such_file"),
        none(&format!("/{HASH}0.narinfo"), "no_such_file"),
        none(&format!("/{}.narinfo", "a".repeat(5000)), "no_such_file"),
        none(&format!("/{HASH}%0a.narinfo"), "no_such_file"),
        none("/log/..%2f..%2fadmin.token", "no_such_file"),
        none(&format!("/log/{HASH}-x"), "no_such_file"),
        none(&format!("/log/{HASH}-x.drv"), "no_log"),
        none(&format!("/as//{HASH}.narinfo"), "view_malformed"),
        none(&format!("/as/%2e%2e/{HASH}.narinfo"), "view_malformed"),
        none(&format!("/as/a%2fb/{HASH}.narinfo"), "view_malformed"),
        none(&format!("/as/a%0ab/{HASH}.narinfo"), "view_malformed"),
        none(&format!("/as/%ff/{HASH}.narinfo"), "view_malformed"),
        none(&format!("/as/{}/{HASH}.narinfo", "a".repeat(129)), "view_malformed"),
        none(&format!("/as/nobody/{HASH}.narinfo"), "unknown_signer"),
        none(&format!("/signers/1/alice,nobody/{HASH}.narinfo"), "unknown_signer"),
        none(&format!("/signers/0/alice/{HASH}.narinfo"), "view_malformed"),
        none(&format!("/signers/2/alice/{HASH}.narinfo"), "view_malformed"),
        none(&format!("/signers/-1/alice/{HASH}.narinfo"), "view_malformed"),
        none(&format!("/signers/01/alice/{HASH}.narinfo"), "view_malformed"),
        none(&format!("/signers/99999999999999999999/alice/{HASH}.narinfo"), "view_malformed"),
        none(&format!("/signers/1/alice,alice/{HASH}.narinfo"), "view_malformed"),
        none(&format!("/signers/1/alice,/{HASH}.narinfo"), "view_malformed"),
        none(&format!("/signers/1/{}/{HASH}.narinfo", names(65)), "view_malformed"),
        none("/api/v1/nothing", "no_such_route"),
        none("/api/v2/info", "no_such_route"),
        none(&format!("/api/v1/paths/{HASH}"), "never_seen"),
        none(&format!("/api/v1/nars/{}", NarHash::of(b"y").to_nix32()), "never_seen"),
        bad("/api/v1/paths/..%2fx", "hash_part_malformed"),
        bad("/api/v1/paths/%ff", "path_malformed"),
        bad("/api/v1/nars/x", "nar_hash_malformed"),
        bad("/api/v1/nars/%ff", "path_malformed"),
    ]);
    assert_eq!(target.get(&format!("/nar/{name}")).status, 200);
}

#[test]
fn uploads_must_say_what_they_are() {
    let target = Target::start(&[]);
    let (nar, hash) = (nar::file(b"x"), NarHash::of(&nar::file(b"x")).to_nix32());
    let bad =
        |address: &str, code| Case::new(address, &target.put(address, nar.clone()), 400, code);
    let api = |options: &str| format!("/api/v1/nars/{hash}{options}");
    target.refuses(vec![
        bad(&api(""), "query_malformed").saying("compression"),
        bad(&api("?compression=lz4"), "query_malformed").saying("lz4"),
        bad(&api("?compression=none&compression=zstd"), "query_malformed").saying("duplicate"),
        bad(&api("?compression=none&trusted=1"), "query_malformed").saying("unknown field"),
        bad(&api("?compression=none&nar_size=-1"), "query_malformed"),
        bad(&api("?compression=none&nar_size=x"), "query_malformed"),
        bad("/api/v1/nars/..?compression=none", "nar_hash_malformed"),
        bad(
            &format!("/api/v1/nars/{}?compression=none", NarHash::of(b"").to_hex()),
            "nar_hash_malformed",
        ),
        bad("/nar/x.nar.xz", "file_name_malformed"),
        bad(&format!("/nar/2{}.nar", &hash[1..]), "file_name_malformed").saying("canonical"),
        Case::new(
            "no such suffix",
            &target.put(&format!("/nar/{hash}.nar.lz4"), nar.clone()),
            404,
            "no_such_file",
        ),
        Case::new(
            "no NAR",
            &target.put(&format!("/nar/{hash}.txt"), nar.clone()),
            404,
            "no_such_file",
        ),
        Case::new(
            "no derivation",
            &target.put(&format!("/log/{HASH}-x"), "log"),
            404,
            "no_such_file",
        ),
        Case::new(
            "a log out of its place",
            &target.put("/log/..%2f..%2fadmin.token", "log"),
            404,
            "no_such_file",
        ),
        Case::new("no narinfo", &target.put("/index.html", "hello"), 404, "no_such_file"),
    ]);
    target.must_take(&target.put(&api("?compression=none"), nar));
}

#[test]
fn methods_are_those_of_what_is_served() {
    let target = Target::start(&[]);
    let (nar, narinfo) =
        (format!("/nar/{}.nar", NarHash::of(b"").to_nix32()), format!("/{HASH}.narinfo"));
    let mut cases = Vec::new();
    for (method, address) in [
        ("DELETE", &*nar),
        ("POST", &nar),
        ("DELETE", &narinfo),
        ("PATCH", &narinfo),
        ("POST", "/nix-cache-info"),
        ("DELETE", "/api/v1/signers"),
        ("PUT", "/api/v1/attestations"),
        ("GET", "/api/v1/nars/missing-not"),
        ("DELETE", "/get-narinfos-v1"),
        ("GET", "/get-narinfos-v1"),
        ("BREW", "/healthz"),
    ] {
        let request = Request::new(method, address).token(&target.token);
        let (status, code) = if address.ends_with("-not") {
            (400, "nar_hash_malformed")
        } else {
            (405, "wrong_method")
        };
        cases.push(Case::new(format!("{method} {address}"), &request, status, code));
    }
    let batch = |body: &str| target.post("/get-narinfos-v1", body.to_owned());
    cases.extend([
        Case::new(
            "a line that is no hash part",
            &batch(&format!("{HASH}\nhello\n")),
            400,
            "batch_malformed",
        )
        .saying("line 2"),
        Case::new(
            "a line with a carriage return and more",
            &batch(&format!("{HASH}\r\r\n")),
            400,
            "batch_malformed",
        ),
        Case::new(
            "a path instead",
            &batch(&format!("/nix/store/{HASH}-x\n")),
            400,
            "batch_malformed",
        ),
        Case::new(
            "no text",
            &target.post("/get-narinfos-v1", vec![0xff; 32]),
            400,
            "batch_malformed",
        ),
        Case::new(
            "too many lines",
            &batch(&format!("{HASH}\n").repeat(100_001)),
            413,
            "body_too_large",
        ),
        Case::new(
            "an option twice",
            &target.post("/get-narinfos-v1?closure=1&closure=0", ""),
            400,
            "query_malformed",
        ),
    ]);
    target.refuses(cases);
}

#[test]
fn what_is_not_http_is_not_answered_as_if_it_were() {
    let target = Target::start(&[]);
    let plain = |name: &str, bytes: Vec<u8>, status| Case {
        bytes,
        ..Case::new(name, &Request::new("GET", "/"), status, "")
    };
    let header = |name: &str, value: &str| {
        Request::new("GET", "/nix-cache-info").header(name, value).to_bytes()
    };
    let mut many = Request::new("GET", "/nix-cache-info");
    for at in 0..200 {
        many = many.header(&format!("x-{at}"), "y");
    }
    let put = |headers: &str| {
        let start = format!(
            "PUT /{HASH}.narinfo HTTP/1.1\r\nhost: pool\r\nauthorization: Bearer {}\r\n",
            target.token
        );
        format!("{start}{headers}\r\n").into_bytes()
    };
    target.refuses(vec![
        plain("no HTTP", b"hello\r\n\r\n".to_vec(), 400),
        plain("a space in the address", b"GET /a b HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), 400),
        plain("a NUL in the address", b"GET /\0 HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), 400),
        plain("a header without a colon", b"GET / HTTP/1.1\r\nhost\r\n\r\n".to_vec(), 400),
        plain("a NUL in a header", b"GET / HTTP/1.1\r\nhost: x\r\na: \0\r\n\r\n".to_vec(), 400),
        plain("a folded header", b"GET / HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n".to_vec(), 400),
        plain("a long header", header("x", &"y".repeat(200_000)), 431),
        plain("many headers", many.to_bytes(), 431),
        plain(
            "a long address",
            Request::new("GET", &format!("/{}", "a".repeat(200_000))).to_bytes(),
            431,
        ),
        plain("two lengths", put("content-length: 5\r\ncontent-length: 6\r\n"), 400),
        plain("a length that is none", put("content-length: five\r\n"), 400),
        plain("a length below zero", put("content-length: -5\r\n"), 400),
        plain("another encoding of bodies", put("transfer-encoding: gzip\r\n"), 400),
    ]);
    assert_eq!(target.get("/nix-cache-info").status, 200);
}
