//! `pool signer`: the keys that a pool knows.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use schema::api::{EnrolRequest, Proof, Signer as Enrolled};
use schema::enrolment;
use schema::key::SecretKey;

use crate::cli::Signer;
use crate::exit::Exit;
use crate::key_file::AnyKey;
use crate::output::{Output, time};
use crate::remote::Remote;

/// Enrols a key, or lists them.
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
        }
        Signer::List => {
            let signers = remote.signers().await?;
            output.result(&signers, || table(&signers));
        }
    }
    Ok(Exit::Yes)
}

fn proven(key: &SecretKey) -> Result<EnrolRequest> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("reading the clock")?;
    let made_at = now.as_secs();
    let proof = Proof { made_at, signature: enrolment::prove(key, made_at) };
    Ok(EnrolRequest { public_key: key.public(), proof: Some(proof) })
}

fn table(signers: &[Enrolled]) -> String {
    if signers.is_empty() {
        return "no signers yet; `pool signer enrol KEYFILE` adds one".to_owned();
    }
    let mut out = String::new();
    for signer in signers {
        let _ = writeln!(out, "{}  since {}", signer.public_key, time(signer.enrolled_at));
    }
    out
}
