//! Tokens that are not there, not real, not any more, or not for this.

use std::process::Command;

use schema::hash::NarHash;
use serde_json::json;
use tests::deadline::wait_for;
use tests::nar;
use tests::program::{Outcome, built};
use tests::wire::{Reply, Request};

use super::{Case, Target};

fn tokens(target: &Target, arguments: &[&str]) -> String {
    let mut command = Command::new(built("pool-server"));
    command.arg("token").args(arguments).arg("--data").arg(target.server.data());
    Outcome::of(&mut command).ok().trim().to_owned()
}

#[test]
fn writing_takes_a_token_that_holds_and_allows_it() {
    let target = Target::start(&[]);
    let (path, nar) = (nar::path("x", "x"), nar::file(b"x"));
    let narinfo = target.narinfo(&path, &nar, &[]).print_nix();
    let upload = format!("/api/v1/nars/{}?compression=none", NarHash::of(&nar).to_nix32());
    let put_narinfo = format!("/as/alice/{}.narinfo", path.base().hash_part());
    let bare = || Request::new("PUT", &upload).body(nar.clone());
    let vouch = || Request::new("PUT", &put_narinfo).body(narinfo.clone());
    let attest = || {
        let item = nar::attestation(&target.alice, &path, &nar, &[]);
        Request::new("POST", "/api/v1/attestations")
            .body(json!({ "attestations": [item] }).to_string())
    };
    let with = |header: &str| bare().header("authorization", header);
    let (reader, uploader) = (target.server.token("read"), target.server.token("upload"));
    let attester = target.server.token("attest");
    let revoked = target.server.token("admin");
    let id = tokens(&target, &["list"]);
    let id = id
        .lines()
        .last()
        .and_then(|line| line.split_whitespace().next())
        .expect("the newest token");
    tokens(&target, &["revoke", id]);
    let brief =
        tokens(&target, &["create", "--label", "brief", "--scope", "admin", "--expires", "1s"]);
    wait_for("the token to end", || {
        let reply = Reply::to(target.server.address(), &vouch().token(&brief));
        (reply.status == 401).then_some(())
    });
    let unknown = format!("npt_{}", "A".repeat(43));
    target.refuses(vec![
        Case::new("none", &bare(), 401, "token_required").saying("netrc"),
        Case::new("none for a narinfo", &vouch(), 401, "token_required").saying("attest"),
        Case::new("none for attestations", &attest(), 401, "token_required").saying("attest"),
        Case::new(
            "none for a log",
            &Request::new("PUT", "/log/x.drv").body("x"),
            401,
            "token_required",
        ),
        Case::new("an unknown one", &bare().token(&unknown), 401, "token_unknown"),
        Case::new("one that was revoked", &bare().token(&revoked), 401, "token_revoked"),
        Case::new("one that has ended", &bare().token(&brief), 401, "token_expired"),
        Case::new("garbage", &with("Bearer garbage"), 401, "bad_credentials"),
        Case::new("nothing after Bearer", &with("Bearer "), 401, "bad_credentials"),
        Case::new("half of one", &bare().token(&target.token[..20]), 401, "bad_credentials"),
        Case::new(
            "an unknown scheme",
            &with(&format!("Digest {}", target.token)),
            401,
            "bad_credentials",
        ),
        Case::new("a bare token", &with(&target.token), 401, "bad_credentials"),
        Case::new("Basic that is not base 64", &with("Basic !!!"), 401, "bad_credentials"),
        Case::new("Basic without a password", &with("Basic cG9vbA=="), 401, "bad_credentials"),
        Case::new("two of them", &with("Bearer x").token(&target.token), 401, "bad_credentials")
            .saying("more than one"),
        Case::new("one that may read", &bare().token(&reader), 403, "scope_missing")
            .saying("upload"),
        Case::new("one that may attest", &bare().token(&attester), 403, "scope_missing"),
        Case::new(
            "one that may upload, for a narinfo",
            &vouch().token(&uploader),
            403,
            "scope_missing",
        )
        .saying("attest"),
        Case::new(
            "one that may upload, for attestations",
            &attest().token(&uploader),
            403,
            "scope_missing",
        ),
        Case::new(
            "one that may upload, in its address",
            &Request::new("PUT", &format!("{upload}&token={uploader}")).body(nar.clone()),
            401,
            "token_required",
        ),
    ]);
    target.must_take(&bare().token(&uploader));
    target.must_take(&vouch().token(&attester));
}

#[test]
fn a_private_pool_is_read_by_those_who_may() {
    let target = Target::start(&["--private", "true"]);
    let reader = target.server.token("read");
    let get = |address: &str| Request::new("GET", address);
    let digits = NarHash::of(b"x").to_nix32();
    let mut cases = Vec::new();
    for address in [
        "/nix-cache-info".to_owned(),
        format!("/{}.narinfo", nar::path("x", "x").base().hash_part()),
        format!("/nar/{digits}.nar"),
        "/log/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-x.drv".to_owned(),
        "/metrics".to_owned(),
        "/api/v1/info".to_owned(),
        "/api/v1/signers".to_owned(),
        format!("/api/v1/nars/{digits}"),
    ] {
        cases
            .push(Case::new(address.clone(), &get(&address), 401, "token_required").saying("read"));
        let wrong = get(&address).token(&target.server.token("upload"));
        cases.push(Case::new(
            format!("{address} with another scope"),
            &wrong,
            403,
            "scope_missing",
        ));
    }
    for address in ["/get-narinfos-v1", "/api/v1/nars/missing"] {
        let request = Request::new("POST", address).body(r#"{"nar_hashes": []}"#);
        cases.push(Case::new(address, &request, 401, "token_required"));
    }
    target.refuses(cases);
    target.must_take(&get("/nix-cache-info").token(&reader));
}
