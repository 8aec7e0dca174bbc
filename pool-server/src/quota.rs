//! What tokens, addresses and signers have had of what they may have.
//!
//! Each limit is a bucket that is full at first and fills evenly. Whoever finds something in it may
//! begin, and may take more than there is, up to as much again as the bucket holds: an upload that
//! has begun is not lost for its last byte. What is owed is paid by waiting. All is in memory, so
//! that a restart forgives.

mod bucket;
mod prefix;

use std::sync::Arc;

use schema::key::KeyName;

use crate::config::{Config, Measure, Quota, Rate};
use crate::metrics::Metrics;
use crate::rejected::Rejected;
use bucket::{Buckets, Short};
pub use prefix::Prefix;

/// Everybody's accounts.
pub struct Accounts {
    tokens: Buckets<(Arc<str>, Measure)>,
    addresses: Buckets<Prefix>,
    signers: Buckets<KeyName>,
    /// For each address.
    anonymous: Option<Rate>,
    /// For each signer.
    signer: Option<Rate>,
    metrics: Arc<Metrics>,
}

/// One token, and what it may have.
#[derive(Debug, Clone)]
pub struct Account {
    /// The token's.
    pub id: Arc<str>,
    /// Its own limits, and the defaults.
    pub limits: Quota,
}

impl Accounts {
    /// New ones: nobody has had anything.
    #[must_use]
    pub fn open(config: &Config, metrics: &Arc<Metrics>) -> Self {
        Self {
            tokens: Buckets::new(),
            addresses: Buckets::new(),
            signers: Buckets::new(),
            anonymous: config.anonymous_requests,
            signer: config.signer_attestations,
            metrics: Arc::clone(metrics),
        }
    }

    /// A request without a token came from this address.
    ///
    /// # Errors
    /// 429, when there were too many.
    pub fn ask(&self, address: Prefix) -> Result<(), Rejected> {
        let Some(rate) = self.anonymous else { return Ok(()) };
        self.addresses.take(&address, &rate, 1).map_err(|short| {
            self.metrics.over_quota("address_requests");
            let whom = format!("clients at {address} without a token");
            refused("address_over_quota", &whom, (Measure::Requests, rate, 1), short)
                .hint("a token has limits of its own")
        })
    }

    /// A token takes `amount` of what is measured.
    ///
    /// # Errors
    /// 429, when it has had too much; 413, when it is more than it may ever have at once.
    pub fn take(&self, account: &Account, measure: Measure, amount: u64) -> Result<(), Rejected> {
        self.of_token(account, measure, amount, Buckets::take)
    }

    /// As [`take`](Self::take), for what is to be taken bit by bit by [`go_on`](Self::go_on): looks
    /// whether it may begin. An `amount` that is not known is 0.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn begin(&self, account: &Account, measure: Measure, amount: u64) -> Result<(), Rejected> {
        self.of_token(account, measure, amount, Buckets::begin)
    }

    /// Takes more for what has begun, and `had` so much before.
    ///
    /// # Errors
    /// As [`take`](Self::take); it would be let in when all of it could begin anew.
    pub fn go_on(
        &self,
        account: &Account,
        measure: Measure,
        amount: u64,
        had: u64,
    ) -> Result<(), Rejected> {
        let all = had.saturating_add(amount);
        self.of_token(account, measure, all, |buckets, key, rate, all| {
            let gone_on = buckets.go_on(key, rate, amount);
            gone_on.map_err(|short| buckets.begin(key, rate, all).err().unwrap_or(short))
        })
    }

    fn of_token(
        &self,
        account: &Account,
        measure: Measure,
        amount: u64,
        take: impl Fn(
            &Buckets<(Arc<str>, Measure)>,
            &(Arc<str>, Measure),
            &Rate,
            u64,
        ) -> Result<(), Short>,
    ) -> Result<(), Rejected> {
        let Some(rate) = account.limits.rate(measure) else { return Ok(()) };
        let key = (Arc::clone(&account.id), measure);
        take(&self.tokens, &key, &rate, amount).map_err(|short| {
            self.metrics.over_quota(kind(measure));
            let whom = format!("the token {}", account.id);
            refused("token_over_quota", &whom, (measure, rate, amount), short)
                .hint("the operator sets a token's limits; `pool-server token list` shows them")
        })
    }

    /// Whether signers are limited at all.
    #[must_use]
    pub fn limit_signers(&self) -> bool {
        self.signer.is_some()
    }

    /// Takes new attestations of these signers, each of whom is there once: all, or none.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn attest(&self, signers: &[(&KeyName, u64)]) -> Result<(), Rejected> {
        let Some(rate) = self.signer else { return Ok(()) };
        for (at, (name, amount)) in signers.iter().enumerate() {
            self.signers.take(name, &rate, *amount).map_err(|short| {
                for (name, amount) in &signers[..at] {
                    self.signers.give_back(name, &rate, *amount);
                }
                self.metrics.over_quota("signer_attestations");
                let whom = format!("the signer {name}");
                refused("signer_over_quota", &whom, (Measure::Attestations, rate, *amount), short)
            })?;
        }
        Ok(())
    }
}

fn kind(measure: Measure) -> &'static str {
    match measure {
        Measure::Requests => "token_requests",
        Measure::Bytes => "token_bytes",
        Measure::Nars => "token_nars",
        Measure::Attestations => "token_attestations",
    }
}

fn refused(
    code: &'static str,
    whom: &str,
    (measure, rate, amount): (Measure, Rate, u64),
    short: Short,
) -> Rejected {
    let limit = format!("{whom}: {} are limited to {}", measure.name(), rate.print(measure));
    let wanted = measure.print_amount(amount);
    match short {
        Short::Never => {
            let most = measure.print_amount(rate.amount().saturating_mul(2));
            let detail =
                format!("{limit}, so {wanted} at once are too many: at most {most} are not");
            Rejected::too_large("larger_than_quota", detail)
        }
        Short::Until { wait, left } => {
            let left = measure.print_amount(left);
            let detail = format!("{limit}; {left} are left, and it is let in in {wait} s");
            Rejected::too_many(code, detail).after(wait)
        }
    }
}

#[cfg(test)]
mod tests;
