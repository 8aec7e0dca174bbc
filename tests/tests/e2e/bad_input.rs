//! Bad input of every kind: each is refused with a clear answer, and leaves nothing behind.

mod addresses;
mod api;
mod credentials;
mod malformed_nars;
mod narinfos;
mod signatures;
mod slow;
mod strict;
mod uploads;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use schema::hash::{FileHash, NarHash};
use schema::key::{PublicKey, SecretKey};
use schema::narinfo::{Delivery, NarInfo};
use schema::store_path::{BaseName, StorePath};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::nar;
use tests::server::Server;
use tests::wire::{Reply, Request};

/// A running pool with two signers, and what it is asked to refuse.
struct Target {
    server: Server,
    token: String,
    alice: SecretKey,
    _dir: TempDir,
}

/// What a pool has kept.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    attestations: u64,
    signers: usize,
    files: BTreeSet<String>,
}

/// One thing that must be refused.
struct Case {
    name: String,
    bytes: Vec<u8>,
    breaks_off: bool,
    status: u16,
    code: &'static str,
    says: &'static str,
}

impl Case {
    fn new(name: impl Into<String>, request: &Request, status: u16, code: &'static str) -> Self {
        Self {
            name: name.into(),
            bytes: request.to_bytes(),
            breaks_off: false,
            status,
            code,
            says: "",
        }
    }

    /// And then the client sends no more, whatever it announced.
    fn breaking_off(self) -> Self {
        Self { breaks_off: true, ..self }
    }

    /// And the answer has these words.
    fn saying(self, says: &'static str) -> Self {
        Self { says, ..self }
    }
}

impl Target {
    fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("there is a place for temporary files");
        let server = Server::start(dir.path(), arguments);
        let token = server.admin_token();
        let target = Self { server, token, alice: nar::key("alice", 1), _dir: dir };
        for key in [target.alice.public(), nar::key("bob", 2).public()] {
            target.enrol(&key);
        }
        target
    }

    fn enrol(&self, key: &PublicKey) {
        let body = json!({ "public_key": key }).to_string();
        self.must_take(&self.post("/api/v1/signers", body));
    }

    fn put(&self, target: &str, body: impl Into<Vec<u8>>) -> Request {
        Request::new("PUT", target).token(&self.token).body(body)
    }

    fn post(&self, target: &str, body: impl Into<Vec<u8>>) -> Request {
        Request::new("POST", target).token(&self.token).body(body)
    }

    fn get(&self, target: &str) -> Reply {
        Reply::to(self.server.address(), &Request::new("GET", target).token(&self.token))
    }

    fn must_take(&self, request: &Request) -> String {
        let reply = Reply::to(self.server.address(), request);
        assert!(
            matches!(reply.status, 200 | 201),
            "what must be taken was answered with {reply:?}"
        );
        reply.body
    }

    /// Uploads a NAR as it is, so that claims about it have one.
    fn upload(&self, nar: &[u8]) {
        let target = format!("/api/v1/nars/{}?compression=none", NarHash::of(nar).to_nix32());
        self.must_take(&self.put(&target, nar));
    }

    /// A narinfo for `path`, as stock Nix would put it, signed by alice.
    fn narinfo(&self, path: &StorePath, nar: &[u8], references: &[BaseName]) -> NarInfo {
        let item = nar::attestation(&self.alice, path, nar, references);
        let claim =
            schema::claim::Claim::new(path.clone(), item.nar_hash, item.nar_size, item.references);
        let delivery = Delivery {
            url: format!("nar/{}.nar", FileHash::of(nar).to_nix32()),
            compression: schema::compression::Compression::None,
            file_hash: Some(FileHash::of(nar)),
            file_size: Some(nar.len() as u64),
        };
        NarInfo {
            claim: claim.expect("a claim"),
            delivery,
            deriver: None,
            content_address: None,
            signatures: vec![item.signature],
        }
    }

    fn kept(&self) -> Kept {
        let json =
            |target| -> Value { serde_json::from_str(&self.get(target).body).expect("JSON") };
        let mut files = BTreeSet::new();
        list(&self.server.data().join("blobs"), &mut files);
        Kept {
            attestations: json("/api/v1/info")["attestations"].as_u64().expect("a number"),
            signers: json("/api/v1/signers")["signers"].as_array().expect("a list").len(),
            files,
        }
    }

    /// Sends every case; each must be refused as it says, and nothing may be kept of it.
    fn refuses(&self, cases: Vec<Case>) {
        let before = self.kept();
        assert!(!before.files.iter().any(|file| file.contains("staging")), "{before:?}");
        let mut wrong = Vec::new();
        for case in cases {
            let reply = Reply::to_bytes(self.server.address(), &case.bytes, case.breaks_off);
            let body: String = reply.words().chars().take(300).collect();
            if (reply.status, &*reply.code()) != (case.status, case.code)
                || !reply.words().contains(case.says)
            {
                wrong.push(format!("{}: {} {:?} {body:?}", case.name, reply.status, reply.code()));
            }
            let kept = self.kept();
            if kept != before {
                wrong.push(format!("{}: kept {kept:?}", case.name));
            }
        }
        assert!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong.join("\n"));
    }
}

fn list(directory: &Path, files: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("the pool keeps its files there") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.insert(path.display().to_string());
        }
    }
}
