//! Who may upload, attest and administer: opaque tokens with scopes.
//!
//! A token says nothing about who is *believed*; that is a policy's business.

mod header;
mod keep;
mod scope;
mod secret;

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::rejected::{Failure, Rejected};

pub use keep::{ADMIN_TOKEN_FILE, Tokens};
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
    /// The token's id and scopes; absent when the request brought no credentials.
    token: Option<(String, Scopes)>,
}

impl Grant {
    /// The id of the token the request brought, for the log.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.token.as_ref().map(|(id, _)| &**id)
    }

    /// # Errors
    /// 401 without credentials, 403 with credentials that do not go so far.
    pub fn require(&self, scope: Scope) -> Result<(), Rejected> {
        match &self.token {
            Some((_, scopes)) if scopes.allow(scope) => Ok(()),
            Some((id, scopes)) => {
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
        Ok(Grant { token: Some((token.id.clone(), token.scopes)) })
    }
}

#[cfg(test)]
mod tests;
