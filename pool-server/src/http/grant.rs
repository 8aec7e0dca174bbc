//! Who asks: extractors that let a request in only with the scope it needs.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;

use super::error::EitherFailure;
use crate::auth::{Grant, Scope};
use crate::clock;
use crate::pool::Pool;
use crate::quota::Account;

/// May read: anybody, unless the pool is private.
pub(super) struct MayRead;
/// May upload NARs and logs, on this account.
pub(super) struct MayUpload(pub(super) Account);
/// May hand in attestations, on this account.
pub(super) struct MayAttest(pub(super) Account);
/// May say which paths stay.
pub(super) struct MayPin;
/// May do what only admins may, such as to say which ledgers are mirrored.
pub(super) struct MayAdmin;
/// Whether somebody who may upload looks first whether they need to, as Nix does: by `HEAD`.
pub(super) struct LooksFirst(pub(super) bool);
/// May do what admins do; or may not, which the handler looks at.
pub(super) struct Asker {
    pub(super) is_admin: bool,
}

impl FromRequestParts<Arc<Pool>> for MayRead {
    type Rejection = EitherFailure;

    async fn from_request_parts(
        parts: &mut Parts,
        pool: &Arc<Pool>,
    ) -> Result<Self, EitherFailure> {
        if pool.config.private {
            demand(parts, pool, Scope::Read)?;
        }
        Ok(Self)
    }
}

impl FromRequestParts<Arc<Pool>> for MayUpload {
    type Rejection = EitherFailure;

    async fn from_request_parts(
        parts: &mut Parts,
        pool: &Arc<Pool>,
    ) -> Result<Self, EitherFailure> {
        demand(parts, pool, Scope::Upload).map(Self)
    }
}

impl FromRequestParts<Arc<Pool>> for MayAttest {
    type Rejection = EitherFailure;

    async fn from_request_parts(
        parts: &mut Parts,
        pool: &Arc<Pool>,
    ) -> Result<Self, EitherFailure> {
        demand(parts, pool, Scope::Attest).map(Self)
    }
}

impl FromRequestParts<Arc<Pool>> for MayPin {
    type Rejection = EitherFailure;

    async fn from_request_parts(
        parts: &mut Parts,
        pool: &Arc<Pool>,
    ) -> Result<Self, EitherFailure> {
        demand(parts, pool, Scope::Pin)?;
        Ok(Self)
    }
}

impl FromRequestParts<Arc<Pool>> for MayAdmin {
    type Rejection = EitherFailure;

    async fn from_request_parts(
        parts: &mut Parts,
        pool: &Arc<Pool>,
    ) -> Result<Self, EitherFailure> {
        demand(parts, pool, Scope::Admin)?;
        Ok(Self)
    }
}

impl FromRequestParts<Arc<Pool>> for LooksFirst {
    type Rejection = EitherFailure;

    async fn from_request_parts(
        parts: &mut Parts,
        pool: &Arc<Pool>,
    ) -> Result<Self, EitherFailure> {
        let may_upload = || grant(parts, pool).is_ok_and(|it| it.require(Scope::Upload).is_ok());
        Ok(Self(parts.method == Method::HEAD && may_upload()))
    }
}

impl FromRequestParts<Arc<Pool>> for Asker {
    type Rejection = EitherFailure;

    async fn from_request_parts(
        parts: &mut Parts,
        pool: &Arc<Pool>,
    ) -> Result<Self, EitherFailure> {
        let is_admin = grant(parts, pool)?.require(Scope::Admin).is_ok();
        Ok(Self { is_admin })
    }
}

fn demand(parts: &Parts, pool: &Pool, scope: Scope) -> Result<Account, EitherFailure> {
    let account = grant(parts, pool)?.account_for(scope, &pool.config.token_limits);
    account.map_err(|rejected| EitherFailure::at(&parts.uri, rejected))
}

/// What was granted when the request was let in, if it was; else why not.
fn grant(parts: &Parts, pool: &Pool) -> Result<Grant, EitherFailure> {
    if let Some(grant) = parts.extensions.get::<Grant>() {
        return Ok(grant.clone());
    }
    let grant = pool.tokens.authenticate(&parts.headers, clock::now());
    grant.map_err(|failure| EitherFailure::at(&parts.uri, failure))
}
