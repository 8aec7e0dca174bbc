//! Which view an address names, parsed before a handler sees it.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use schema::claim::Dialect;
use schema::key::KeyName;
use schema::policy::Name;

use super::error::CacheFailure;
use crate::assemble::view::View;
use crate::pool::Pool;
use crate::rejected::Rejected;

/// The most signers an address may name.
const MAX_NAMES: usize = 64;

/// The view in the address, for whose clients it is, and its last part.
pub(super) struct Address {
    pub(super) view: View,
    pub(super) dialect: Dialect,
    pub(super) file: String,
}

impl FromRequestParts<Arc<Pool>> for Address {
    type Rejection = CacheFailure;

    async fn from_request_parts(parts: &mut Parts, pool: &Arc<Pool>) -> Result<Self, CacheFailure> {
        let params = RawPathParams::from_request_parts(parts, pool)
            .await
            .map_err(|error| malformed(error.to_string()))?;
        let (mut k, mut names, mut signer, mut policy, mut file) = (None, None, None, None, "");
        for (key, value) in &params {
            match key {
                "k" => k = Some(value),
                "names" => names = Some(value),
                "signer" => signer = Some(value),
                "policy" => policy = Some(value),
                _ => file = value,
            }
        }
        let view = match (k, names, signer, policy) {
            (Some(k), Some(names), None, None) => signers(k, names)?,
            (None, None, Some(signer), None) => View::As(name(signer)?),
            (None, None, None, Some(policy)) => View::Policy(policy_name(policy)?),
            _ => View::Default,
        };
        // The routes under /gnu carry it with them.
        let dialect = parts.extensions.get().copied().unwrap_or(Dialect::Nix);
        Ok(Self { view, dialect, file: file.to_owned() })
    }
}

fn signers(k: &str, names: &str) -> Result<View, Rejected> {
    let names = names.split(',').map(name).collect::<Result<Vec<KeyName>, _>>()?;
    if names.len() > MAX_NAMES {
        return Err(malformed(format!(
            "{} signers are named; at most {MAX_NAMES} are allowed",
            names.len()
        )));
    }
    if let Some(at) = (1..names.len()).find(|at| names[..*at].contains(&names[*at])) {
        return Err(malformed(format!("the signer {} is named twice", names[at])));
    }
    let plain = !k.starts_with(['0', '+']);
    match k.parse() {
        Ok(k) if plain && k <= names.len() => Ok(View::Signers { k, names }),
        _ => Err(malformed(format!("{k} of {} signers can never agree", names.len()))),
    }
}

fn name(text: &str) -> Result<KeyName, Rejected> {
    text.parse().map_err(|error| malformed(format!("{error}")))
}

fn policy_name(text: &str) -> Result<Name, Rejected> {
    text.parse().map_err(|error| malformed(format!("{text:?}: {error}")))
}

fn malformed(detail: String) -> Rejected {
    Rejected::not_found("view_malformed", detail)
        .hint("views are /signers/<k>/<name>,<name>,…/, /as/<signer>/ and /policy/<name>/")
}
