//! What must hold of a pool after any crash.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use futures_util::StreamExt;
use futures_util::stream;
use reqwest::Method;
use schema::api::{
    AttestRequest, AttestResponse, AttestationReport, BatchLine, Info, MissingRequest,
    MissingResponse, PathReport, Signers,
};
use schema::claim::Claim;
use schema::hash::{ClaimId, NarHash};
use schema::key::{KeyName, PublicKey};
use schema::narinfo::NarInfo;
use schema::store_path::{HashPart, StorePath};
use serde_json::{Value, from_value};
use tests::client::{Answer, Client};
use tests::nar::unpack;
use tests::server::Server;

use super::notes::{Notes, Owed};

/// Questions at once.
const WIDTH: usize = 8;

/// Whether there may be files of NARs that the index does not know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strays {
    /// There may not.
    None,
    /// There may, but they are not served.
    Unserved,
}

/// Asks a pool for everything, and remembers what may not change.
pub(super) struct Auditor {
    strays: Strays,
    /// Every entry of the ledger that was ever shown.
    entries: BTreeMap<u64, (ClaimId, AttestationReport)>,
    ledger_size: u64,
    /// Files that were read and found whole.
    read: HashMap<String, Stamp>,
}

/// Tells whether a file is the one that was read before.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

impl Auditor {
    pub(super) fn new(strays: Strays) -> Self {
        Self { strays, entries: BTreeMap::new(), ledger_size: 0, read: HashMap::new() }
    }

    /// The next audit reads files that have been read before.
    pub(super) fn read_all_again(&mut self) {
        self.read.clear();
    }

    /// Checks all that the pool has against all that is owed.
    pub(super) async fn audit(&mut self, server: &Server, notes: &Notes) {
        let client = Client::admin(server);
        let owed = notes.note(|owed| owed.clone());
        if self.strays == Strays::None {
            no_leftovers(server.data());
        }
        let held = self.nars(&client, &server.data().join("blobs/nar")).await;
        check_nars(&client, &owed, &held).await;
        check_logs(&client, &owed).await;
        let indexes = attest_again(&client, &owed).await;
        notes.note(|owed| {
            for (key, index) in &indexes {
                owed.attested_at(&owed.tried[key].clone(), *index);
            }
        });
        self.ledger(&client, &indexes).await;
        for signer in owed.tried.keys().map(|(_, name)| name).collect::<BTreeSet<_>>() {
            check_narinfos(&client, &owed, signer, &held).await;
        }
    }

    /// Every file is whole, and served as it is. Answers with the NARs there are.
    async fn nars(&mut self, client: &Client, dir: &Path) -> BTreeSet<NarHash> {
        let mut held = BTreeSet::new();
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let nar_hash = NarHash::from_nix32(&name[..52]).unwrap();
            if self.nar(client, &name, &nar_hash, &entry.path()).await {
                held.insert(nar_hash);
            }
        }
        held
    }

    /// Whether the pool has this NAR, whose file it must be.
    async fn nar(&mut self, client: &Client, name: &str, nar_hash: &NarHash, file: &Path) -> bool {
        let (url, stamp) = (format!("/nar/{name}"), Stamp::of(file));
        if self.read.get(name) == Some(&stamp) {
            let head = client.head(&url).await;
            assert_eq!(
                (head.status, head.header("content-length")),
                (200, &*stamp.len.to_string()),
                "{name}"
            );
            return true;
        }
        let answer = client.get(&url).await;
        match (answer.status, self.strays) {
            (404, Strays::Unserved) => return false,
            // Of a stray the pool may have got the NAR again, in another file.
            (200, Strays::Unserved) => {}
            (200, Strays::None) => {
                assert!(answer.body == fs::read(file).unwrap(), "{name} is served differently");
                self.read.insert(name.to_owned(), stamp);
            }
            _ => panic!("{name} lies there, but: {}", answer.text()),
        }
        assert_eq!(NarHash::of(&unpack(&answer.body).unwrap()), *nar_hash, "{name}");
        true
    }

    /// Nothing of the ledger is lost or changed.
    async fn ledger(&mut self, client: &Client, indexes: &BTreeMap<(StorePath, KeyName), u64>) {
        let info: Info = from_value(json(&client.get("/api/v1/info").await)).unwrap();
        assert!(info.attestations >= self.ledger_size, "the ledger shrank");
        self.ledger_size = info.attestations;
        let paths: BTreeSet<HashPart> =
            indexes.keys().map(|(path, _)| path.base().hash_part()).collect();
        let asked =
            paths.iter().map(async |path| client.get(&format!("/api/v1/paths/{path}")).await);
        let mut reports = stream::iter(asked).buffer_unordered(WIDTH);
        let mut shown = BTreeMap::new();
        while let Some(answer) = reports.next().await {
            let report: PathReport = from_value(json(&answer)).unwrap();
            for claim in report.claims {
                shown.extend(
                    claim.attestations.into_iter().map(|entry| (entry.index, (claim.claim, entry))),
                );
            }
        }
        for (index, entry) in &self.entries {
            assert_eq!(shown.get(index), Some(entry), "an entry was lost or changed");
        }
        assert!(shown.keys().all(|index| *index < self.ledger_size));
        for ((path, signer), index) in indexes {
            assert_eq!(shown[index].1.signer, *signer, "{path}");
        }
        self.entries = shown;
    }
}

impl Stamp {
    fn of(file: &Path) -> Self {
        let metadata = fs::metadata(file).unwrap();
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Self { inode: metadata.ino(), len: metadata.len(), modified }
    }
}

/// Nothing lies about that was never finished.
pub(super) fn no_leftovers(data: &Path) {
    let list = |dir: &str| {
        let names = fs::read_dir(data.join("blobs").join(dir)).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(list("staging"), [""; 0]);
    for dir in ["nar", "log"] {
        let unfinished: Vec<_> = list(dir).into_iter().filter(|name| name.contains('#')).collect();
        assert_eq!(unfinished, [""; 0], "in {dir}");
    }
}

async fn check_nars(client: &Client, owed: &Owed, held: &BTreeSet<NarHash>) {
    let lost: Vec<_> = owed.nars.keys().filter(|nar_hash| !held.contains(nar_hash)).collect();
    assert!(lost.is_empty(), "acknowledged NARs are lost: {lost:?}");
    let missing = missing(client, owed.offered.iter()).await;
    let unknown = owed
        .offered
        .iter()
        .find(|nar_hash| !held.contains(nar_hash) && !missing.contains(nar_hash));
    assert_eq!(unknown, None, "the pool says that it has a NAR, and has not");
    assert!(!missing.iter().any(|nar_hash| held.contains(nar_hash)));
    for (file_hash, nar_hash) in &owed.aliases {
        let answer = client.get(&format!("/nar/{}.nar.xz", file_hash.to_nix32())).await;
        // The pool may have the NAR from somebody else who does not compress.
        if answer.status == 404 {
            assert_eq!(
                answer.text().split(':').next(),
                Some("other_compression"),
                "{}",
                answer.text()
            );
        } else {
            assert_eq!(NarHash::of(&unpack(&answer.body).unwrap()), *nar_hash);
        }
    }
}

/// Which of these NARs the pool says it has not.
pub(super) async fn missing(
    client: &Client,
    nar_hashes: impl Iterator<Item = &NarHash>,
) -> BTreeSet<NarHash> {
    let request = MissingRequest { nar_hashes: nar_hashes.copied().collect() };
    let answer =
        Answer::to(client.request(Method::POST, "/api/v1/nars/missing").json(&request)).await;
    let answer: MissingResponse = from_value(json(&answer)).unwrap();
    answer.missing.into_iter().collect()
}

async fn check_logs(client: &Client, owed: &Owed) {
    for (derivation, text) in &owed.logs {
        let answer = client.get(&format!("/log/{derivation}")).await;
        assert!(answer.status == 200 && answer.text() == *text, "{derivation}: {}", answer.status);
    }
}

/// Attests once more what was acknowledged; answers with where it stands, which is where it stood.
async fn attest_again(client: &Client, owed: &Owed) -> BTreeMap<(StorePath, KeyName), u64> {
    let attestations = owed.attested.keys().map(|key| owed.tried[key].clone()).collect();
    let answer = Answer::to(
        client.request(Method::POST, "/api/v1/attestations").json(&AttestRequest { attestations }),
    );
    let answer: AttestResponse = from_value(json(&answer.await)).unwrap();
    let mut indexes = BTreeMap::new();
    for ((key, index), logged) in owed.attested.iter().zip(answer.logged) {
        assert!(!logged.new, "an acknowledged attestation was lost: {}", key.0);
        assert!(index.is_none_or(|index| index == logged.index), "{}: {index:?} {logged:?}", key.0);
        indexes.insert(key.clone(), logged.index);
    }
    let distinct: BTreeSet<u64> = indexes.values().copied().collect();
    assert_eq!(distinct.len(), indexes.len(), "two attestations stand at one index");
    indexes
}

/// A signer's view shows all that this signer is owed, and nothing that does not hold.
async fn check_narinfos(client: &Client, owed: &Owed, signer: &KeyName, held: &BTreeSet<NarHash>) {
    let tried: Vec<_> = owed.tried.iter().filter(|((_, name), _)| name == signer).collect();
    let lines: String =
        tried.iter().map(|((path, _), _)| format!("{}\n", path.base().hash_part())).collect();
    let url = format!("/as/{signer}/get-narinfos-v1");
    let answer = Answer::to(client.request(Method::POST, &url).body(lines)).await;
    let key = public_key(client, signer).await;
    let lines = answer.json_lines();
    assert_eq!(lines.len(), tried.len());
    for (line, (key_of, item)) in lines.into_iter().zip(tried) {
        let line: BatchLine = from_value(line).unwrap();
        let Some(text) = line.narinfo else {
            let due = owed.attested.contains_key(key_of) && held.contains(&item.nar_hash);
            assert!(!due, "{}: {:?}", item.store_path, line.refused);
            continue;
        };
        let narinfo = NarInfo::parse_nix(text.as_bytes()).unwrap();
        assert_eq!(narinfo.claim.nar_hash(), item.nar_hash, "{}", item.store_path);
        assert!(held.contains(&item.nar_hash), "{} is shown without its NAR", item.store_path);
        check_signature(&narinfo, &key);
    }
}

fn check_signature(narinfo: &NarInfo, key: &PublicKey) {
    let claim: &Claim = &narinfo.claim;
    let signature =
        narinfo.signatures.iter().find(|line| line.name() == key.name()).expect("it is signed");
    assert!(
        key.verifies(claim.signed_bytes().as_bytes(), signature.signature()),
        "{}",
        claim.path()
    );
}

async fn public_key(client: &Client, signer: &KeyName) -> PublicKey {
    let answer = client.get("/api/v1/signers").await;
    let signers: Signers = from_value(json(&answer)).unwrap();
    signers.signers.into_iter().find(|known| known.name == *signer).unwrap().public_key
}

/// The JSON of an answer that is not a refusal.
pub(super) fn json(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}
