//! Who may upload, attest and administer: opaque tokens with scopes.
//!
//! A token says nothing about who is *believed*; that is a policy's business.

mod header;
mod keep;
mod scope;
mod secret;

use std::sync::Arc;

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::config::Quota;
use crate::quota::Account;
use crate::rejected::{Failure, Rejected};

pub use keep::{ADMIN_TOKEN_FILE, TOKENS_FILE, Tokens};
pub use scope::{Scope, Scopes};
pub use secret::Secret;
use secret::SecretHash;

/// What is kept of a token: all but its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Short, and no secret.
    pub id: String,
    /// What its maker called it.
    pub label: String,
    /// What it allows.
    pub scopes: Scopes,
    /// POSIX seconds.
    pub created_at: u64,
    /// POSIX seconds. From then on it allows nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// POSIX seconds. It allows nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<u64>,
    /// How much of what it allows. A program that knew no limits refuses a file that has some.
    #[serde(default, skip_serializing_if = "Quota::is_empty")]
    pub limits: Quota,
    hash: SecretHash,
}

impl Token {
    fn check(&self, now: u64) -> Result<(), Rejected> {
        if self.revoked_at.is_some() {
            let detail = format!("the token {} was revoked", self.id);
            return Err(Rejected::unauthorized("token_revoked", detail));
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            let detail = format!("the token {} has expired", self.id);
            return Err(Rejected::unauthorized("token_expired", detail));
        }
        Ok(())
    }
}

/// What one request may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Absent when the request brought no credentials.
    token: Option<Held>,
}

/// What a token that holds is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    id: Arc<str>,
    scopes: Scopes,
    limits: Quota,
}

impl Grant {
    /// The id of the token the request brought, for the log.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.token.as_ref().map(|held| &*held.id)
    }

    /// Whose account the request is on, if it brought a token, with the operator's `defaults`.
    #[must_use]
    pub fn account(&self, defaults: &Quota) -> Option<Account> {
        self.token.as_ref().map(|held| held.account(defaults))
    }

    /// # Errors
    /// 401 without credentials, 403 with credentials that do not go so far.
    pub fn require(&self, scope: Scope) -> Result<(), Rejected> {
        self.held(scope).map(drop)
    }

    /// The account of the token that allows this.
    ///
    /// # Errors
    /// As [`require`](Self::require).
    pub fn account_for(&self, scope: Scope, defaults: &Quota) -> Result<Account, Rejected> {
        Ok(self.held(scope)?.account(defaults))
    }

    fn held(&self, scope: Scope) -> Result<&Held, Rejected> {
        match &self.token {
            Some(held) if held.scopes.allow(scope) => Ok(held),
            Some(Held { id, scopes, .. }) => {
                let detail = format!("the token {id} allows {scopes}; this needs {scope}");
                Err(Rejected::forbidden("scope_missing", detail))
            }
            None => {
                let detail = format!("this needs a token with the scope {scope}");
                Err(Rejected::unauthorized("token_required", detail).hint(
                    "send it as `Authorization: Bearer`, or as the password of a netrc entry",
                ))
            }
        }
    }
}

impl Held {
    /// The defaults are not for admins.
    fn account(&self, defaults: &Quota) -> Account {
        let limits = match self.scopes.allow(Scope::Admin) {
            true => self.limits.clone(),
            false => self.limits.or(defaults),
        };
        Account { id: Arc::clone(&self.id), limits }
    }
}

impl Tokens {
    /// What a request with these headers may do. Reads the file of tokens again when it has
    /// changed, so that a revocation takes effect at once.
    ///
    /// # Errors
    /// 401 for credentials that are there but do not hold; ours when the file cannot be read.
    pub fn authenticate(&self, headers: &HeaderMap, now: u64) -> Result<Grant, Failure> {
        let Some(secret) = header::secret(headers)? else {
            return Ok(Grant { token: None });
        };
        let tokens = self.current()?;
        let token = secret.find(&tokens).ok_or_else(|| {
            Rejected::unauthorized("token_unknown", "no such token was ever made here")
        })?;
        token.check(now)?;
        let (id, limits) = (Arc::from(&*token.id), token.limits.clone());
        Ok(Grant { token: Some(Held { id, scopes: token.scopes, limits }) })
    }
}

#[cfg(test)]
mod tests;
