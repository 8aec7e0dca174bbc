//! How a restored pool goes on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::brought::Source;
use super::heads::Heads;
use super::identity::Identity;
use super::restored::{Continued, Restored};
use super::witnesses::{Seen, seen};
use crate::clock;
use crate::config::Config;
use crate::index::Index;
use crate::rejected::Error;

/// From where a restored pool goes on.
#[derive(Debug, Clone, Copy)]
pub enum Way<'w> {
    /// From where its backup ends.
    AcceptLoss,
    /// From where its mirror in this data directory is.
    Mirror(&'w Path),
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What was recorded.
    pub continued: Continued,
    /// Attestations that a mirror had without what they say.
    pub lost_claims: u64,
}

/// Lets a restored pool sign again. Witnesses are asked before whether they have seen more: then it must
/// not.
///
/// # Errors
/// A pool that was not restored; a mirror that has other logs; witnesses that have seen more, or do not
/// tell; files that cannot be read or written.
pub async fn go_on(
    config: &Config,
    index: &Arc<Index>,
    way: Way<'_>,
    ask_witnesses: bool,
) -> Result<Outcome, Error> {
    let data = &config.data;
    let restored = Restored::read(data)?.ok_or_else(|| Error::Setup {
        detail: format!("the pool in {} was not restored, or has been continued", data.display()),
        hint: "there is nothing to do: start it".to_owned(),
    })?;
    let identity = Identity::open(data, config.origin.as_ref())?;
    let (by, lost_claims) = match way {
        Way::AcceptLoss => ("accept-loss".to_owned(), 0),
        Way::Mirror(dir) => {
            let source = Source::open(dir, &identity)?;
            let from = restored.sizes.attestations;
            (format!("mirror {}", dir.display()), source.bring(index, &identity, data, from)?)
        }
    };
    let sizes = Heads::read(data, &identity)?.check(index)?;
    if let Some(file) = &config.witness_policy {
        for seen in seen(file, config.witness_timeout, index, (data, &identity)).await? {
            check(&seen, ask_witnesses)?;
        }
    }
    let at = clock::now();
    promise_again(config, index, at)?;
    let continued = Continued { restored, sizes, by, at };
    continued.keep(data)?;
    Ok(Outcome { continued, lost_claims })
}

/// What was promised after the backup was made is known only to those whom it was promised to.
fn promise_again(config: &Config, index: &Index, now: u64) -> Result<(), Error> {
    let of_views = config.view_leases.iter().map(|it| it.lease);
    let longest = of_views.fold(config.lease, Duration::max);
    let slack = longest / 4;
    index.promise_all(now.saturating_add((longest + slack).as_secs()))?;
    index.sync()
}

fn check(seen: &Seen, all_must_tell: bool) -> Result<(), Error> {
    let Seen { witness, log, here, cosigned } = seen;
    match cosigned {
        Ok(size) if size > here => Err(Error::Setup {
            detail: format!(
                "the witness {witness} has cosigned {size} entries of the log {log}, and there are \
                 {here} here: to sign on would fork it"
            ),
            hint: "name a mirror that has them with --mirror, or look for a newer backup; or begin a new \
                   pool, which mirrors this one"
                .to_owned(),
        }),
        Err(why) if all_must_tell => Err(Error::Setup {
            detail: format!("the witness {witness} does not tell what it has seen of {log}: {why}"),
            hint: "try again later; --without-witnesses goes on although not all tell".to_owned(),
        }),
        _ => Ok(()),
    }
}
