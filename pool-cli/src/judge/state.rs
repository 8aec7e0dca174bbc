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
        as_of INTEGER NOT NULL, covered INTEGER NOT NULL, claims TEXT NOT NULL,
        PRIMARY KEY (origin, hash_part, path)) STRICT;
    CREATE TABLE IF NOT EXISTS caught (
        url TEXT NOT NULL, at INTEGER NOT NULL, code TEXT NOT NULL, detail TEXT NOT NULL,
        known TEXT, shown TEXT) STRICT;
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
    pub(super) at: u64,
    pub(super) code: &'i str,
    pub(super) detail: &'i str,
    /// The three checkpoints that were seen before, and those that were shown now: arrays in JSON.
    pub(super) known: Option<String>,
    pub(super) shown: Option<String>,
}

/// The database.
pub(super) struct State {
    connection: Mutex<Connection>,
}

impl State {
    /// Opens the database in `dir`, making it when there is none.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("judge.sqlite");
        let about = || format!("opening {}", path.display());
        std::fs::create_dir_all(dir).with_context(about)?;
        let connection = Connection::open(&path).with_context(about)?;
        connection.busy_timeout(BUSY_TIMEOUT).with_context(about)?;
        connection.execute_batch(TABLES).with_context(about)?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Takes note of a policy, which must not be older than what was used before, nor another under
    /// the same version.
    pub(super) fn take_policy(&self, policy: &Policy) -> Result<()> {
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

    /// Keeps how the logs of the pool at `url` have grown from `before`, and what was shown. When
    /// somebody else has seen more of them by now, their state stays.
    pub(super) fn keep(
        &self,
        url: &str,
        (before, known): (u64, &Known),
        key_entries: &[Vec<u8>],
        evidence: &[Kept],
    ) -> Result<()> {
        self.step(|step| {
            let (origin, key) = (known.logs().origin(), known.logs().pool().to_string());
            step.execute(
                "INSERT OR REPLACE INTO pools VALUES (?, ?, ?)",
                params![url, origin, key],
            )?;
            let have: i64 = step.query_row(
                "SELECT count(*) FROM key_entries WHERE origin = ?",
                [origin],
                |row| row.get(0),
            )?;
            let notes = known.notes();
            if number(have) == before && !is_ahead(step, known)? {
                for (at, entry) in key_entries.iter().enumerate() {
                    step.execute(
                        "INSERT INTO key_entries VALUES (?, ?, ?)",
                        params![origin, have + integer(at as u64), entry],
                    )?;
                }
                step.execute(
                    "INSERT OR REPLACE INTO logs VALUES (?, ?, ?, ?, ?)",
                    params![origin, key, notes[0], notes[1], notes[2]],
                )?;
            }
            evidence.iter().try_for_each(|kept| keep_evidence(step, origin, kept))
        })
    }

    /// What was shown of the paths with a hash part.
    pub(super) fn evidence(&self, origin: &str, hash_part: &HashPart) -> Result<Vec<Kept>> {
        let connection = self.connection();
        let mut rows = connection.prepare_cached(
            "SELECT path, as_of, covered, claims FROM evidence WHERE origin = ? AND hash_part = ?",
        )?;
        let rows = rows.query_map(params![origin, hash_part.to_string()], |row| {
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

    /// Keeps what a pool was caught at, with both checkpoints where there are two.
    pub(super) fn note(&self, incident: &Incident<'_>) -> Result<()> {
        self.step(|step| {
            let Incident { url, at, code, detail, known, shown } = incident;
            step.execute(
                "INSERT INTO caught VALUES (?, ?, ?, ?, ?, ?)",
                params![url, integer(*at), code, detail, known, shown],
            )?;
            Ok(())
        })
    }

    fn step(&self, work: impl FnOnce(&Transaction<'_>) -> Result<()>) -> Result<()> {
        let mut connection = self.connection();
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        work(&step)?;
        step.commit().context("keeping what was seen of the pools")
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

/// Whether more was seen of a log than this.
fn is_ahead(step: &Transaction<'_>, known: &Known) -> Result<bool> {
    let row = step
        .query_row(
            "SELECT attestations, map FROM logs WHERE origin = ?",
            [known.logs().origin()],
            |row| Ok([row.get::<_, Option<String>>(0)?, row.get(1)?]),
        )
        .optional()?;
    let size = |note: &Option<String>| -> u64 {
        let line = note.as_deref().and_then(|note| note.lines().nth(1));
        line.and_then(|line| line.parse().ok()).unwrap_or(0)
    };
    let sizes = known.sizes();
    Ok(row.is_some_and(|[attestations, map]| {
        size(&attestations) > sizes.attestations || size(&map) > sizes.index
    }))
}

fn keep_evidence(step: &Transaction<'_>, origin: &str, kept: &Kept) -> Result<()> {
    let claims = kept.shown.as_ref().map_or(&[][..], |shown| &shown.claims);
    let mut insert = step.prepare_cached(
        "INSERT INTO evidence VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET as_of = excluded.as_of, covered = excluded.covered,
             claims = excluded.claims WHERE excluded.covered >= covered",
    )?;
    insert.execute(params![
        origin,
        kept.path.base().hash_part().to_string(),
        kept.path.to_string(),
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
