//! Looking at the ledger of a pool, whether or not it can be served.

use std::sync::{Arc, RwLock};

use schema::hash::TreeHash;
use schema::tlog::checkpoint::UnverifiedCheckpoint;
use schema::tlog::edge::Edge;
use schema::tlog::merkle::leaf_hash;
use schema::tlog::note::VerifierKey;
use schema::tlog::tile::{FULL_WIDTH, TileAddress};

use super::head::Head;
use super::identity::{Identity, KEY_FILE};
use super::kept::Kept;
use super::log::{self, Log};
use super::restored::Restored;
use super::sequencer::Sequencer;
use crate::config::Config;
use crate::index::{Index, LogAt, LogId};
use crate::metrics::Metrics;
use crate::rejected::Error;

/// Starts what makes changes, and nothing that shows them to anybody: for a pool that is not served.
///
/// # Errors
/// As [`Ledger::open`](super::Ledger::open).
pub fn sequencer(index: &Arc<Index>, config: &Config) -> Result<Sequencer, Error> {
    let identity = Identity::open(&config.data, config.origin.as_ref())?;
    let logs = super::logs(&identity, index, config)?;
    let roll = Arc::new(RwLock::new(Arc::new(super::roll(&identity, index)?)));
    let refusal = Restored::read(&config.data)?.as_ref().map(Restored::refusal);
    Sequencer::start(Arc::clone(index), logs, roll, Arc::new(Metrics::install()), refusal)
}

/// Whether the pool's own logs are those whose heads are in the data directory: of each that is not,
/// why.
#[must_use]
pub fn logs(index: &Index, config: &Config) -> Vec<(LogId, Error)> {
    let inspect = |log: LogId| {
        let key = log_key(log, config)?;
        Log::inspect(log, &key, index, &config.data)?;
        let published = log::directory(&config.data).join(format!("{log}.published"));
        Kept::at(&published).read(log, index, &key).map(drop)
    };
    LogId::ALL.into_iter().filter_map(|log| Some((log, inspect(log).err()?))).collect()
}

fn log_key(log: LogId, config: &Config) -> Result<VerifierKey, Error> {
    let key = config.data.join(KEY_FILE);
    if !key.exists() {
        let detail = format!("{} is gone", key.display());
        let hint = "put it back from a backup: without it the pool signs nothing".to_owned();
        return Err(Error::Setup { detail, hint });
    }
    Identity::open(&config.data, config.origin.as_ref())?.log_key(log)
}

/// Every log that the index has, the pool's own and those that are mirrored.
///
/// # Errors
/// When the database fails.
pub fn all_logs(index: &Index) -> Result<Vec<LogAt>, Error> {
    let mut all: Vec<LogAt> = LogId::ALL.into_iter().map(LogAt::from).collect();
    for (ledger, _) in index.mirrored_ledgers()? {
        all.extend(LogId::ALL.map(|log| LogAt { ledger, log }));
    }
    Ok(all)
}

/// What came of hashing all entries of a log.
pub struct Hashed {
    /// How many entries it has.
    pub size: u64,
    /// Its full tiles that are not what the entries say, with what they say; not more than so many.
    pub wrong: Vec<(TileAddress, Vec<u8>)>,
    /// Whether the entries are those that were signed, or cosigned. None, where nothing was.
    pub as_signed: Option<bool>,
}

/// Hashes all entries of a log, and compares that with its tiles and with what was signed of it. At
/// most `limit` wrong tiles are told. `spend` is told how many bytes were read each time, and answers
/// with whether to go on: without that there is no result.
///
/// # Errors
/// An entry that is missing or does not read.
pub fn hash_log(
    index: &Index,
    log: LogAt,
    config: &Config,
    limit: usize,
    mut spend: impl FnMut(u64) -> bool,
) -> Result<Option<Hashed>, Error> {
    let signed = signed(index, log, config)?;
    let mut hashed = Hashed { size: 0, wrong: Vec::new(), as_signed: None };
    let mut edge = Edge::new();
    loop {
        let entries = index.log_entries(log, edge.size(), usize::from(FULL_WIDTH))?;
        if entries.is_empty() {
            break;
        }
        for entry in &entries {
            for (tile, hashes) in edge.push(leaf_hash(entry)) {
                let bytes = tile.encode(&hashes).map_err(|it| Error::Damaged(it.to_string()))?;
                let kept = index.tile(log, tile.level(), tile.index());
                let right = kept.is_ok_and(|kept| kept.as_ref() == Some(&bytes));
                if !right && hashed.wrong.len() < limit {
                    hashed.wrong.push((tile, bytes));
                }
            }
            if let Some((size, root)) = &signed
                && *size == edge.size()
            {
                hashed.as_signed = Some(edge.root() == *root);
            }
        }
        if !spend(entries.iter().map(|entry| entry.len() as u64).sum()) {
            return Ok(None);
        }
    }
    hashed.size = edge.size();
    if signed.is_some_and(|(size, _)| size > edge.size()) {
        hashed.as_signed = Some(false);
    }
    Ok(Some(hashed))
}

/// The newest tree of a log that was signed, if it has entries: of an own log by its head, of another's
/// by the checkpoint that was cosigned here. Whose signature it is was checked when it was kept.
fn signed(index: &Index, log: LogAt, config: &Config) -> Result<Option<(u64, TreeHash)>, Error> {
    let signed = if log.ledger.is_own() {
        let path = log::directory(&config.data).join(log.log.as_str());
        let head = Head::inspect(&path, &log_key(log.log, config)?)?;
        head.map(|head| (head.checkpoint().size(), *head.checkpoint().root()))
    } else {
        let read = |note: Vec<u8>| {
            UnverifiedCheckpoint::parse(&note).map_err(|error| {
                Error::Damaged(format!("the checkpoint of the log {log}: {error}"))
            })
        };
        let note = index.mirror_checkpoint(log)?.map(read).transpose()?;
        note.map(|note| (note.checkpoint().size(), *note.checkpoint().root()))
    };
    Ok(signed.filter(|(size, _)| *size > 0))
}

/// Puts tiles of a log in place of those that are wrong.
///
/// # Errors
/// When they cannot be written.
pub fn put_tiles(index: &Index, log: LogAt, tiles: &[(TileAddress, Vec<u8>)]) -> Result<(), Error> {
    let mut batch = index.batch();
    for (tile, bytes) in tiles {
        batch.put_tile(log, tile.level(), tile.index(), bytes)?;
    }
    batch.commit()
}
