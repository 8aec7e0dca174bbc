//! Mirrors that the pools list: further places of the bytes that a pool says it has. Nobody believes
//! them in anything, nor the pool that lists them: what they give must have the right hash.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::join_all;
use reqwest::redirect;
use schema::api::{MAX_MIRRORS, Mirrors};
use schema::base_url::BaseUrl;
use schema::compression::Compression;
use tokio::time::{sleep, timeout};

use super::{Allowed, Fault, Kind, Offer, Place, Source, Sources};
use crate::credentials::Access;

/// How long what the pools listed is gone by.
const LISTED_FOR: Duration = Duration::from_secs(3600);
/// For the list of mirrors, and for the small question: who takes longer is not near.
const ANSWER: Duration = Duration::from_secs(5);
/// Times that differ by less are the same: what comes of a busy machine is not distance.
pub(super) const STEP: Duration = Duration::from_millis(10);

/// How near a source is, or when it is asked for another reason: the nearest first, then the caches,
/// which know of fewer NARs and have to be asked twice, and last the mirrors that did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Nearness {
    /// In steps; a pool that was not asked, or did not answer, comes after those that did.
    Steps(u128),
    /// In the order of the command line.
    Cache,
    Silent,
}

impl Nearness {
    pub(super) fn of(kind: Kind, answers_in: Option<Duration>) -> Self {
        match (kind, answers_in) {
            (Kind::Cache, _) => Self::Cache,
            (_, Some(time)) => Self::Steps(time.as_millis() / STEP.as_millis()),
            (Kind::Pool, None) => Self::Steps(u128::MAX),
            (Kind::Mirror, None) => Self::Silent,
        }
    }
}

impl Sources {
    /// Asks the pools now and then which mirrors there are, for as long as it is let.
    pub(crate) async fn follow_mirrors(&self) {
        loop {
            self.learn_mirrors().await;
            sleep(LISTED_FOR).await;
        }
    }

    /// Asks each pool which mirrors it has, and how near those and the pools are. Takes a few seconds
    /// at most. A pool that does not tell, as an older one, is passed over in silence: whether it can
    /// be reached is for others to say.
    pub(crate) async fn learn_mirrors(&self) {
        let lists = join_all(self.pools.iter().map(|pool| pool.mirrors())).await;
        let told = lists.iter().all(Result::is_ok);
        let mut mirrors: Vec<Arc<Source>> = Vec::new();
        for (pool, list) in self.pools.iter().zip(lists) {
            for url in list.unwrap_or_default() {
                mirrors.extend(self.mirror(pool, &url));
            }
        }
        if !told {
            // Whoever did not answer still has the mirrors that it had.
            mirrors.extend(self.mirrors());
        }
        let mut seen = BTreeSet::new();
        mirrors.retain(|mirror| seen.insert(mirror.address().to_owned()));
        mirrors.truncate(MAX_MIRRORS);
        join_all(self.pools.iter().chain(&mirrors).map(|source| source.measure())).await;
        *self.mirrors.write().unwrap_or_else(PoisonError::into_inner) = mirrors;
    }

    /// Who may have the NAR of a claim, of those that mirror the pools: at the place that follows from
    /// its hash and from how the pools say it is packed.
    pub(super) fn mirrored(&self, allowed: &Allowed) -> Vec<Offer> {
        let hash = allowed.claim.nar_hash().to_nix32();
        let said = |it: &Compression| allowed.files.iter().any(|(_, file)| file.compression == *it);
        let packed: Vec<Compression> = Compression::ALL.into_iter().filter(said).collect();
        let offer = |source: &Arc<Source>, compression: Compression| {
            let url = format!("nar/{hash}.nar{}", compression.suffix());
            Offer { source: Arc::clone(source), place: Place::File { url, compression } }
        };
        let mirrors = self.mirrors();
        mirrors.iter().flat_map(|source| packed.iter().map(|it| offer(source, *it))).collect()
    }

    /// Those that are known.
    pub(super) fn mirrors(&self) -> Vec<Arc<Source>> {
        self.mirrors.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The mirror at an address that `pool` lists: with its record, if it is known. None, if it is
    /// asked as something else, or if the pool may not lead there.
    pub(super) fn mirror(&self, pool: &Source, url: &BaseUrl) -> Option<Arc<Source>> {
        if pool.address.scheme() == "https" && !url.is_https() {
            return None;
        }
        let access = Access { server: url.to_string(), token: None, ca_file: pool.ca_file.clone() };
        let none = redirect::Policy::none();
        let mirror = Source::new(&access, none, Kind::Mirror, (self.pace, self.output)).ok()?;
        match self.all().into_iter().find(|it| it.address() == mirror.address()) {
            Some(known) => (known.kind == Kind::Mirror).then_some(known),
            None => Some(Arc::new(mirror)),
        }
    }
}

impl Source {
    /// The mirrors that a pool lists.
    async fn mirrors(&self) -> Result<Vec<BaseUrl>, Fault> {
        let list = async {
            let response = match self.ask(self.address_of("api/v1/mirrors")?).await {
                Err(Fault::Absent) => return Ok(Vec::new()),
                answer => answer?,
            };
            let malformed = |error: serde_json::Error| Fault::Malformed(error.to_string());
            let list: Mirrors =
                serde_json::from_slice(&self.narinfo(response).await?).map_err(malformed)?;
            Ok(list.mirrors.into_iter().take(MAX_MIRRORS).map(|mirror| mirror.url).collect())
        };
        timeout(ANSWER, list).await.unwrap_or(Err(Fault::Stalled))
    }

    /// Asks something small, twice: the first question also waits for the connection.
    async fn measure(&self) {
        let mut shortest = None;
        for _ in 0..2 {
            let start = Instant::now();
            let answer =
                async { self.narinfo(self.ask(self.address_of("nix-cache-info")?).await?).await };
            match timeout(ANSWER, answer).await {
                Ok(Ok(_)) => {
                    shortest = [shortest, Some(start.elapsed())].into_iter().flatten().min()
                }
                _ => break,
            }
        }
        self.lock().answers_in = shortest;
    }
}
