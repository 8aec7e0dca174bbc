//! A store on this machine's disk, Nix's or Guix's: its database and its files.
//!
//! Source: Nix `src/libstore/schema.sql`; Guix's has the same tables without the column `ca`.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix_archive::nar::{self, CaseHack};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction};
use schema::claim::Claim;
use schema::store_path::{BaseName, StoreDir, StorePath};

use super::{PathInfo, in_store};
use crate::exit::Failure;

const NIX_DATABASE: &str = "nix/var/nix/db/db.sqlite";
const GUIX_DATABASE: &str = "var/guix/db/db.sqlite";

/// How long to wait while a daemon holds the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A directory of paths, with a database beside it.
#[derive(Debug)]
pub(crate) struct LocalStore {
    dir: StoreDir,
    files: PathBuf,
    database: PathBuf,
}

impl LocalStore {
    /// Finds the store under `root`; where there are two, the one that the first of `paths` is in.
    pub(super) fn open(root: &Path, paths: &[PathBuf]) -> Result<Self> {
        let root =
            root.canonicalize().with_context(|| format!("opening the store {}", root.display()))?;
        let mut stores: Vec<Self> =
            [(StoreDir::nix(), NIX_DATABASE), (StoreDir::guix(), GUIX_DATABASE)]
                .into_iter()
                .map(|(dir, database)| Self {
                    files: root.join(&dir.as_str()[1..]),
                    database: root.join(database),
                    dir,
                })
                .filter(|store| store.database.exists())
                .collect();
        let fits = |store: &Self| {
            paths.first().is_some_and(|path| in_store(path, &store.dir, Some(&store.files)).is_ok())
        };
        let chosen = stores.iter().position(fits).unwrap_or(0);
        if stores.is_empty() {
            return Err(no_database(&root).into());
        }
        Ok(stores.swap_remove(chosen))
    }

    /// The directory in which paths are spelled.
    pub(super) fn dir(&self) -> &StoreDir {
        &self.dir
    }

    /// The directory in which the files lie.
    pub(super) fn files(&self) -> &Path {
        &self.files
    }

    /// Opens the database for reading; a daemon may have it open, and the directory may be
    /// read-only.
    pub(super) fn database(&self) -> Result<Database> {
        Database::open(&self.database)
            .with_context(|| format!("opening the store's database {}", self.database.display()))
    }

    /// Writes the NAR.
    pub(super) fn dump(&self, claim: &Claim, out: &mut dyn Write) -> Result<()> {
        let file = self.files.join(claim.path().base().as_str());
        Ok(nar::encode_path(out, &file, CaseHack::native())?)
    }
}

fn no_database(root: &Path) -> Failure {
    Failure::could_not_tell(format!(
        "there is no store database: neither {} nor {}",
        root.join(NIX_DATABASE).display(),
        root.join(GUIX_DATABASE).display()
    ))
    .hint(
        "--store ROOT names the root directory of another store, --store file://DIR a binary cache",
    )
}

/// An open database.
pub(crate) struct Database {
    connection: Connection,
    has_ca: bool,
}

impl Database {
    fn open(path: &Path) -> Result<Self> {
        let opened = Self::open_as(path, "mode=ro");
        match &opened {
            // In a directory where the files beside a WAL cannot be made, SQLite reads a database
            // only on the promise that nobody writes to it; there nobody can.
            Err(rusqlite::Error::SqliteFailure(error, _))
                if matches!(error.code, ErrorCode::CannotOpen | ErrorCode::ReadOnly) =>
            {
                Self::open_as(path, "immutable=1").or(opened)
            }
            _ => opened,
        }
        .map_err(explain)
    }

    fn open_as(path: &Path, how: &str) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut uri = OsString::from("file:");
        uri.push(uri_escaped(path));
        uri.push("?");
        uri.push(how);
        let connection = Connection::open_with_flags(uri, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // The first read shows whether the database can be used in this way.
        let has_ca = connection
            .prepare("select 1 from pragma_table_info('ValidPaths') where name = 'ca'")?
            .exists([])?;
        Ok(Self { connection, has_ca })
    }

    /// The database as it is now, however long the reading takes.
    pub(super) fn snapshot(&self) -> Result<Snapshot<'_>> {
        let transaction = self.connection.unchecked_transaction().map_err(explain)?;
        Ok(Snapshot { transaction, has_ca: self.has_ca })
    }
}

fn uri_escaped(path: &Path) -> OsString {
    let mut out = Vec::with_capacity(path.as_os_str().len());
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'?' => out.extend_from_slice(b"%3f"),
            b'#' => out.extend_from_slice(b"%23"),
            b'%' => out.extend_from_slice(b"%25"),
            _ => out.push(byte),
        }
    }
    OsString::from_vec(out)
}

fn explain(error: rusqlite::Error) -> anyhow::Error {
    let hint = match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            "can you read the file, and search the directories above it?"
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "this is no SQLite database, or a damaged one"
        }
        Some(ErrorCode::DatabaseBusy) => "another program holds the database; try again",
        _ => return error.into(),
    };
    Failure::could_not_tell(error.to_string()).hint(hint).into()
}

/// The database at one point in time.
pub(crate) struct Snapshot<'a> {
    transaction: Transaction<'a>,
    has_ca: bool,
}

struct Row {
    id: i64,
    hash: String,
    nar_size: Option<u64>,
    deriver: Option<String>,
    ca: Option<String>,
}

impl Snapshot<'_> {
    /// Whether `path` is valid.
    pub(super) fn holds(&self, path: &StorePath) -> Result<bool> {
        Ok(self.row(path)?.is_some())
    }

    /// What the database says of `path`.
    pub(super) fn path_info(&self, path: &StorePath) -> Result<PathInfo> {
        let row = self.row(path)?.ok_or_else(|| not_valid(path))?;
        let about = || format!("the store's database on {path}");
        let references = self.references(path, row.id).with_context(about)?;
        let nar_size = row.nar_size.unwrap_or(0);
        let claim =
            Claim::new(path.clone(), row.hash.parse().with_context(about)?, nar_size, references)
                .with_context(about)?;
        // Stores write an empty or made-up deriver where there is none.
        let deriver = |text: String| StorePath::parse_in(path.dir(), &text).ok();
        Ok(PathInfo {
            claim,
            deriver: row.deriver.and_then(deriver).map(|path| path.base().clone()),
            ca: row.ca.filter(|ca| !ca.is_empty()),
        })
    }

    fn row(&self, path: &StorePath) -> Result<Option<Row>> {
        let ca = if self.has_ca { "ca" } else { "null" };
        let query =
            format!("select id, hash, narSize, deriver, {ca} from ValidPaths where path = ?");
        let mut statement = self.transaction.prepare_cached(&query).map_err(explain)?;
        let row = statement.query_row([path.to_string()], |row| {
            Ok(Row {
                id: row.get(0)?,
                hash: row.get(1)?,
                nar_size: row.get::<_, Option<i64>>(2)?.and_then(|size| size.try_into().ok()),
                deriver: row.get(3)?,
                ca: row.get(4)?,
            })
        });
        row.optional().map_err(explain)
    }

    fn references(&self, path: &StorePath, id: i64) -> Result<Vec<BaseName>> {
        // An outer join, so that a reference to nowhere shows up instead of being left out.
        const QUERY: &str = "select path from Refs left join ValidPaths on reference = id \
                             where referrer = ?";
        let mut statement = self.transaction.prepare_cached(QUERY).map_err(explain)?;
        let rows = statement.query_map([id], |row| row.get::<_, Option<String>>(0));
        let mut references = Vec::new();
        for reference in rows.map_err(explain)? {
            let text = reference.map_err(explain)?.ok_or_else(|| dangling(path))?;
            let reference = StorePath::parse_in(path.dir(), &text)
                .with_context(|| format!("its reference {text:?}"))?;
            references.push(reference.base().clone());
        }
        Ok(references)
    }
}

fn not_valid(path: &StorePath) -> Failure {
    Failure::no(format!("{path} is not valid: the store's database does not know it"))
        .hint("build or fetch it first, or name its store with --store")
}

fn dangling(path: &StorePath) -> Failure {
    Failure::no(format!("{path} refers to a path that the database does not know"))
        .hint("`nix-store --verify` checks the database")
}

#[cfg(test)]
mod tests;
