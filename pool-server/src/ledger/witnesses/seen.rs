//! What witnesses have seen of a pool's logs, asked before a restored pool goes on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::client::Client;
use super::read_policy;
use crate::index::{Index, LogId};
use crate::ledger::identity::Identity;
use crate::ledger::log::Log;
use crate::ledger::shown::Shown;
use crate::rejected::Error;

/// How far one witness has seen one log.
#[derive(Debug)]
pub(in crate::ledger) struct Seen {
    /// The witness's name.
    pub witness: String,
    /// Of which log.
    pub log: LogId,
    /// How many entries are here.
    pub here: u64,
    /// How many it has cosigned, or why it did not tell.
    pub cosigned: Result<u64, String>,
}

/// Asks every witness that the policy in this file names about every log.
///
/// # Errors
/// A file that is no policy, or logs that do not open.
pub(in crate::ledger) async fn seen(
    file: &Path,
    timeout: Duration,
    index: &Arc<Index>,
    (data, identity): (&Path, &Identity),
) -> Result<Vec<Seen>, Error> {
    let (_, clients) = read_policy(file, timeout)?;
    let mut all = Vec::new();
    for id in LogId::ALL {
        let log = Log::open(id, identity.log_signer(id)?, index, data)?;
        let shown = Shown::new(id, Arc::clone(index), log.signed());
        let here = shown.published().size();
        for client in &clients {
            let cosigned = client.cosigned_size(&shown).await;
            all.push(Seen { witness: client.name().to_owned(), log: id, here, cosigned });
        }
    }
    Ok(all)
}

impl Client {
    /// The size of the log that it cosigned last.
    async fn cosigned_size(&self, log: &Shown) -> Result<u64, String> {
        let signed = log.published();
        match self.send(log, &signed, signed.size()).await? {
            super::client::Answer::Lines(_) => Ok(signed.size()),
            super::client::Answer::At(size) => Ok(size),
        }
    }
}
