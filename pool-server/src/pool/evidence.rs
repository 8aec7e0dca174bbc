//! Evidence: all that the ledger has about many paths, and the proof of that, so that whoever asks can
//! decide without believing this pool.

mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use schema::api::{
    EvidenceAbsent, EvidenceClaim, EvidenceEnd, EvidenceHead, EvidenceLine, EvidencePath,
    EvidenceRequest, MAX_EVIDENCE_ASKED, MAX_EVIDENCE_PATHS,
};
use schema::hash::{MapKey, TreeHash};
use schema::key_event::KeyEntry;
use schema::store_path::{BaseName, StorePath};
use schema::verifiable_map::MapProof;
use tokio::sync::mpsc;

use self::walk::{Asked, Walk};
use super::Pool;
use super::pieces::{Gone, Pieces};
use crate::assemble::report::{attestation_report, file_report};
use crate::index::{ClaimRecord, LogId, MapNow, PathRecord};
use crate::ledger::shown::{Published, Shown};
use crate::rejected::{Error, Failure, Rejected};
use crate::roll::Roll;

/// Answers that are written at a time; each has a thread and a moment of the database.
pub(super) const AT_ONCE: usize = 8;
/// Paths whose NARs are promised together.
const TOGETHER: usize = 64;
/// A piece of an answer is sent once it is this long, in bytes.
const PIECE: usize = 64 << 10;
/// For a whole answer.
const LONGEST: Duration = Duration::from_secs(300);
/// Between looks at a map that is about to become the one that was published.
const NEXT_LOOK: Duration = Duration::from_millis(5);
const LOOKS: usize = 400;

impl Pool {
    /// Writes what is asked for, piece by piece; what fails ends with an error. The attestations that
    /// are published by now are in it, unless the index log is held up.
    ///
    /// # Errors
    /// A request that asks for too much, or for entries that the ledger does not have.
    pub async fn evidence(
        self: &Arc<Self>,
        request: EvidenceRequest,
    ) -> Result<mpsc::Receiver<Result<Bytes, Error>>, Failure> {
        let asked = request.paths.len() + request.hash_parts.len() + request.entries.len();
        if asked > MAX_EVIDENCE_ASKED {
            let detail = format!("{asked} paths; at most {MAX_EVIDENCE_ASKED} are allowed");
            return Err(Rejected::too_large("too_many_paths", detail).into());
        }
        let size = self.shown(LogId::Attestations).published().size();
        let _ = tokio::time::timeout(self.config.witness_timeout, self.ledger.covers(size)).await;
        let permit = Arc::clone(&self.evidence_turns).acquire_owned().await;
        let permit = permit.map_err(|_| Error::Index("the pool is closing".to_owned()))?;
        let pool = Arc::clone(self);
        let (of_entries, request) = tokio::task::spawn_blocking(move || {
            pool.paths_of(&request.entries).map(|paths| (paths, request))
        })
        .await
        .map_err(|error| Error::Index(format!("looking up entries stopped: {error}")))??;
        let pool = Arc::clone(self);
        let (pieces, receiver) = Pieces::new(permit, LONGEST);
        tokio::task::spawn_blocking(move || {
            let mut writer = Writer { pieces, piece: Vec::new() };
            match pool.write_evidence(&request, of_entries, &mut writer) {
                Err(Stop::Failed(error)) => writer.pieces.fail(error),
                Ok(()) | Err(Stop::Gone) => {}
            }
        });
        Ok(receiver)
    }

    /// The paths that entries of the attestations log are about.
    fn paths_of(&self, entries: &[u64]) -> Result<Vec<StorePath>, Failure> {
        entries.iter().map(|index| Ok(self.claim_at(*index)?.path().clone())).collect()
    }

    fn write_evidence(
        &self,
        request: &EvidenceRequest,
        of_entries: Vec<StorePath>,
        writer: &mut Writer,
    ) -> Result<(), Stop> {
        let Moment { map, keys, attestations, index } = self.moment()?;
        let covered = attestations.size();
        let logs = Logs { pool: self, keys: &keys, attestations: &attestations, index: &index };
        let head = logs.head(&map, request)?;
        writer.write(&EvidenceLine::Head(Box::new(head)))?;
        let mut walk = Walk::of(request);
        of_entries.into_iter().for_each(|path| walk.visit(Asked::Path(path)));
        let (roll, mut indices, mut shown) = (self.roll(), Vec::new(), 0);
        let proof = |path: &StorePath| {
            let proof = map.proof(&MapKey::of_path(&path.key()));
            Ok::<_, Error>(proof?.unwrap_or_else(MapProof::of_empty_map))
        };
        let mut promised = 0;
        while let Some(asked) = walk.next().filter(|_| shown < MAX_EVIDENCE_PATHS) {
            if promised == 0 {
                // Whoever asks makes narinfos of it.
                let paths = [&[asked.hash_part()], &*walk.ahead(TOGETHER)].concat();
                promised = paths.len();
                tokio::runtime::Handle::current().block_on(self.lease_paths(&paths))?;
            }
            promised -= 1;
            let record = self.index.path(&asked.hash_part())?;
            let mut told =
                record.map_or_else(BTreeMap::new, |it| of_each_path(&it, covered, &roll));
            if let Asked::Path(path) = &asked {
                told.retain(|other, _| other == path);
            }
            if told.is_empty() {
                writer.write(&match asked {
                    Asked::Part(hash_part) => EvidenceLine::Unknown(hash_part),
                    Asked::Path(path) => {
                        let proof = proof(&path)?;
                        EvidenceLine::Absent(EvidenceAbsent { path, proof })
                    }
                })?;
                shown += 1;
            }
            for (path, told) in told {
                indices.extend(told.indices);
                walk.follow(&path, &told.references);
                let proof = proof(&path)?;
                writer.write(&EvidenceLine::Path(EvidencePath { claims: told.claims, proof }))?;
                shown += 1;
            }
        }
        indices.sort_unstable();
        let proof = self.shown(LogId::Attestations).multi_proof(&indices, &attestations)?;
        writer.write(&EvidenceLine::End(EvidenceEnd { proof }))?;
        writer.flush()
    }

    /// A state of the map, and the checkpoints that fit it. A leaf is published before the map becomes
    /// what it says, and the map passes through states of which there is no checkpoint: a moment later
    /// there is.
    fn moment(&self) -> Result<Moment<'_>, Error> {
        for _ in 0..LOOKS {
            let map = self.index.map_now()?;
            let (size, leaves) =
                map.state()?.map_or((0, 0), |state| (state.leaf.size, state.number + 1));
            let index = self.shown(LogId::Index).published();
            // The log's own first: its witnesses may have seen it anew.
            let newest = self.shown(LogId::Attestations).published();
            let checkpoints = [Some(newest), self.ledger.covered()];
            let attestations = checkpoints.into_iter().flatten().find(|it| it.size() == size);
            // Read last, so that every key event is there that came before one of the attestations.
            let keys = self.shown(LogId::Keys).published();
            if let Some(attestations) = attestations
                && index.size() == leaves
                && self.dated(&keys)? <= size
            {
                return Ok(Moment { map, keys, attestations, index });
            }
            std::thread::sleep(NEXT_LOOK);
        }
        Err(Error::Damaged("the map does not come to what the logs say".to_owned()))
    }

    /// How many attestations came before the last event of the keys log.
    fn dated(&self, keys: &Published) -> Result<u64, Error> {
        let Some(last) = keys.size().checked_sub(1) else { return Ok(0) };
        let entries = self.shown(LogId::Keys).entries(last, 1)?;
        let entry = entries.first().and_then(|bytes| KeyEntry::parse(bytes).ok());
        let entry =
            entry.ok_or_else(|| Error::Damaged(format!("key event {last} does not read")))?;
        Ok(entry.attestations)
    }
}

/// A state of the map, and published states that belong to it.
struct Moment<'i> {
    map: MapNow<'i>,
    keys: Arc<Published>,
    attestations: Arc<Published>,
    index: Arc<Published>,
}

/// Published states that belong together.
struct Logs<'l> {
    pool: &'l Pool,
    keys: &'l Published,
    attestations: &'l Published,
    index: &'l Published,
}

impl Logs<'_> {
    fn head(&self, map: &MapNow<'_>, request: &EvidenceRequest) -> Result<EvidenceHead, Error> {
        let (pool, known) = (self.pool, &request.known);
        let (log, identity) = (|id| pool.shown(id), pool.ledger.identity());
        let leaf = map.state()?.map(|state| state.leaf);
        let leaf_proof = match self.index.size().checked_sub(1) {
            Some(last) => log(LogId::Index).inclusion(last, self.index)?.hashes().to_vec(),
            None => Vec::new(),
        };
        let (attestations, index) = (log(LogId::Attestations), log(LogId::Index));
        Ok(EvidenceHead {
            origin: identity.origin().to_owned(),
            public_key: identity.public_key(),
            keys: text(self.keys),
            attestations: text(self.attestations),
            index: text(self.index),
            key_entries: self.key_entries(known.keys)?,
            attestations_proof: grown(attestations, known.attestations, self.attestations)?,
            index_proof: grown(index, known.index, self.index)?,
            leaf: leaf.map(|leaf| leaf.to_bytes().iter().map(|it| format!("{it:02x}")).collect()),
            leaf_proof,
        })
    }

    fn key_entries(&self, known: u64) -> Result<Vec<String>, Error> {
        let count = usize::try_from(self.keys.size().saturating_sub(known)).unwrap_or(usize::MAX);
        let entries = self.pool.shown(LogId::Keys).entries(known, count)?;
        let text = |entry: Vec<u8>| {
            String::from_utf8(entry).map_err(|_| Error::Damaged("a key event is no text".into()))
        };
        entries.into_iter().map(text).collect()
    }
}

fn text(published: &Published) -> String {
    String::from_utf8_lossy(&published.file).into_owned()
}

/// Nothing, for somebody who has seen more than there is: the sizes tell.
fn grown(log: &Shown, known: u64, published: &Published) -> Result<Vec<TreeHash>, Error> {
    if known > published.size() {
        return Ok(Vec::new());
    }
    Ok(log.consistency(known, published)?.hashes().to_vec())
}

/// What is told of one full store path.
#[derive(Default)]
struct Told {
    claims: Vec<EvidenceClaim>,
    indices: Vec<u64>,
    references: Vec<BaseName>,
}

/// What the first `covered` attestations of the pool's own ledger say of each path with a hash part: there can be several.
fn of_each_path(record: &PathRecord, covered: u64, roll: &Roll) -> BTreeMap<StorePath, Told> {
    let mut paths: BTreeMap<StorePath, Told> = BTreeMap::new();
    for record in &record.claims {
        let words =
            record.attestations.iter().filter(|word| word.ledger.is_own() && word.index < covered);
        let entries: Vec<_> = words.filter_map(|word| attestation_report(word, roll)).collect();
        if entries.is_empty() {
            continue;
        }
        let told = paths.entry(record.claim.path().clone()).or_default();
        told.indices.extend(entries.iter().map(|entry| entry.index));
        told.references.extend_from_slice(record.claim.references());
        told.claims.push(claim(record, entries));
    }
    paths
}

fn claim(record: &ClaimRecord, entries: Vec<schema::api::AttestationReport>) -> EvidenceClaim {
    let nar_hash = record.claim.nar_hash();
    EvidenceClaim {
        text: record.claim.signed_bytes().into_owned(),
        ca: record.content_address.as_ref().map(ToString::to_string),
        file: record.file.map(|file| file_report(&nar_hash, &file)),
        entries,
    }
}

/// Why an answer ends early.
enum Stop {
    Failed(Error),
    /// Nobody reads it any more.
    Gone,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Where an answer is written to.
struct Writer {
    pieces: Pieces<Error>,
    piece: Vec<u8>,
}

impl Writer {
    fn write(&mut self, line: &EvidenceLine) -> Result<(), Stop> {
        serde_json::to_writer(&mut self.piece, line)
            .map_err(|error| Error::Damaged(format!("evidence does not print: {error}")))?;
        self.piece.push(b'\n');
        if self.piece.len() < PIECE { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), Stop> {
        let piece = Bytes::from(std::mem::take(&mut self.piece));
        self.pieces.send(piece).map_err(|Gone| Stop::Gone)
    }
}
