//! Where the bytes of NARs come from. Nobody here is believed: whoever gives the bytes with the
//! right hash is as good as any other. What is imported comes from here, too, with the signatures
//! beside it, and those are for the command to verify.

mod cache;
mod download;
mod fault;
mod mirrors;
mod nar;
mod packed;
mod prefetch;
mod told;
mod upstream;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, RequestBuilder, Url, redirect};
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::store_path::StorePath;

use crate::credentials::Access;
use crate::judge::Allowed;
use crate::output::Output;
use crate::remote;

pub(crate) use self::download::Download;
pub(crate) use self::fault::Fault;
use self::mirrors::Nearness;
pub(crate) use self::nar::{Nar, Undeliverable, Wanted};
pub(crate) use self::packed::{Pace, Packed};
pub(crate) use self::prefetch::{Fetched, Limits, Prefetch};
pub(crate) use self::told::{Signatures, Told};
pub(crate) use self::upstream::Upstream;

/// For how long a source that could not be reached is asked after those that could.
const AVOIDED_FOR: Duration = Duration::from_secs(30);
/// How far a cache may send us from place to place.
const REDIRECTS: usize = 5;

/// Everybody who may have NARs.
pub(crate) struct Sources {
    /// In the order of the command line.
    pools: Vec<Arc<Source>>,
    /// The same.
    caches: Vec<Arc<Source>>,
    /// Those that the pools list, once they were asked.
    mirrors: RwLock<Vec<Arc<Source>>>,
    pace: Pace,
    output: &'static Output,
}

impl Sources {
    /// The pools whose evidence is heard, in the judge's own order, and the binary caches that give
    /// nothing but bytes. Nothing is sent yet.
    pub(crate) fn new(
        pools: &[Access],
        caches: &[Access],
        pace: Pace,
        output: &'static Output,
    ) -> Result<Self> {
        let none = redirect::Policy::none;
        let pool = |access| Source::new(access, none(), Kind::Pool, (pace, output)).map(Arc::new);
        let cache = |access| {
            Source::new(access, near_or_certified(), Kind::Cache, (pace, output)).map(Arc::new)
        };
        Ok(Self {
            pools: pools.iter().map(pool).collect::<Result<_>>()?,
            caches: caches.iter().map(cache).collect::<Result<_>>()?,
            mirrors: RwLock::default(),
            pace,
            output,
        })
    }

    /// All of them, as of now.
    pub(crate) fn all(&self) -> Vec<Arc<Source>> {
        let mirrors = self.mirrors();
        self.pools.iter().chain(&mirrors).chain(&self.caches).cloned().collect()
    }

    /// Who may have the NAR of a claim, in the order to be asked: first the pools that say so and
    /// whoever mirrors them, the nearest before the others, then the caches; but whoever has lied
    /// comes after those who have lied less, and whoever could not be reached just now comes last.
    pub(crate) fn of(&self, allowed: &Allowed) -> Vec<Offer> {
        let from_pools = allowed.files.iter().filter_map(|(pool, file)| {
            let place = Place::File { url: file.url.clone(), compression: file.compression };
            Some(Offer { source: Arc::clone(self.pools.get(*pool)?), place })
        });
        let from_caches = self.caches.iter().map(|cache| {
            let wanted = Wanted::of(&allowed.claim);
            let place = Place::Narinfo(allowed.claim.path().clone(), wanted.hash);
            Offer { source: Arc::clone(cache), place }
        });
        let mut offers: Vec<Offer> =
            from_pools.chain(self.mirrored(allowed)).chain(from_caches).collect();
        let now = Instant::now();
        offers.sort_by_cached_key(|offer| offer.source.rank(now));
        offers
    }
}

/// A cache may point elsewhere, as many do that keep their files in object stores. Elsewhere must
/// have a certificate, or a cache could have this host ask its own or its neighbours' services.
fn near_or_certified() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let near = attempt.previous().first().is_some_and(|first| may_lead(first, attempt.url()));
        if near && attempt.previous().len() <= REDIRECTS {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

/// Whether what `from` says may make us ask `to`.
fn may_lead(from: &Url, to: &Url) -> bool {
    to.scheme() == "https" || from.origin() == to.origin()
}

/// What a source is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its evidence is heard.
    Pool,
    /// A pool that is heard lists it.
    Mirror,
    /// The command line names it.
    Cache,
}

/// One pool, mirror or cache.
pub(crate) struct Source {
    client: Client,
    address: Url,
    token: Option<HeaderValue>,
    ca_file: Option<PathBuf>,
    kind: Kind,
    pace: Pace,
    record: Mutex<Record>,
    output: &'static Output,
}

/// What became of asking a source.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// NARs that it gave, whole and right.
    pub(crate) given: u64,
    /// How often it failed, by the code of the fault.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// The newest fault, in words.
    pub(crate) last_fault: Option<String>,
    /// In what time it answered a small question, if it was asked one and did.
    pub(crate) answers_in: Option<Duration>,
    lies: u64,
    avoid_until: Option<Instant>,
}

impl Source {
    fn new(
        access: &Access,
        redirects: redirect::Policy,
        kind: Kind,
        (pace, output): (Pace, &'static Output),
    ) -> Result<Self> {
        let address = remote::parse_server(&access.server)?;
        let client = remote::client(&address, access, redirects)?;
        let token = access.token.as_deref().map(remote::bearer).transpose()?;
        let (ca_file, record) = (access.ca_file.clone(), Mutex::default());
        Ok(Self { client, address, token, ca_file, kind, pace, record, output })
    }

    /// What it is to us.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Its address, without a final slash.
    pub(crate) fn address(&self) -> &str {
        self.address.as_str().trim_end_matches('/')
    }

    /// What became of asking it so far.
    pub(crate) fn record(&self) -> Record {
        self.lock().clone()
    }

    /// It gave a NAR, whole and right.
    fn praise(&self) {
        let mut record = self.lock();
        record.given += 1;
        record.avoid_until = None;
    }

    /// It did not give the NAR of `wanted`.
    fn blame(&self, wanted: &Wanted, fault: &Fault) {
        if matches!(fault, Fault::Absent) {
            return;
        }
        let line = format!("{} from {}: {fault}", wanted.name, self.address());
        self.output.warn(&line);
        let mut record = self.lock();
        *record.faults.entry(fault.code()).or_default() += 1;
        record.last_fault = Some(line);
        if fault.is_lie() {
            record.lies += 1;
        } else {
            record.avoid_until = Some(Instant::now() + AVOIDED_FOR);
        }
    }

    /// The lower, the sooner it is asked.
    fn rank(&self, now: Instant) -> (bool, u64, Nearness) {
        let record = self.lock();
        let avoided = record.avoid_until.is_some_and(|until| until > now);
        (avoided, record.lies, Nearness::of(self.kind, record.answers_in))
    }

    /// The token goes to the source itself, and nowhere else.
    fn get(&self, url: Url) -> RequestBuilder {
        let own = url.origin() == self.address.origin();
        let request = self.client.get(url);
        match &self.token {
            Some(token) if own => request.header(AUTHORIZATION, token.clone()),
            _ => request,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A source that may have a NAR, and where.
pub(crate) struct Offer {
    /// Who.
    pub(crate) source: Arc<Source>,
    place: Place,
}

/// Where a source has a NAR.
enum Place {
    /// A pool said so.
    File { url: String, compression: Compression },
    /// A cache would say so in its narinfo of a path, if that is about the same NAR.
    Narinfo(StorePath, NarHash),
}

#[cfg(test)]
pub(crate) mod tests;
