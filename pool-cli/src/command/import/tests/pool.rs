//! As much of a pool as an import needs.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::{Arc, Mutex};

use schema::api::{AttestItem, AttestRequest, KeyStanding, MissingRequest, Signer};
use schema::attestation::Signed;
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::key::PublicKey;
use schema::store_path::HashPart;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::decode::decode;

/// What the pool has, and what it is to do.
#[derive(Default)]
pub(super) struct State {
    pub(super) signers: Vec<Signer>,
    pub(super) nars: HashMap<NarHash, (Compression, Vec<u8>)>,
    pub(super) attested: Vec<AttestItem>,
    /// Paths about which signers disagree.
    pub(super) diverging: HashSet<HashPart>,
    /// Paths of which no attestation is taken.
    pub(super) unwanted: HashSet<HashPart>,
    /// Uploads that were begun.
    pub(super) uploads: usize,
}

/// A pool in memory.
pub(super) struct Pool {
    pub(super) server: String,
    state: Arc<Mutex<State>>,
}

impl Pool {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    // An upload may be given up.
                    let _ = serve(stream, &shared).await;
                });
            }
        });
        Self { server, state }
    }

    pub(super) fn enrol(&self, key: &PublicKey) {
        let signer = Signer {
            name: key.name().clone(),
            public_key: key.clone(),
            key_id: key.id(),
            enrolled_at: 0,
            since: 0,
            standing: KeyStanding::Active,
            until: None,
            delegated_by: None,
            names: None,
            not_after: None,
        };
        self.with(|state| state.signers.push(signer));
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }
}

async fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut request = Vec::new();
    let head = loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if let Some(end) = request.windows(4).position(|at| at == b"\r\n\r\n") {
            break String::from_utf8(request.drain(..end + 4).collect()).unwrap();
        }
    };
    if head.starts_with("PUT") {
        state.lock().unwrap().uploads += 1;
    }
    let Some(body) = body(&mut stream, &head, request).await? else { return Ok(()) };
    let (status, answer) = answer(&head, body, &mut state.lock().unwrap());
    let (answer, kind) = (answer.to_string(), if status == 200 { "json" } else { "problem+json" });
    let head = format!(
        "HTTP/1.1 {status} x\r\nContent-Type: application/{kind}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        answer.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// All of a body; none if the connection ends before it.
async fn body(
    stream: &mut TcpStream,
    head: &str,
    mut came: Vec<u8>,
) -> std::io::Result<Option<Vec<u8>>> {
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    let chunked = head.contains("transfer-encoding: chunked");
    loop {
        let whole =
            if chunked { unchunked(&came) } else { (came.len() >= length).then(|| came.clone()) };
        if whole.is_some() {
            return Ok(whole);
        }
        if stream.read_buf(&mut came).await? == 0 {
            return Ok(None);
        }
    }
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let end = rest.windows(2).position(|at| at == b"\r\n")?;
        let len = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if len == 0 {
            return Some(out);
        }
        rest = &rest[end + 2..];
        out.extend_from_slice(rest.get(..len)?);
        rest = rest.get(len + 2..)?;
    }
}

fn unpacked(compression: Compression, file: Vec<u8>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut nar = decode(compression, std::io::Cursor::new(file)).ok()?;
    nar.read_to_end(&mut out).ok().map(|_| out)
}

fn refused(why: &str) -> (u16, Value) {
    let problem =
        json!({"type": "about:blank", "status": 422, "title": "t", "code": "c", "detail": why});
    (422, problem)
}

fn answer(head: &str, body: Vec<u8>, state: &mut State) -> (u16, Value) {
    let path = head.split(' ').nth(1).unwrap();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    match path {
        "/api/v1/info" => (200, info()),
        "/api/v1/signers" => (200, json!({ "signers": state.signers })),
        "/api/v1/nars/missing" => {
            let asked: MissingRequest = serde_json::from_slice(&body).unwrap();
            let missing = asked.nar_hashes.into_iter().filter(|it| !state.nars.contains_key(it));
            (200, json!({ "missing": missing.collect::<Vec<_>>() }))
        }
        "/api/v1/attestations" => {
            let body = unpacked(Compression::Zstd, body).unwrap();
            attest(serde_json::from_slice(&body).unwrap(), state)
        }
        "/api/v1/divergence" => {
            let asked: schema::api::ChallengeRequest = serde_json::from_slice(&body).unwrap();
            let answers = asked.hash_parts.iter().map(|part| challenged(*part, state));
            (200, json!({ "answers": answers.collect::<Vec<_>>() }))
        }
        _ => {
            let digits = path.strip_prefix("/api/v1/nars/").unwrap();
            let compression = query.strip_prefix("compression=").unwrap().parse().unwrap();
            keep(NarHash::from_nix32(digits).unwrap(), compression, body, state)
        }
    }
}

fn info() -> Value {
    let key = "pool-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
    json!({
        "version": "0", "origin": "pool", "public_key": key, "store_dir": "/nix/store",
        "logs": {"keys": "", "attestations": "", "index": "", "witness": ""},
        "attestations": 0, "open_enrolment": false, "max_nar_size": 1 << 30,
    })
}

fn keep(hash: NarHash, compression: Compression, file: Vec<u8>, state: &mut State) -> (u16, Value) {
    match unpacked(compression, file.clone()) {
        Some(nar) if NarHash::of(&nar) == hash => {
            let stored = json!({
                "nar_hash": hash, "nar_size": nar.len(), "compression": compression,
                "file_hash": schema::hash::FileHash::of(&file), "file_size": file.len(),
                "new": state.nars.insert(hash, (compression, file)).is_none(),
            });
            (200, stored)
        }
        _ => refused("it is another NAR"),
    }
}

fn attest(request: AttestRequest, state: &mut State) -> (u16, Value) {
    for item in &request.attestations {
        let mut keys = state.signers.iter().map(|signer| &signer.public_key);
        let claim = item.claim().unwrap();
        let good =
            keys.any(|key| Signed::new(claim.clone(), item.signature.clone()).verify(key).is_ok());
        assert!(state.nars.contains_key(&item.nar_hash), "its NAR comes first");
        if !good || state.unwanted.contains(&item.store_path.base().hash_part()) {
            return refused("nobody wants it");
        }
    }
    let mut logged = Vec::new();
    for item in request.attestations {
        let new = !state.attested.contains(&item);
        logged.push(json!({ "index": 0, "new": new }));
        if new {
            state.attested.push(item);
        }
    }
    (200, json!({ "logged": logged }))
}

fn challenged(part: HashPart, state: &State) -> Value {
    let mut of_part =
        state.attested.iter().filter(|item| item.store_path.base().hash_part() == part);
    let Some(item) = of_part.next() else {
        return json!({ "hash_part": part, "paths": [] });
    };
    let claim = json!({
        "claim": item.claim().unwrap().id(), "nar_hash": item.nar_hash, "nar_size": item.nar_size,
        "references": [], "signers": [item.signature.name()],
    });
    let times = if state.diverging.contains(&part) { 2 } else { 1 };
    let path = json!({ "store_path": item.store_path, "claims": vec![claim; times] });
    json!({ "hash_part": part, "paths": [path] })
}
