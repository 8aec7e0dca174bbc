//! `pool signer`: the keys that a pool knows.

mod event;
mod log;

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use schema::api::{EnrolRequest, KeyStanding, Proof, Signer as Enrolled};
use schema::enrolment;
use schema::key::SecretKey;

use crate::cli::Signer;
use crate::exit::Exit;
use crate::key_file::AnyKey;
use crate::output::{Output, time};
use crate::remote::Remote;

/// Enrols a key, says what became of one, or lists them.
pub(super) async fn run(signer: Signer, remote: &Remote<'_>, output: &Output) -> Result<Exit> {
    match signer {
        Signer::Enrol { key } => {
            let request = match AnyKey::read(&key)? {
                AnyKey::Secret(key) => proven(&key)?,
                AnyKey::Public(public_key) => EnrolRequest { public_key, proof: None },
            };
            let signer = remote.enrol(&request).await?;
            output.result(&signer, || {
                format!("{} is known to {} as {}", signer.key_id, remote.server(), signer.name)
            });
            Ok(Exit::Yes)
        }
        Signer::List => {
            let signers = remote.signers().await?;
            output.result(&signers, || table(&signers));
            Ok(Exit::Yes)
        }
        Signer::Rotate(rotate) => event::rotate(rotate, remote, output).await,
        Signer::Delegate(delegate) => event::delegate(delegate, remote, output).await,
        Signer::Revoke(revoke) => event::revoke(revoke, remote, output).await,
        Signer::Log => log::run(remote, output).await,
    }
}

fn proven(key: &SecretKey) -> Result<EnrolRequest> {
    let made_at = now()?;
    let proof = Proof { made_at, signature: enrolment::prove(key, made_at) };
    Ok(EnrolRequest { public_key: key.public(), proof: Some(proof) })
}

/// POSIX seconds.
fn now() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("reading the clock")?;
    Ok(now.as_secs())
}

fn table(signers: &[Enrolled]) -> String {
    if signers.is_empty() {
        return "no signers yet; `pool signer enrol KEYFILE` adds one".to_owned();
    }
    let mut out = String::new();
    for signer in signers {
        let _ = write!(out, "{}  since {}", signer.public_key, time(signer.enrolled_at));
        if let (Some(names), Some(not_after)) = (&signer.names, signer.not_after) {
            let root = signers.iter().find(|root| Some(root.key_id) == signer.delegated_by);
            let root = root.map(|root| format!(" for {}", root.name)).unwrap_or_default();
            let _ = write!(out, ", {names}{root} until {}", time(not_after));
        }
        let standing = match signer.standing {
            KeyStanding::Active => None,
            KeyStanding::Rotated => Some("rotated"),
            KeyStanding::Retired => Some("retired"),
            KeyStanding::Compromised => Some("COMPROMISED"),
        };
        if let (Some(standing), Some(until)) = (standing, signer.until) {
            let _ = write!(out, ", {standing}: its entries from {until} on do not count");
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests;
