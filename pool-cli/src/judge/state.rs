//! What this host saw of each pool, and must never see taken back: in a database, so that each step
//! is taken whole or not at all, whoever else steps beside it.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use schema::api::{EvidenceClaim, EvidencePath};
use schema::evidence::{Known, LogKeys};
use schema::key::PublicKey;
use schema::policy::Policy;
use schema::store_path::{HashPart, StorePath};
use schema::verifiable_map::MapProof;
use sha2::{Digest, Sha256};

use crate::exit::Failure;

/// How long to wait while another process takes a step.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS policies (
        name TEXT PRIMARY KEY, version INTEGER NOT NULL, digest BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS pools (
        url TEXT PRIMARY KEY, origin TEXT NOT NULL, public_key TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS logs (
        origin TEXT PRIMARY KEY, public_key TEXT NOT NULL,
        keys TEXT, attestations TEXT, map TEXT) STRICT;
    CREATE TABLE IF NOT EXISTS key_entries (
        origin TEXT NOT NULL, number INTEGER NOT NULL, entry BLOB NOT NULL,
        PRIMARY KEY (origin, number)) STRICT;
    CREATE TABLE IF NOT EXISTS evidence (
        origin TEXT NOT NULL, hash_part TEXT NOT NULL, path TEXT NOT NULL,
        terms BLOB NOT NULL, as_of INTEGER NOT NULL, covered INTEGER NOT NULL,
        claims TEXT NOT NULL, PRIMARY KEY (origin, hash_part, path)) STRICT;
    CREATE TABLE IF NOT EXISTS caught (
        url TEXT NOT NULL, code TEXT NOT NULL, times INTEGER NOT NULL, first INTEGER NOT NULL,
        last INTEGER NOT NULL, detail TEXT NOT NULL, known TEXT, shown TEXT,
        PRIMARY KEY (url, code)) STRICT;
";

/// Evidence about one path, as it was when it was verified.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// The path.
    pub(super) path: StorePath,
    /// POSIX seconds.
    pub(super) as_of: u64,
    /// How many attestations it covers.
    pub(super) covered: u64,
    /// What was shown, if anything was. The proof is gone.
    pub(super) shown: Option<EvidencePath>,
}

/// Something that a pool was caught at.
pub(super) struct Incident<'i> {
    pub(super) url: &'i str,
    /// Of the logs that contradict themselves, if they do: nothing they said before is believed.
    pub(super) refuted: Option<&'i str>,
    pub(super) at: u64,
    pub(super) code: &'i str,
    pub(super) detail: &'i str,
    /// The three checkpoints that were seen before, and those that were shown now: arrays in JSON.
    pub(super) known: Option<String>,
    pub(super) shown: Option<String>,
}

/// What came of keeping something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// It is kept.
    Kept,
    /// Nothing is: somebody else has seen more of these logs by now, or others.
    Overtaken,
}

/// The database.
pub(super) struct State {
    connection: Mutex<Connection>,
    /// Whose witness the evidence that is kept has: what was taken under other terms is nothing here.
    terms: [u8; 32],
}

impl State {
    /// Opens the database in `dir`, making it when there is none, for a policy that must not be older
    /// than what was used before, nor another under the same version.
    pub(super) fn open(dir: &Path, policy: &Policy) -> Result<Self> {
        let path = dir.join("judge.sqlite");
        let about = || format!("opening {}", path.display());
        std::fs::create_dir_all(dir).with_context(about)?;
        let connection = Connection::open(&path).with_context(about)?;
        connection.busy_timeout(BUSY_TIMEOUT).with_context(about)?;
        connection.execute_batch(TABLES).with_context(about)?;
        let state = Self { connection: Mutex::new(connection), terms: terms(policy) };
        state.take_policy(policy)?;
        Ok(state)
    }

    fn take_policy(&self, policy: &Policy) -> Result<()> {
        self.step(|step| {
            let name = policy.name().as_str();
            let kept = step
                .query_row("SELECT version, digest FROM policies WHERE name = ?", [name], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
                })
                .optional()?;
            if let Some((version, digest)) = kept {
                check_policy(policy, number(version), &digest)?;
            }
            step.execute(
                "INSERT OR REPLACE INTO policies VALUES (?, ?, ?)",
                params![name, integer(policy.version()), policy.digest()],
            )?;
            Ok(())
        })
    }

    /// What was seen of the logs of the pool at an address.
    pub(super) fn known(&self, url: &str) -> Result<Option<Known>> {
        let origin: Option<String> = self
            .connection()
            .query_row("SELECT origin FROM pools WHERE url = ?", [url], |row| row.get(0))
            .optional()?;
        origin.map_or(Ok(None), |origin| self.known_as(&origin))
    }

    /// What was seen of the logs whose names begin with `origin`, at whatever address.
    pub(super) fn known_as(&self, origin: &str) -> Result<Option<Known>> {
        let connection = self.connection();
        let row = connection
            .query_row(
                "SELECT public_key, keys, attestations, map FROM logs WHERE origin = ?",
                [origin],
                |row| {
                    let notes = [row.get(1)?, row.get(2)?, row.get(3)?];
                    Ok((row.get::<_, String>(0)?, notes))
                },
            )
            .optional()?;
        let Some((public_key, notes)) = row else { return Ok(None) };
        let mut entries =
            connection.prepare("SELECT entry FROM key_entries WHERE origin = ? ORDER BY number")?;
        let entries =
            entries.query_map([origin], |row| row.get(0))?.collect::<Result<Vec<_>, _>>()?;
        let about = || format!("reading what was seen of {origin}");
        let key: PublicKey = public_key.parse().with_context(about)?;
        let logs = LogKeys::new(origin, key).with_context(about)?;
        Known::resume(logs, &entries, &notes).with_context(about).map(Some)
    }

    /// Keeps how the logs of the pool at `url` have grown from `before`, and what was shown; unless
    /// what is kept is not what they have grown from.
    pub(super) fn keep(
        &self,
        url: &str,
        (before, known): (Option<&Known>, &Known),
        key_entries: &[Vec<u8>],
        evidence: &[Kept],
    ) -> Result<Keeping> {
        self.step(|step| {
            let (origin, key) = (known.logs().origin(), known.logs().pool().to_string());
            if noted(step, origin)? != before.map(|it| (key.clone(), it.notes())) {
                return Ok(Keeping::Overtaken);
            }
            step.execute(
                "INSERT OR REPLACE INTO pools VALUES (?, ?, ?)",
                params![url, origin, key],
            )?;
            let (have, notes) = (before.map_or(0, |it| it.sizes().keys), known.notes());
            for (at, entry) in (have..).zip(key_entries) {
                step.execute(
                    "INSERT INTO key_entries VALUES (?, ?, ?)",
                    params![origin, integer(at), entry],
                )?;
            }
            step.execute(
                "INSERT OR REPLACE INTO logs VALUES (?, ?, ?, ?, ?)",
                params![origin, key, notes[0], notes[1], notes[2]],
            )?;
            evidence.iter().try_for_each(|kept| keep_evidence(step, origin, &self.terms, kept))?;
            Ok(Keeping::Kept)
        })
    }

    /// What was shown of the paths with a hash part.
    pub(super) fn evidence(&self, origin: &str, hash_part: &HashPart) -> Result<Vec<Kept>> {
        let connection = self.connection();
        let mut rows = connection.prepare_cached(
            "SELECT path, as_of, covered, claims FROM evidence
             WHERE origin = ? AND hash_part = ? AND terms = ?",
        )?;
        let asked = params![origin, hash_part.to_string(), self.terms];
        let rows = rows.query_map(asked, |row| {
            let (path, claims): (String, String) = (row.get(0)?, row.get(3)?);
            Ok((path, number(row.get(1)?), number(row.get(2)?), claims))
        })?;
        let kept = |row: (String, u64, u64, String)| {
            let (path, as_of, covered, claims) = row;
            let claims: Vec<EvidenceClaim> = serde_json::from_str(&claims)?;
            let proof = MapProof::of_empty_map();
            let shown = (!claims.is_empty()).then_some(EvidencePath { claims, proof });
            Ok(Kept { path: path.parse()?, as_of, covered, shown })
        };
        rows.map(|row| kept(row?)).collect()
    }

    /// Forgets evidence that is older than this, POSIX seconds: nobody would believe it any more.
    pub(super) fn forget(&self, before: u64) -> Result<()> {
        self.step(|step| {
            step.execute("DELETE FROM evidence WHERE as_of < ?", [integer(before)])?;
            Ok(())
        })
    }

    /// Keeps what a pool was caught at: the first of each kind, with the checkpoints before and after,
    /// and how often it was.
    pub(super) fn note(&self, incident: &Incident<'_>) -> Result<()> {
        self.step(|step| {
            let Incident { url, refuted, at, code, detail, known, shown } = incident;
            step.execute(
                "INSERT INTO caught VALUES (?1, ?2, 1, ?3, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET times = times + 1, last = excluded.last",
                params![url, code, integer(*at), detail, known, shown],
            )?;
            if let Some(origin) = refuted {
                step.execute("DELETE FROM evidence WHERE origin = ?", [origin])?;
            }
            Ok(())
        })
    }

    fn step<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut connection = self.connection();
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&step)?;
        step.commit().context("keeping what was seen of the pools")?;
        Ok(done)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_policy(policy: &Policy, version: u64, digest: &[u8]) -> Result<()> {
    let name = policy.name();
    if policy.version() < version {
        let message = format!(
            "policy_rollback: this is version {} of the policy {name}, and version {version} was \
             used here before",
            policy.version()
        );
        let hint = "take the newest version; a policy never goes back";
        return Err(Failure::no(message).hint(hint).into());
    }
    if policy.version() == version && policy.digest() != *digest {
        let message = format!(
            "policy_changed: version {version} of the policy {name} is another than was used here \
             before"
        );
        let hint = "give a changed policy a higher `version`";
        return Err(Failure::no(message).hint(hint).into());
    }
    Ok(())
}

/// The key and the checkpoints that are noted of logs, if any are.
fn noted(
    step: &Transaction<'_>,
    origin: &str,
) -> rusqlite::Result<Option<(String, [Option<String>; 3])>> {
    let ask = "SELECT public_key, keys, attestations, map FROM logs WHERE origin = ?";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?]));
    step.query_row(ask, [origin], row).optional()
}

/// A digest of who must have witnessed what.
fn terms(policy: &Policy) -> [u8; 32] {
    let mut hash = Sha256::new();
    if let Some(quorum) = policy.ledger().witnesses() {
        let mut members: Vec<String> = quorum.members().iter().map(ToString::to_string).collect();
        members.sort_unstable();
        hash.update(format!("{} of {}", quorum.k(), members.join(" ")));
    }
    hash.finalize().into()
}

fn keep_evidence(
    step: &Transaction<'_>,
    origin: &str,
    terms: &[u8; 32],
    kept: &Kept,
) -> Result<()> {
    let claims = kept.shown.as_ref().map_or(&[][..], |shown| &shown.claims);
    let mut insert =
        step.prepare_cached("INSERT OR REPLACE INTO evidence VALUES (?, ?, ?, ?, ?, ?, ?)")?;
    insert.execute(params![
        origin,
        kept.path.base().hash_part().to_string(),
        kept.path.to_string(),
        terms,
        integer(kept.as_of),
        integer(kept.covered),
        serde_json::to_string(claims)?
    ])?;
    Ok(())
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(integer: i64) -> u64 {
    u64::try_from(integer).unwrap_or(0)
}
